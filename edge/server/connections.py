"""Which connections a process keeps. Each takes a file descriptor, and without one nobody is served.

Idle is who has not sent a whole head yet, waits between two requests, or has opened a WebSocket without saying who it
is. When connections are short the one that is idle longest makes room for the next. Where nobody is idle the last of
them are for what must not wait: webhooks and health.
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
"""How many descriptors are left to the databases, Redis, Stripe's API and files."""

_MAX_BACKLOG: Final = 2048
_MANY: Final = 1 << 20
_LOG_INTERVAL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many connections there may be. Of `total`, `room` are kept; an address has `per_address`.

    Up to `backlog` are accepted before any is looked at, so their descriptors are not given away.
    """

    total: int
    room: int
    per_address: int
    backlog: int

    @classmethod
    def of(cls, descriptors: int) -> Self:
        """What fits into a limit of descriptors."""
        backlog = min(_MAX_BACKLOG, descriptors // 8)
        total = max(16, min(MAX_CONNECTIONS, descriptors - OWN_DESCRIPTORS - backlog))
        return cls(total, room=total // 8, per_address=total // 2, backlog=backlog)


def descriptors() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> None:
    """Take as many descriptors as the system allows: what it gives at first is often 1,024, for old programs' sake."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, 10_240):  # macOS allows no more than the second, and says "infinite"
        with suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard)
            )
            return


class Connection(Protocol):
    """What is kept."""

    def drop(self) -> bool:
        """Hang up, unless an answer is still on its way; whether it did."""


@dataclass(slots=True)
class _Client:
    name: str
    is_bounded: bool
    connections: int = 0
    idle: dict[Connection, None] = field(default_factory=dict)


class Connections:
    """Those of this process; what is idle is in the order in which it became so.

    `trusted` are the proxies whose connections are many clients'. `on_drop` is called for each that was "idle" and
    dropped, or "refused".
    """

    def __init__(self, capacity: Capacity, trusted: Networks, on_drop: Callable[[str], None]) -> None:
        self._capacity = capacity
        self._trusted = trusted
        self._on_drop = on_drop
        self._client_of: dict[Connection, _Client] = {}
        self._clients: dict[str, _Client] = {}
        self._idle: dict[Connection, None] = {}
        self._untold: Counter[str] = Counter()
        self._told_at = -_LOG_INTERVAL_S

    def admit(self, connection: Connection, host: str) -> bool:
        """Make room for a connection and keep it, idle; False where there is none."""
        client, room = self._join(connection, host), self._capacity.room
        if self._excess_of(client) > 0:
            self._drop_longest(client.idle)
        if self._excess > 0:
            self._drop_longest(self._idle)
        if self._excess > room or self._excess_of(client) > room // 2:
            self.forget(connection)
            self.note("refused")
            return False
        self.idle(connection)
        return True

    def keep(self, connection: Connection, host: str) -> None:
        """Keep a connection, idle, whatever there is room for."""
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
        """Keep a connection no longer."""
        self.busy(connection)
        client = self._client_of.pop(connection, None)
        if client is not None:
            client.connections -= 1
            if not client.connections:
                del self._clients[client.name]

    def busy(self, connection: Connection) -> None:
        """Say that a connection is used from now on."""
        client = self._client_of.get(connection)
        if client is not None and connection in client.idle:
            del client.idle[connection], self._idle[connection]

    def idle(self, connection: Connection) -> None:
        """Say that a connection is idle from now on."""
        client = self._client_of.get(connection)
        if client is not None:
            self._idle[connection] = client.idle[connection] = None

    def is_short(self, connection: Connection) -> bool:
        """Whether there is room left only for what must not wait, at all or for this connection's address."""
        client = self._client_of.get(connection)
        return self._excess > 0 or (client is not None and self._excess_of(client) > 0)

    def note(self, why: str) -> None:
        """Count a client that was not served; logged at most once a minute."""
        self._on_drop(why)
        self._untold[why] += 1
        if time.monotonic() - self._told_at >= _LOG_INTERVAL_S:
            self._told_at = time.monotonic()
            log.warning(
                "connections are short: raise the limit of descriptors (ulimit -n), add workers, or see who opens them",
                open=len(self._client_of),
                **self._untold,
            )
            self._untold.clear()

    @property
    def _excess(self) -> int:
        return len(self._client_of) - (self._capacity.total - self._capacity.room)

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
    """Who is let in: `trusted_proxies` without a bound per address, and paths that begin so however short it is."""

    trusted_proxies: tuple[str, ...] = ()
    room_for: tuple[bytes, ...] = ()


class BoundedConfig(uvicorn.Config):
    """uvicorn's, and who is let in; worker processes are given it too."""

    def __init__(self, *args: Any, admission: Admission, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.admission = admission


def connections_of(config: uvicorn.Config, server_state: ServerState) -> Connections:
    """The connections of a server, whose protocols share nothing else."""
    known = vars(server_state)
    if "kept" not in known:
        on_drop: Callable[[str], None] = getattr(config.loaded_app, "count_dropped", lambda _: None)
        trusted = Networks(admission_of(config).trusted_proxies)
        known["kept"] = Connections(Capacity.of(descriptors()), trusted, on_drop)
    connections: Connections = known["kept"]
    return connections


def admission_of(config: uvicorn.Config) -> Admission:
    return config.admission if isinstance(config, BoundedConfig) else Admission()
