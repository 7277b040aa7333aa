"""All errors that the product raises on purpose.

FluxrateError
├── RefusalError             a client can cause and fix it: a member of the result's union
│   ├── InvalidInputError
│   ├── NotFoundError
│   ├── ConflictError
│   ├── InvalidTransitionError
│   ├── ModeMismatchError
│   └── StripeRefusedError
├── UnauthenticatedError     no valid API key
├── ForbiddenError           the API key lacks a scope
├── InvalidCursorError       a cursor that is not from this workspace
├── UnavailableError         the database is unavailable right now; trying again is safe
├── StripeUnavailableError   Stripe is unavailable right now; trying again is safe
├── RateLimitedError         a caller sends too many requests
├── TimedOutError            a query ran too long and was stopped
├── LinkNotMadeError         a Payment Link that Stripe did not confirm
├── SealError                an encrypted secret that no configured key decrypts
└── ConfigurationError       something that the operator must fix before the product starts
"""


class FluxrateError(Exception):
    """An error with a stable code, and a message that says what to do."""

    code = "ERROR"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class RefusalError(FluxrateError):
    """A refusal that a client can cause and fix. `path` leads to the input at fault."""

    def __init__(self, message: str, *, code: str | None = None, path: list[str] | None = None) -> None:
        super().__init__(message, code=code)
        self.path = path


class InvalidInputError(RefusalError):
    """An input that isn't valid."""

    code = "INVALID_INPUT"


class NotFoundError(RefusalError):
    """This workspace has no such object."""

    code = "NOT_FOUND"


class ConflictError(RefusalError):
    """The request contradicts something that exists already."""

    code = "CONFLICT"


class InvalidTransitionError(RefusalError):
    """An invoice can't go from its current status to the requested one."""

    code = "INVALID_TRANSITION"

    def __init__(self, message: str, *, from_status: str, to_status: str, path: list[str] | None = None) -> None:
        super().__init__(message, path=path or ["id"])
        self.from_status = from_status
        self.to_status = to_status


class ModeMismatchError(RefusalError):
    """A live key for a test workspace, or the reverse."""

    code = "MODE_MISMATCH"


class StripeRefusedError(RefusalError):
    """Stripe refused the request. `stripe_code` and `request_id` are Stripe's own."""

    code = "STRIPE_REFUSED"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        path: list[str] | None = None,
        stripe_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, path=path)
        self.stripe_code = stripe_code
        self.request_id = request_id


class UnauthenticatedError(FluxrateError):
    """No API key, or one that is unknown, revoked or expired."""

    code = "UNAUTHENTICATED"


class ForbiddenError(FluxrateError):
    """The API key lacks a scope."""

    code = "FORBIDDEN"


class InvalidCursorError(FluxrateError):
    """A cursor that is not from this workspace."""

    code = "INVALID_CURSOR"


class UnavailableError(FluxrateError):
    """The database is unavailable right now; nothing was changed, and trying again is safe."""

    code = "UNAVAILABLE"


class TimedOutError(FluxrateError):
    """A query ran too long and was stopped; a smaller one would be answered."""

    code = "TIMED_OUT"


class StripeUnavailableError(FluxrateError):
    """Stripe is unavailable right now. `retry_after_s` is how long it asks us to wait, None if it doesn't say."""

    code = "STRIPE_UNREACHABLE"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class RateLimitedError(FluxrateError):
    """Too many requests. `limit` and `maximum` say which limit was exceeded, `retry_after_s` when to try again."""

    code = "RATE_LIMITED"

    def __init__(self, limit: str, maximum: str, whose: str, retry_after_s: int) -> None:
        amount, _, unit = maximum.partition("/")
        message = f"At most {amount} requests per {unit} are answered {whose}: try again in {retry_after_s} s."
        super().__init__(message)
        self.limit = limit
        self.maximum = maximum
        self.retry_after_s = retry_after_s


class LinkNotMadeError(FluxrateError):
    """A Payment Link that Stripe did not confirm.

    `outcome_unknown`: Stripe may have made it anyway. `may_retry`: trying again can help. `same_attempt`: the next
    attempt must use the same idempotency key.
    """

    def __init__(self, code: str, detail: str, *, outcome_unknown: bool, may_retry: bool, same_attempt: bool) -> None:
        super().__init__(detail, code=code)
        self.outcome_unknown = outcome_unknown
        self.may_retry = may_retry
        self.same_attempt = same_attempt


class SealError(FluxrateError):
    """An encrypted secret that none of the configured keys decrypts."""

    code = "SEAL_ERROR"


class ConfigurationError(FluxrateError):
    """A setting or database that the operator must fix before the product starts."""

    code = "CONFIGURATION_ERROR"
