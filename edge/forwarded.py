"""Finds the client's address behind a proxy. Anybody can send these headers, so only a trusted proxy's are read."""

from collections.abc import Sequence
from typing import Final

import structlog
from starlette.types import Scope

from edge.address import Networks, address_in

log = structlog.get_logger(__name__)

_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Forwarded:
    """Reads X-Forwarded-For and X-Forwarded-Proto of proxies within `trusted` networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = Networks(trusted)
        self._has_warned = False

    def read(self, scope: Scope) -> None:
        """Put the client's address and scheme into a request that came through a trusted proxy."""
        client = scope.get("client")
        if client is None:
            return
        if client[0] in self._trusted:
            self._take(scope)
        elif not self._has_warned and _FOR in dict(scope["headers"]):
            self._has_warned = True
            log.warning(
                "X-Forwarded-For is ignored: if its sender is your proxy, add it to FLUXRATE_TRUSTED_PROXIES, else all"
                " clients behind it share one address's limits",
                sender=client[0],
            )

    def _take(self, scope: Scope) -> None:
        said = {_FOR: b"", _PROTO: b""}
        for name, value in scope["headers"]:
            if name == _FOR:
                said[_FOR] += b"," + value
            elif name == _PROTO:
                said[_PROTO] = value
        if (address := self._client_in(said[_FOR].lstrip(b",").decode("latin-1"))) is not None:
            scope["client"] = (address, 0)
        if (scheme := _SCHEMES.get(said[_PROTO].strip())) is not None:
            scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme

    def _client_in(self, chain: str) -> str | None:
        """Find the farthest address that a trusted proxy reports: each proxy appends the address of its own client."""
        nearest = None
        for text in reversed(chain.split(",")):
            address = address_in(text.strip())
            if address is None:
                break
            nearest = address
            if address not in self._trusted:
                break
        return nearest
