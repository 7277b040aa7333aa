"""Reads a GraphQL request over HTTP. Any request is understood or refused; none causes an internal error.

Source: "GraphQL over HTTP" (draft).
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive
from strawberry.http.parse_content_type import parse_content_type

from edge.size import MAX_REQUEST_BYTES
from execution.documents import NUL_REFUSED, has_nul

BODY_TIMEOUT_S: Final = 15.0
JSON: Final = "application/json"
GRAPHQL_RESPONSE: Final = "application/graphql-response+json"

_MEMBERS: Final = (
    ("query", str, "a string"),
    ("operationName", str, "a string"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


def bounded(receive: Receive, max_bytes: int = MAX_REQUEST_BYTES) -> Receive:
    """Limit the body of a request: wrap `receive` to raise when it gets too large."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise HTTPException(413, f"The request is larger than {max_bytes} bytes.")
        return message

    return receive_bounded


async def asked_by(request: Request) -> Mapping[str, Any]:
    """Read the request's query, operationName, variables and extensions, and check their types.

    Raises:
        HTTPException: It can't be read.
    """
    asked = _parameters(request.query_params) if request.method == "GET" else await json_body(request)
    if not isinstance(asked, dict):
        raise HTTPException(400, "The request must be one JSON object: batches are not taken.")
    for name, type_, what in _MEMBERS:
        if not isinstance(asked.get(name), type_ | None):
            raise HTTPException(400, f'"{name}" must be {what}.')
    if has_nul(asked.get("variables")):
        raise HTTPException(400, NUL_REFUSED)
    return asked


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    in_json = {name: parameters.get(name) for name in ("variables", "extensions")}
    return {**parameters, **{name: _read(text) if text else None for name, text in in_json.items()}}


async def json_body(request: Request) -> object:
    """Read a request's body as JSON.

    Raises:
        HTTPException: It is not JSON, or takes too long.
    """
    media_type, parameters = parse_content_type(request.headers.get("content-type", ""))
    charset = str(parameters.get("charset", "utf-8")).strip("\"'").lower()
    if media_type.lower() != JSON or charset != "utf-8":
        raise HTTPException(415, "The request must be JSON in UTF-8: Content-Type: application/json.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return _read(await request.body())
    except TimeoutError:
        raise HTTPException(408, "The request took too long to arrive.") from None


def _read(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise HTTPException(400, "The request is not JSON in UTF-8, or nested too deeply.") from None


# --- What the client accepts -----------------------------------------------------------------------------------


def media_type(accept: str) -> str:
    """Choose the media type that a client prefers, by weight and then by order; by default application/json."""
    accepted = [parse_content_type(entry.strip()) for entry in accept.split(",")]
    known = [(name, parameters) for name, parameters in accepted if name in {JSON, GRAPHQL_RESPONSE}]
    return max(known, key=lambda entry: _quality(entry[1]), default=(JSON, {}))[0]


def _quality(parameters: Mapping[str, object]) -> float:
    try:
        return float(str(parameters.get("q", "1")))
    except ValueError:
        return 0.0
