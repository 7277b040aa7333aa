"""Fields of Stripe's objects, read and checked.

If a field has another type than Stripe documents, reading it raises UnreadableError, which names the field.
"""

from collections.abc import Mapping
from typing import Any, Final

from models.money import MAX_MINOR_UNITS
from models.payment_fact import UnreadableError

MAX_EPOCH: Final = 253_402_300_799
"""The end of the year 9999 in Unix seconds."""

MAX_ID: Final = 255
"""Characters of an id or a code."""


StripeObject = Mapping[str, Any]
"""A JSON object of Stripe's."""

Facts = dict[str, Any]
"""Fields of a PaymentFact, by name."""


def reference(subject: StripeObject, name: str) -> str | None:
    """Read an id, which may have been expanded to the object."""
    value = subject.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    if value is None:
        return None
    return text(value, f"data.object.{name}")


def required_id(holder: StripeObject, name: str, where: str | None = None) -> str:
    value = optional_id(holder, name, where)
    if not value:
        raise UnreadableError(f"{where or name} is missing")
    return value


def optional_id(holder: StripeObject, name: str, where: str | None = None, maximum: int = MAX_ID) -> str | None:
    value = holder.get(name)
    return None if value is None else text(value, where or name, maximum)


def text(value: object, where: str, maximum: int = MAX_ID) -> str:
    if not isinstance(value, str) or len(value) > maximum or "\x00" in value:
        raise UnreadableError(f"{where} is not a text of at most {maximum} characters")
    return value


def currency_of(subject: StripeObject, name: str = "currency") -> str:
    value = subject.get(name)
    if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isalpha():
        raise UnreadableError(f"{name} is not a three-letter code")
    return value.upper()


def boolean(holder: StripeObject, name: str) -> bool:
    value = holder.get(name)
    if not isinstance(value, bool):
        raise UnreadableError(f"{name} is neither true nor false")
    return value


def amount_of(subject: StripeObject, name: str) -> int:
    """Read minor units: the amount with this name, or else `amount`."""
    own = subject.get(name)
    return integer(subject, "amount" if own is None else name, MAX_MINOR_UNITS)


def integer(holder: StripeObject, name: str, maximum: int, default: int | None = None) -> int:
    """Read a whole number from 0; `default` replaces a missing one, which is an error without a default."""
    value = holder.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise UnreadableError(f"{name} is not a whole number from 0 to {maximum}")
    return value


def prose(text: object, length: int) -> str | None:
    return text.replace("\x00", "")[:length] if isinstance(text, str) and text else None
