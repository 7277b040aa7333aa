"""Everything that can be refused, and why.

FluxrateError
├── RefusalError             a client can cause it: a member of the result's union
│   ├── InvalidInputError
│   ├── NotFoundError
│   ├── ConflictError
│   ├── InvalidTransitionError
│   ├── ModeMismatchError
│   └── StripeRefusedError
├── UnauthenticatedError     no valid API key
├── ForbiddenError           the API key lacks a scope
├── InvalidCursorError       a cursor that this workspace never gave out
├── UnavailableError         the database is unavailable right now; trying again is safe
├── StripeUnavailableError   Stripe is unavailable right now; trying again is safe
├── RateLimitedError         a caller sends too many requests
├── TimedOutError            the database took too long over a question
├── LinkNotMadeError         a Payment Link that Stripe did not say it made
├── SealError                a sealed secret that no configured key opens
└── ConfigurationError       what the operator must fix before the product starts
"""


class FluxrateError(Exception):
    """An error with a stable code and a sentence that says what to do."""

    code = "ERROR"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class RefusalError(FluxrateError):
    """A refusal that a client can cause and resolve. `path` leads to the input at fault."""

    def __init__(self, message: str, *, code: str | None = None, path: list[str] | None = None) -> None:
        super().__init__(message, code=code)
        self.path = path


class InvalidInputError(RefusalError):
    """A value that can't be taken as it is."""

    code = "INVALID_INPUT"


class NotFoundError(RefusalError):
    """This workspace has no such thing."""

    code = "NOT_FOUND"


class ConflictError(RefusalError):
    """What is asked for contradicts what is there already."""

    code = "CONFLICT"


class InvalidTransitionError(RefusalError):
    """An invoice can't go from the state that it is in to the one asked for."""

    code = "INVALID_TRANSITION"

    def __init__(self, message: str, *, from_status: str, to_status: str, path: list[str] | None = None) -> None:
        super().__init__(message, path=path or ["id"])
        self.from_status = from_status
        self.to_status = to_status


class ModeMismatchError(RefusalError):
    """Test and live don't mix."""

    code = "MODE_MISMATCH"


class StripeRefusedError(RefusalError):
    """Stripe gave a definite no. `stripe_code` and `request_id` are Stripe's own."""

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
    """A cursor that this workspace never gave out."""

    code = "INVALID_CURSOR"


class UnavailableError(FluxrateError):
    """The database is unavailable right now; nothing was changed and trying again is safe."""

    code = "UNAVAILABLE"


class TimedOutError(FluxrateError):
    """The database took too long over a question and was stopped: a smaller one would be answered."""

    code = "TIMED_OUT"


class StripeUnavailableError(FluxrateError):
    """Stripe is unavailable right now, or asks us to wait for `retry_after_s`; None when it doesn't say."""

    code = "STRIPE_UNREACHABLE"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class RateLimitedError(FluxrateError):
    """Too many requests. `limit` and `maximum` say which limit it is, `retry_after_s` when to try again."""

    code = "RATE_LIMITED"

    def __init__(self, limit: str, maximum: str, whose: str, retry_after_s: int) -> None:
        amount, _, unit = maximum.partition("/")
        message = f"At most {amount} requests per {unit} are answered {whose}: try again in {retry_after_s} s."
        super().__init__(message)
        self.limit = limit
        self.maximum = maximum
        self.retry_after_s = retry_after_s


class LinkNotMadeError(FluxrateError):
    """A Payment Link that Stripe did not say it made.

    `outcome_unknown`: it may have been made all the same. `may_retry`: trying again can help.
    `same_attempt`: the next try has to repeat the idempotency key.
    """

    def __init__(self, code: str, detail: str, *, outcome_unknown: bool, may_retry: bool, same_attempt: bool) -> None:
        super().__init__(detail, code=code)
        self.outcome_unknown = outcome_unknown
        self.may_retry = may_retry
        self.same_attempt = same_attempt


class SealError(FluxrateError):
    """A sealed secret that none of the configured encryption keys opens."""

    code = "SEAL_ERROR"


class ConfigurationError(FluxrateError):
    """What the operator must fix before the product starts."""

    code = "CONFIGURATION_ERROR"
