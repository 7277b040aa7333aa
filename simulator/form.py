"""Reads a request's parameters, a form with names in brackets or JSON, into a nested mapping of strings."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from simulator.errors import StripeError

Params = dict[str, Any]
"""Nested: its leaves are strings, whichever encoding they came in."""

MAX_BODY_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 10
MAX_FIELDS: Final = 2_000
NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
FORM: Final = "application/x-www-form-urlencoded"


def parse_form(encoded: str) -> Params:
    """Read a form: `a[b]=1&c[]=2&c[]=3` is `{"a": {"b": "1"}, "c": ["2", "3"]}`.

    Raises:
        StripeError: It is not UTF-8, too long, too deep, or has two values for one name.
    """
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise StripeError("Invalid request: the form can't be read as UTF-8, or is too long.") from error
    form: Params = {}
    for name, value in pairs:
        _put(form, _steps(name), value, name)
    return {name: _with_lists(name, value) for name, value in form.items()}


def parse_json(body: bytes) -> Params:
    """Read a JSON object; nulls are left out, numbers and booleans become strings.

    Raises:
        StripeError: It is no JSON object, or too deep.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise StripeError(f"The body is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise StripeError("The body must be a JSON object.")
    return {name: _as_text(value, 1) for name, value in content.items() if value is not None}


async def read_params(request: Request, *, json_allowed: bool) -> Params:
    """Read a request's parameters from its query and its body.

    Raises:
        StripeError: It can't be read.
    """
    params = parse_form(request.scope["query_string"].decode("latin-1"))
    body = await _read_body(request)
    if not body.strip():
        return params
    content_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if json_allowed and (content_type.endswith("json") or body.lstrip().startswith(b"{")):
        return params | parse_json(body)
    if content_type != FORM:
        raise StripeError(f"Invalid request (check that your POST content type is {FORM}).")
    return params | parse_form(body.decode("latin-1"))


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise StripeError("The request is too large: it may have 1 MiB at most.", status=413)
    return bytes(body)


def _steps(name: str) -> list[str]:
    match = NAME.fullmatch(name)
    if match is None:
        return [name]
    steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(steps) > MAX_DEPTH:
        raise StripeError(f"Invalid request: parameters may nest {MAX_DEPTH} levels at most.")
    return steps


def _put(form: Params, steps: list[str], value: str, name: str) -> None:
    node = form
    for position, step in enumerate(steps[:-1]):
        rest = steps[position + 1 :]
        node = node.setdefault(step or _index(node, rest), {})
        if not isinstance(node, dict):
            raise StripeError(f"Invalid request: {name} is given both as a value and as a hash.")
    last = steps[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise StripeError(f"Invalid request: {name} is given both as a value and as a hash.")
    node[last] = value


def _index(items: Params, rest: list[str]) -> str:
    """Choose the item that `items[][…]` means: the last one, until it has that field already."""
    node: Any = items.get(str(len(items) - 1))
    for step in rest:
        node = node.get(step) if isinstance(node, dict) else None
    return str(len(items)) if node is not None or not items else str(len(items) - 1)


def _with_lists(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if name != "metadata" and all(step.isascii() and step.isdigit() for step in value):
        return [_with_lists("", value[step]) for step in sorted(value, key=lambda step: (len(step), step))]
    return {step: _with_lists(step, inner) for step, inner in value.items()}


def _as_text(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise StripeError(f"The body may nest {MAX_DEPTH} levels at most.")
    if isinstance(value, dict):
        return {name: _as_text(inner, depth + 1) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_as_text(inner, depth + 1) for inner in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
