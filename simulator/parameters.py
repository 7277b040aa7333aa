"""Readers of parameters: each takes a sent value and its name, and returns the value or raises Stripe's error."""

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from simulator.errors import StripeError

Reader = Callable[[Any, str], Any]

METADATA_KEYS: Final = 50
METADATA_KEY_LENGTH: Final = 40
METADATA_VALUE_LENGTH: Final = 500


def fields(shape: Mapping[str, Reader], required: Collection[str] = ()) -> Reader:
    """Read a hash of these names and no other."""

    def read(value: Any, param: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise StripeError("Invalid object", param=param)
        for name in value:
            if name not in shape:
                raise unknown(_inside(param, name))
        for name in required:
            if name not in value:
                raise missing(_inside(param, name))
        return {name: shape[name](inner, _inside(param, name)) for name, inner in value.items()}

    return read


def list_of(reader: Reader, most: int = 100) -> Reader:
    """Read a list of at least one."""

    def read(value: Any, param: str) -> list[Any]:
        if not isinstance(value, list):
            raise StripeError("Invalid array", param=param)
        if not value:
            raise missing(param)
        if len(value) > most:
            raise StripeError(f"Array {param} exceeded maximum {most} allowed elements.", param=param)
        return [reader(inner, f"{param}[{index}]") for index, inner in enumerate(value)]

    return read


def text(longest: int = 5_000) -> Reader:
    """Read a string that isn't empty."""

    def read(value: Any, param: str) -> str:
        if not isinstance(value, str):
            raise StripeError("Invalid string", param=param)
        if not value:
            message = f"You passed an empty string for '{param}', which can't be unset: leave it out or fill it."
            raise StripeError(message, code="parameter_invalid_empty", param=param)
        if len(value) > longest:
            message = f"Invalid string: {value[:20]}…; must be at most {longest} characters"
            raise StripeError(message, param=param)
        return value

    return read


def integer(least: int = 0, most: int = 10**15) -> Reader:
    """Read a whole number in a range."""

    def read(value: Any, param: str) -> int:
        code = "parameter_invalid_integer"
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise StripeError(f"Invalid integer: {str(value)[:40]}", code=code, param=param)
        number = int(value)
        if number < least:
            message = f"This value must be greater than or equal to {least}."
            raise StripeError(message, code=code, param=param)
        if number > most:
            raise StripeError(f"This value must be less than or equal to {most}.", code=code, param=param)
        return number

    return read


def past_instant(value: Any, param: str) -> int:
    """Read an instant in the past, in seconds since 1970."""
    return int(integer(most=int(time.time()))(value, param))


def seconds(most: float) -> Reader:
    """Read a duration, fractions allowed."""

    def read(value: Any, param: str) -> float:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            raise StripeError(f"Invalid number of seconds: {str(value)[:40]}", param=param)
        if float(value) > most:
            raise StripeError(f"This value must be less than or equal to {most}.", param=param)
        return float(value)

    return read


def flag(value: Any, param: str) -> bool:
    """Read a boolean."""
    if value not in ("true", "false"):
        raise StripeError(f"Invalid boolean: {str(value)[:40]}", param=param)
    return bool(value == "true")


def one_of(*choices: str) -> Reader:
    """Read one of some words."""

    def read(value: Any, param: str) -> str:
        if value not in choices:
            raise StripeError(f"Invalid {param}: must be one of {', '.join(choices)}", param=param)
        return str(value)

    return read


def matching(pattern: str, expected: str) -> Reader:
    """Read a string that matches a pattern; `expected` describes it in the error."""

    def read(value: Any, param: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise StripeError(f"Invalid {param}: must be {expected}", param=param)
        return value

    return read


def anything(value: Any, param: str) -> Any:  # noqa: ARG001 - a Reader takes it
    """Take what was sent as it is."""
    return value


def unsupported(value: Any, param: str) -> Any:  # noqa: ARG001 - a Reader takes it
    """Refuse what Stripe knows and the simulator doesn't."""
    raise StripeError(f"The simulator doesn't support {param}: it takes one-time payments only.", param=param)


def metadata(value: Any, param: str) -> dict[str, str] | None:
    """Read metadata; an empty value unsets a key, and None means that all of it is unset."""
    if value == "":
        return None
    if not isinstance(value, dict) or not all(isinstance(inner, str) for inner in value.values()):
        raise StripeError("Invalid metadata: must be a hash of strings", param=param)
    for key, inner in value.items():
        if len(key) > METADATA_KEY_LENGTH:
            message = f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters, but you passed '{key}'."
            raise StripeError(message, param=param)
        if len(inner) > METADATA_VALUE_LENGTH:
            message = (
                f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters, "
                f"but you passed in a value that is {len(inner)} characters."
            )
            raise StripeError(message, param=f"{param}[{key}]")
    merged_metadata({}, value, param)
    return dict(value)


def merged_metadata(before: Mapping[str, str], given: Mapping[str, str] | None, param: str) -> dict[str, str]:
    """Apply what was given to what was there, as Stripe merges metadata."""
    if given is None:
        return {}
    merged = {key: value for key, value in {**before, **given}.items() if value}
    if len(merged) > METADATA_KEYS:
        raise StripeError(f"Metadata can have up to {METADATA_KEYS} keys.", param=param)
    return merged


def unknown(param: str) -> StripeError:
    """Refuse a parameter that doesn't exist."""
    return StripeError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def missing(param: str) -> StripeError:
    """Refuse the absence of a parameter."""
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def _inside(param: str, name: str) -> str:
    return f"{param}[{name}]" if param else name
