"""Turns Stripe's errors into ours, which say whether the outcome is known and whether to try again."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from errors import LinkNotMadeError, StripeRefusedError, StripeUnavailableError
from models.reason import Reason
from models.secret import without_secrets

if TYPE_CHECKING:
    import stripe

_MESSAGE_LENGTH: Final = 500
_DEFAULT_PAUSE_S: Final = 1.0


@contextmanager
def link_errors() -> Iterator[None]:
    """Raise Stripe's errors as LinkNotMadeError, which says whether the outcome is known and another try can help."""
    import stripe

    try:
        yield
    except stripe.APIConnectionError:
        raise LinkNotMadeError(
            Reason.STRIPE_UNREACHABLE,
            "no answer came in time.",
            outcome_unknown=True,
            may_retry=True,
            same_attempt=True,
        ) from None
    except stripe.StripeError as error:
        raise _not_made(error) from None


@contextmanager
def asking_errors(what: str) -> Iterator[None]:
    """Raise Stripe's errors as StripeRefusedError or StripeUnavailableError.

    `what` completes the message for a key without the permission: "The restricted key may not …".
    """
    import stripe

    try:
        yield
    except stripe.APIConnectionError:
        raise StripeUnavailableError("Stripe can't be reached right now: try again in a moment.") from None
    except (stripe.RateLimitError, stripe.APIError) as error:
        pause = (error.headers or {}).get("retry-after", "")
        retry_after_s = float(pause) if pause.isascii() and pause.isdecimal() else _DEFAULT_PAUSE_S
        raise StripeUnavailableError(
            f"Stripe can't answer right now: {said(error)} Try again in a moment.",
            code=Reason.STRIPE_BUSY,
            retry_after_s=retry_after_s,
        ) from None
    except stripe.AuthenticationError as error:
        raise refused(error, Reason.KEY_REJECTED, "Stripe does not accept the secret key") from None
    except stripe.PermissionError as error:
        raise refused(error, Reason.KEY_NOT_PERMITTED, f"The restricted key may not {what}") from None
    except stripe.StripeError as error:
        raise refused(error, Reason.STRIPE_REFUSED, "Stripe refused") from None


def said(error: "stripe.StripeError") -> str:
    """Return Stripe's message without anything that looks like a key."""
    message = without_secrets(str(error.user_message or "no reason was given"))[:_MESSAGE_LENGTH]
    return message if message.endswith(".") else f"{message}."


def refused(error: "stripe.StripeError", code: str, sentence: str, path: list[str] | None = None) -> StripeRefusedError:
    """Make the error of a refusal: our sentence, then Stripe's."""
    return StripeRefusedError(
        f"{sentence}: {said(error)}",
        code=code,
        path=path,
        stripe_code=error.code,
        request_id=error.request_id,
    )


def _not_made(error: "stripe.StripeError") -> LinkNotMadeError:
    import stripe

    if isinstance(error, stripe.AuthenticationError):
        return _definite(Reason.KEY_REJECTED, error)
    if isinstance(error, stripe.PermissionError):
        return _definite(Reason.KEY_NOT_PERMITTED, error)
    if isinstance(error, stripe.RateLimitError):
        return _definite(Reason.STRIPE_BUSY, error, may_retry=True)
    if error.http_status == HTTPStatus.CONFLICT:  # the idempotency key is in use: another request is under way
        return LinkNotMadeError(
            Reason.STRIPE_BUSY, said(error), outcome_unknown=True, may_retry=True, same_attempt=True
        )
    if error.http_status is not None and error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # Stripe replays a stored 5xx for its idempotency key, and may have made the link before it failed.
        return LinkNotMadeError(
            Reason.STRIPE_BUSY, said(error), outcome_unknown=True, may_retry=True, same_attempt=False
        )
    return _definite(Reason.STRIPE_REFUSED, error)


def _definite(code: str, error: "stripe.StripeError", *, may_retry: bool = False) -> LinkNotMadeError:
    return LinkNotMadeError(code, said(error), outcome_unknown=False, may_retry=may_retry, same_attempt=False)
