"""SQLite locked by somebody else, and on a disk that is full."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.serving import serving
from tests.world import migrated
from tests.world.app import RunningApp
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL
from tests.world.shop import open_shop

PATIENCE_S = 30.0
"""For an answer after as long as a write waits for the file, twice: behind a batch that waits already."""


def is_intact(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a file."""
    with closing(sqlite3.connect(path)) as connection:
        found: list[tuple[str]] = connection.execute("PRAGMA integrity_check").fetchall()
        return found == [("ok",)] and connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_while_another_holds_the_lock_deliveries_are_refused_and_queries_answered(
    migrated_sqlite_url: str,
) -> None:
    path = Path(migrated_sqlite_url.removeprefix("sqlite://"))
    async with open_shop(migrated_sqlite_url) as shop:
        events = shop.sell(10)
        with serving(shop.database_url) as app, closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(shop.post(app.url, events[:1], timeout_s=PATIENCE_S))
            await asyncio.sleep(0.2)  # so that the others wait behind it, and the lock is held for ten seconds
            during = await shop.post(app.url, events, timeout_s=PATIENCE_S) + await first
            async with GraphQLClient(app.url, shop.api_key) as client:
                read = await client.query("{ invoices(first: 1) { totalCount } }")
            other.execute("ROLLBACK")

            after = await shop.post(app.url, events)
        assert (set(during), after) == ({503}, {200: len(events)})
        assert read == {"invoices": {"totalCount": 10}}
        shop.audit(complete=True)
        assert is_intact(path)


# --- A full disk -----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 32 MiB mounted on a folder."""
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "fluxrate-test", folder], check=False, capture_output=True, text=True
    )
    if mounting.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounting.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def disk_filled_up(path: Path, _: RunningApp) -> Iterator[None]:
    """Not a byte is free beside a file."""
    ballast = path.parent / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(path.parent).free)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def files_kept_from_growing(path: Path, app: RunningApp) -> Iterator[None]:
    """The server may not make any file larger than the database and its log are now."""
    largest = max(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    _, most = resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, (largest, most))
    try:
        yield
    finally:
        resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, (most, most))


async def fill_and_empty(
    path: Path,
    full: Callable[[Path, RunningApp], AbstractContextManager[None]],
    unready: int,
) -> None:
    async with open_shop(migrated.sqlite_url(path)) as shop:
        events = shop.sell(20)
        with serving(shop.database_url) as app:
            before = await shop.post(app.url, events[:5])
            with full(path, app):
                ready = await asyncio.to_thread(httpx.get, f"{app.url}/readyz", **LOCAL)
                during: Counter[int | str] = Counter()
                for _ in range(4):
                    during += await shop.post(app.url, shop.unacknowledged)
                    shop.audit()

            after = await shop.post(app.url, events)
            ready_again = await asyncio.to_thread(httpx.get, f"{app.url}/readyz", **LOCAL)

        assert before == {200: 5}
        assert (ready.status_code, ready_again.status_code) == (unready, 200)
        assert 503 in during
        assert set(during) <= {200, 503}
        assert after == {200: len(events)}
        shop.audit(complete=True)
        assert is_intact(path)


async def test_on_a_full_disk_deliveries_are_refused_until_there_is_room(sqlite_template: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        await fill_and_empty(Path(shutil.copy(sqlite_template, tmp_path / "disk")), disk_filled_up, 503)


async def test_where_files_may_not_grow_deliveries_are_refused_until_they_may(
    sqlite_template: Path, tmp_path: Path
) -> None:
    await fill_and_empty(
        Path(shutil.copy(sqlite_template, tmp_path / "a.sqlite3")), files_kept_from_growing, 200
    )  # unseen
