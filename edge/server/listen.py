"""Runs uvicorn with our protocols and limits; before it stops it answers the requests in flight."""

import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from edge.server.connections import Admission, BoundedConfig, Capacity, descriptors, raise_descriptors
from edge.server.http import BoundedProtocol
from edge.server.websocket import BoundedWebSocket
from edge.size import MAX_REQUEST_BYTES
from errors import ConfigurationError

GRACE_S: Final = 10
KEEP_ALIVE_S: Final = 75
"""Longer than common load balancers' idle timeout, so the balancer closes first."""

PING_S: Final = 20.0
"""How often a WebSocket is pinged, and how long its pong may take."""


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address of this machine; port 0 takes any free port.

    Raises:
        ConfigurationError: It is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # clients that connect before the application has started wait
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {host} port {port} ({error.strerror}): stop what uses it or choose another --port, or"
            " --host."
        ) from None
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL by which this machine reaches a bound socket."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    factory: str | Callable[[], ASGIApp],
    bound: socket.socket,
    *,
    workers: int = 1,
    ping_s: float = PING_S,
    trusted_proxies: Sequence[str] = (),
    reserved_paths: Sequence[str] = (),
) -> None:
    """Serve until stopped. Several workers are processes of their own and need the factory's import string.

    Requests for paths that begin with one of `reserved_paths` are answered even if connections are short.
    """
    raise_descriptors()
    config = BoundedConfig(
        factory,
        admission=Admission(tuple(trusted_proxies), tuple(path.encode() for path in reserved_paths)),
        backlog=Capacity.of(descriptors()).backlog,
        factory=True,
        workers=workers,
        http=BoundedProtocol,
        ws=BoundedWebSocket,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # edge/forwarded.py reads them: uvicorn takes any text for an address
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ws_max_size=MAX_REQUEST_BYTES,
        ws_ping_interval=ping_s,
        ws_ping_timeout=ping_s,
        ws_per_message_deflate=False,  # it would compress the same bytes again for every subscriber
    )
    if workers == 1:
        server = uvicorn.Server(config)
        server.run(sockets=[bound])
        started = server.started
    else:
        supervisor = Multiprocess(config, sockets=[bound])
        supervisor.run()
        started = not any(process.exitcode == uvicorn.config.STARTUP_FAILURE for process in supervisor.processes)
    if not started:
        sys.exit(1)
