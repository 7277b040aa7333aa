"""Decodes Stripe's JSON, which in a few cases isn't valid JSON."""

import json
from typing import Any

import orjson


def decoded(body: str | bytes) -> Any:
    """Decode a body. Half of a surrogate pair, which is invalid, becomes a question mark.

    A number that is too large for any field becomes infinity.

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
