"""Reading a request's body, bounded in size and time."""

import asyncio
from typing import Final

from starlette.types import Receive

MAX_BODY_BYTES: Final = 1024 * 1024
BODY_TIMEOUT_S: Final = 10.0
_MAX_DIGITS: Final = len(str(MAX_BODY_BYTES))


class TooLargeError(Exception):
    """The body has more than MAX_BODY_BYTES."""


class TooSlowError(Exception):
    """The body took longer than BODY_TIMEOUT_S."""


class GoneError(Exception):
    """The client hung up before the end of the body."""


async def read_body(receive: Receive, content_length: bytes | None) -> bytes:
    """Read the whole body.

    Raises:
        TooLargeError: It is larger than allowed, or says so.
        TooSlowError: It did not come in time.
        GoneError: It will never come.
    """
    if content_length is not None and _says_too_large(content_length):
        raise TooLargeError
    loop = asyncio.get_running_loop()
    task = asyncio.current_task(loop)
    is_late = False

    def interrupt() -> None:
        nonlocal is_late
        is_late = True
        if task is not None:
            task.cancel()

    timer = loop.call_later(BODY_TIMEOUT_S, interrupt)  # asyncio.timeout() costs three times as much
    try:
        return await _collect(receive)
    except asyncio.CancelledError:
        if not is_late or (task is not None and task.uncancel() > 0):
            raise
        raise TooSlowError from None
    finally:
        timer.cancel()


def _says_too_large(content_length: bytes) -> bool:
    digits = content_length.lstrip(b"0")
    return digits.isdigit() and (len(digits) > _MAX_DIGITS or int(digits) > MAX_BODY_BYTES)


async def _collect(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
        return body
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise GoneError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise TooLargeError
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
