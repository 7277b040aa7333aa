"""Compressing answers for who takes it. Bodies are whole: streams go out as they happen, and are never compressed."""

import re
import zlib
from typing import Final

from starlette.concurrency import run_in_threadpool

MIN_BYTES: Final = 2048
"""Smaller answers take a packet or two anyway."""

_LEVEL: Final = 3
"""The last of zlib's fast ones: of JSON, level 6 saves a tenth more and takes twice as long."""

_ALONE_BYTES: Final = 128 * 1024
"""From here on it takes milliseconds, in which others are to be served."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def accepted_encodings(accept_encoding: str) -> set[str]:
    """The encodings that a client names, but for those that it refuses: `gzip, br;q=0`."""
    entries = [entry.partition(";") for entry in accept_encoding.lower().split(",")]
    return {name.strip() for name, _, weight in entries if _REFUSED.fullmatch(weight) is None}


async def compressed(body: bytes, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """A body as a client takes it, and the header that says how: as it is where it is small, else in gzip."""
    if len(body) < MIN_BYTES or "gzip" not in accepted_encodings(accept_encoding):
        return body, {}
    smaller = _gzip(body) if len(body) < _ALONE_BYTES else await run_in_threadpool(_gzip, body)
    return smaller, {"content-encoding": "gzip"}


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _GZIP)
