"""Limits the open connections of a process. Each takes a file descriptor, and without a free one nobody is served.

A connection is idle until it has sent a whole head, between two requests, and while its WebSocket has not sent its
key. When connections are short, each new one closes the one that has been idle longest. If none is idle, the last
free connections are reserved for requests that must not wait: webhooks and health checks.
"""

import resource
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import structlog
import uvicorn
from uvicorn.server import ServerState

from edge.address import Networks, client_of

log = structlog.get_logger(__name__)

MAX_CONNECTIONS: Final = 16_384
OWN_DESCRIPTORS: Final = 128
"""How many descriptors are kept for the databases, Redis, Stripe's API and files."""

_MAX_BACKLOG: Final = 2048
_MANY: Final = 1 << 20
_LOG_INTERVAL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many connections may be open: `total`, `reserved` of them for urgent requests, and `per_address`.

    The server may accept `backlog` more before it looks at any, so their descriptors are kept free.
    """

    total: int
    reserved: int
    per_address: int
    backlog: int

    @classmethod
    def of(cls, descriptors: int) -> Self:
        """Compute what a limit of descriptors allows."""
        backlog = min(_MAX_BACKLOG, descriptors // 8)
        total = max(16, min(MAX_CONNECTIONS, descriptors - OWN_DESCRIPTORS - backlog))
        return cls(total, reserved=total // 8, per_address=total // 2, backlog=backlog)


def descriptors() -> int:
    """Return how many descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> None:
    """Raise the soft limit of descriptors to the hard one: systems often set it to 1,024 for old programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, 10_240):  # macOS reports "infinite" but allows no more than the second
        with suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard)
            )
            return


class Connection(Protocol):
    """A connection, as it is counted here."""

    def drop(self) -> bool:
        """Close it unless an answer is still being sent; return whether it was closed."""


@dataclass(slots=True)
class _Client:
    name: str
    is_bounded: bool
    connections: int = 0
    idle: dict[Connection, None] = field(default_factory=dict)


class Connections:
    """The open connections of this process; idle ones are kept in the order in which they became idle.

    A proxy in `trusted` has many clients, so no limit per address holds for it. `on_drop` is called with "idle" for
    an idle connection that is closed, and with "refused" for a new one that is.
    """

    def __init__(self, capacity: Capacity, trusted: Networks, on_drop: Callable[[str], None]) -> None:
        self._capacity = capacity
        self._trusted = trusted
        self._on_drop = on_drop
        self._client_of: dict[Connection, _Client] = {}
        self._clients: dict[str, _Client] = {}
        self._idle: dict[Connection, None] = {}
        self._unlogged: Counter[str] = Counter()
        self._logged_at = -_LOG_INTERVAL_S

    def admit(self, connection: Connection, host: str) -> bool:
        """Add a new connection as idle, closing an older idle one if they are short; False if it must be refused."""
        client, reserved = self._join(connection, host), self._capacity.reserved
        if self._excess_of(client) > 0:
            self._drop_longest(client.idle)
        if self._excess > 0:
            self._drop_longest(self._idle)
        if self._excess > reserved or self._excess_of(client) > reserved // 2:
            self.forget(connection)
            self.note("refused")
            return False
        self.idle(connection)
        return True

    def keep(self, connection: Connection, host: str) -> None:
        """Add a connection as idle, even if they are short."""
        self._join(connection, host)
        self.idle(connection)

    def _join(self, connection: Connection, host: str) -> _Client:
        name = client_of(host)
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = _Client(name, is_bounded=host not in self._trusted)
        client.connections += 1
        self._client_of[connection] = client
        return client

    def forget(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self.busy(connection)
        client = self._client_of.pop(connection, None)
        if client is not None:
            client.connections -= 1
            if not client.connections:
                del self._clients[client.name]

    def busy(self, connection: Connection) -> None:
        """Mark a connection as in use."""
        client = self._client_of.get(connection)
        if client is not None and connection in client.idle:
            del client.idle[connection], self._idle[connection]

    def idle(self, connection: Connection) -> None:
        """Mark a connection as idle."""
        client = self._client_of.get(connection)
        if client is not None:
            self._idle[connection] = client.idle[connection] = None

    def is_short(self, connection: Connection) -> bool:
        """Whether only reserved connections are left, in all or for this connection's address."""
        client = self._client_of.get(connection)
        return self._excess > 0 or (client is not None and self._excess_of(client) > 0)

    def note(self, why: str) -> None:
        """Count a connection that was closed or refused, and log the counts at most once a minute."""
        self._on_drop(why)
        self._unlogged[why] += 1
        if time.monotonic() - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = time.monotonic()
            log.warning(
                "connections are short: raise the limit of descriptors (ulimit -n), add workers, or see who opens them",
                open=len(self._client_of),
                **self._unlogged,
            )
            self._unlogged.clear()

    @property
    def _excess(self) -> int:
        return len(self._client_of) - (self._capacity.total - self._capacity.reserved)

    def _excess_of(self, client: _Client) -> int:
        return client.connections - self._capacity.per_address if client.is_bounded else 0

    def _drop_longest(self, idle: dict[Connection, None]) -> None:
        dropped = next((connection for connection in idle if connection.drop()), None)
        if dropped is not None:
            self.forget(dropped)
            self.note("idle")


# --- Of a server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admission:
    """Exceptions: `trusted_proxies` have no limit per address; paths that begin with one of `reserved_paths` may
    use the reserved connections.
    """

    trusted_proxies: tuple[str, ...] = ()
    reserved_paths: tuple[bytes, ...] = ()


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration with our admission rules; uvicorn passes it to its worker processes."""

    def __init__(self, *args: Any, admission: Admission, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.admission = admission


def connections_of(config: uvicorn.Config, server_state: ServerState) -> Connections:
    """Return the connections of a server; all its protocols share them by its state."""
    known = vars(server_state)
    if "kept" not in known:
        on_drop: Callable[[str], None] = getattr(config.loaded_app, "count_dropped", lambda _: None)
        trusted = Networks(admission_of(config).trusted_proxies)
        known["kept"] = Connections(Capacity.of(descriptors()), trusted, on_drop)
    connections: Connections = known["kept"]
    return connections


def admission_of(config: uvicorn.Config) -> Admission:
    return config.admission if isinstance(config, BoundedConfig) else Admission()
