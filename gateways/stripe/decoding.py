"""JSON as Stripe writes it, a little of which is no JSON to others."""

import json
from typing import Any

import orjson


def decoded(body: str | bytes) -> Any:
    """What Stripe wrote; half of a surrogate pair in it, which is no text, becomes a question mark.

    A number that is too large for any field becomes an infinite one.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _leniently(body, error)


def _leniently(body: str | bytes, error: orjson.JSONDecodeError) -> Any:
    try:
        text = body if isinstance(body, str) else body.decode()
        return _as_text(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        raise error from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    if isinstance(value, dict):
        return {_as_text(name): _as_text(each) for name, each in value.items()}
    return value
