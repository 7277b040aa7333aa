"""Compresses whole bodies for clients that accept gzip. Streams are never compressed."""

import re
import zlib
from typing import Final

from starlette.concurrency import run_in_threadpool

MIN_BYTES: Final = 2048
"""Smaller answers fit into a packet or two anyway."""

_LEVEL: Final = 3
"""The highest of zlib's fast levels: for JSON, level 6 saves a tenth more and takes twice as long."""

_THREAD_BYTES: Final = 128 * 1024
"""Larger bodies take milliseconds, so a thread compresses them while others are served."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def accepted_encodings(accept_encoding: str) -> set[str]:
    """Return the encodings that a client accepts: of `gzip, br;q=0` only gzip."""
    entries = [entry.partition(";") for entry in accept_encoding.lower().split(",")]
    return {name.strip() for name, _, weight in entries if _REFUSED.fullmatch(weight) is None}


async def compressed(body: bytes, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """Compress a body unless it is small or the client doesn't accept gzip; also return the header that says so."""
    if len(body) < MIN_BYTES or "gzip" not in accepted_encodings(accept_encoding):
        return body, {}
    smaller = _gzip(body) if len(body) < _THREAD_BYTES else await run_in_threadpool(_gzip, body)
    return smaller, {"content-encoding": "gzip"}


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _GZIP)
