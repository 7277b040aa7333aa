"""Behind a proxy: who the client is. Anybody can write these headers, so only a trusted proxy's count."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import structlog
from starlette.types import Scope

log = structlog.get_logger(__name__)

_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Forwarded:
    """Reads X-Forwarded-For and X-Forwarded-Proto of proxies within `trusted` networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in trusted]
        self._is_trusted = lru_cache(4096)(self._trusts)
        self._has_warned = False

    def read(self, scope: Scope) -> None:
        """Put the client's address and scheme into a request that came through a trusted proxy."""
        client = scope.get("client")
        if client is None:
            return
        if self._networks and self._is_trusted(client[0]):
            self._take(scope)
        elif not self._has_warned and any(name == _FOR for name, _ in scope["headers"]):
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
        """The address farthest from us that a trusted proxy vouches for: each adds whom it heard, at the end."""
        nearest = None
        for text in reversed(chain.split(",")):
            address = address_in(text.strip())
            if address is None:
                break
            nearest = address
            if not self._is_trusted(address):
                break
        return nearest

    def _trusts(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any((getattr(address, "ipv4_mapped", None) or address) in network for network in self._networks)


def address_in(text: str) -> str | None:
    """The IP address in a text that may name a port too: `192.0.2.1:80`, `[2001:db8::1]:80`; None for all else."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None
