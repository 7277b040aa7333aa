"""Databases as the product's own migrations leave them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.world.apart import run_apart


def migrate(url: str) -> None:
    """Run every migration."""
    from database import migrate

    run_apart(migrate.migrate, url)


def sqlite_url(path: Path) -> str:
    """The address of a file, as FLUXRATE_DATABASE_URL takes it."""
    return f"sqlite://{path.absolute()}"


def make_sqlite_template(path: Path) -> Path:
    """Make a migrated database that is one file, whole and to be copied."""
    migrate(sqlite_url(path))
    return one_file(path)


def one_file(path: Path) -> Path:
    """Have all that was written to a database in its one file, for it to be copied."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
