"""The door for writes, the reading connection, and the scope of a query."""

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from tortoise.connection import get_connection
from tortoise.context import require_context
from tortoise.exceptions import BaseORMException
from tortoise.models import Model

from database.access import Database, fetch, in_transaction, transaction
from database.dialect import LOCK_TIMEOUT_S, READER, sqlite_path
from database.scope import UnscopedQueryError, scoped, unscoped
from database.transaction import ACQUIRE_TIMEOUT_S, Transaction
from errors import UnavailableError
from models.customer import Customer
from models.kinds import Mode
from models.workspace import Workspace, add_workspace
from tests.models.rows import ROWS, TWINS, RolledBackError, insert, insert_all, rehearsal

BUSY = (
    "SELECT query FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
)
READ_ONLY = (BaseORMException, asyncpg.ReadOnlySQLTransactionError)
GRACE_S = 5.0
"""On top of a limit, for a machine that is busy."""


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A database with room for one write at a time, on either kind."""
    async with Database(database_url, pool_size=1) as opened:
        yield opened


async def _names() -> list[str]:
    return [row["name"] for row in await fetch("SELECT name FROM workspaces ORDER BY id")]


# --- Writing ---------------------------------------------------------------------------------------------------


async def test_a_block_that_ends_is_committed(database: Database) -> None:
    async with transaction() as tx:
        await add_workspace(tx, "Acme", Mode.TEST)

    assert await _names() == ["Acme"]


async def test_a_block_that_raises_is_rolled_back_and_its_exception_comes_through(database: Database) -> None:
    async def fail_after_writing() -> None:
        async with transaction() as tx:
            await add_workspace(tx, "Acme", Mode.TEST)
            raise RolledBackError

    with pytest.raises(RolledBackError):
        await fail_after_writing()

    assert await _names() == []


async def test_a_statement_that_fails_rolls_everything_back(database: Database) -> None:
    async def write_one_row_twice() -> None:
        async with transaction() as tx:
            await insert(tx, "workspaces", ROWS["workspaces"])
            await insert(tx, "workspaces", ROWS["workspaces"])

    with pytest.raises((asyncpg.UniqueViolationError, sqlite3.IntegrityError)):
        await write_one_row_twice()

    assert await _names() == []


async def test_models_write_and_read_through_the_door_inside_of_it(database: Database, workspace: Workspace) -> None:
    async with transaction():
        own = await unscoped(Workspace).get(id=workspace.id)
        own.name = "Acme Ltd"
        await own.save()

        read, listed = await unscoped(Workspace).get(id=workspace.id), await _names()

    assert read.name == "Acme Ltd"
    assert listed == await _names() == ["Acme Ltd"]


async def test_what_models_write_is_rolled_back_with_the_rest(database: Database, workspace: Workspace) -> None:
    async with rehearsal():
        own = await unscoped(Workspace).get(id=workspace.id)
        own.name = "Acme Ltd"
        await own.save()

    assert await _names() == ["Acme"]


async def test_reads_see_what_is_committed_and_do_not_wait_for_an_open_write(database: Database) -> None:
    async with _held_open(writing="Acme"):
        async with asyncio.timeout(GRACE_S):
            seen_during = await _names()

    assert seen_during == []
    assert await _names() == ["Acme"]


async def test_writes_that_come_at_once_take_turns(database: Database) -> None:
    async def write(number: int) -> None:
        async with transaction() as tx:
            await add_workspace(tx, f"Acme {number}", Mode.TEST)

    await asyncio.gather(*(write(number) for number in range(30)))

    assert len(await _names()) == 30


async def test_what_is_read_for_update_does_not_change_before_it_is_written(
    database: Database, workspace: Workspace
) -> None:
    async def count_one_more() -> None:
        async with transaction() as tx:
            (row,) = await tx.fetch(tx.for_update("SELECT seq FROM workspaces WHERE id = $1"), workspace.id)
            await asyncio.sleep(0)
            await tx.execute("UPDATE workspaces SET seq = $1 WHERE id = $2", row["seq"] + 1, workspace.id)

    await asyncio.gather(*(count_one_more() for _ in range(20)))

    assert (await unscoped(Workspace).get()).seq == 20


async def test_a_write_inside_a_write_is_refused(database: Database) -> None:
    """It would wait for the one around it."""
    with pytest.raises(RuntimeError, match="already"):
        async with transaction(), transaction():
            pass

    async with transaction() as tx:
        await add_workspace(tx, "Acme", Mode.TEST)
    assert await _names() == ["Acme"]


async def test_a_write_inside_a_function_that_writes_is_refused(database: Database) -> None:
    async def write(tx: Transaction) -> None:
        async with transaction():
            await tx.execute("DELETE FROM workspaces")

    with pytest.raises(RuntimeError, match="already"):
        await in_transaction(write)
    with pytest.raises(RuntimeError, match="already"):
        async with transaction():
            await in_transaction(write)

    await _write()


async def test_a_transaction_knows_the_values_it_is_given_from_its_sql(database: Database) -> None:
    injected = "'); DROP TABLE workspaces; --"

    async with transaction() as tx:
        await add_workspace(tx, injected, Mode.TEST)

    assert await _names() == [injected]


# --- Reading ---------------------------------------------------------------------------------------------------


async def test_the_reading_connection_cannot_write(database: Database, workspace: Workspace) -> None:
    async with transaction() as tx:
        await tx.execute("UPDATE workspaces SET seq = 1")
    own = await unscoped(Workspace).get(id=workspace.id)
    own.name = "Changed"

    with pytest.raises(READ_ONLY):
        await own.save()
    with pytest.raises(READ_ONLY):
        await own.delete()
    with pytest.raises(READ_ONLY):
        await fetch("UPDATE workspaces SET name = $1 RETURNING id", "Changed")

    assert await _names() == ["Acme"]


# --- Scope -----------------------------------------------------------------------------------------------------


def _models() -> Iterator[type[Model]]:
    apps = require_context().apps
    assert apps is not None
    yield from (model for model in apps["models"].values() if model is not Workspace)


UNSCOPED_QUERIES: dict[str, Any] = {
    "all": lambda model: model.all(),
    "filter": lambda model: model.filter(id="x"),
    "exclude": lambda model: model.exclude(id="x"),
    "get": lambda model: model.get(id="x"),
    "get_or_none": lambda model: model.get_or_none(id="x"),
    "get_or_create": lambda model: model.get_or_create(id="x"),
    "update_or_create": lambda model: model.update_or_create(id="x"),
    "first": lambda model: model.first(),
    "last": lambda model: model.last(),
    "earliest": lambda model: model.earliest("id"),
    "latest": lambda model: model.latest("id"),
    "exists": lambda model: model.exists(id="x"),
    "annotate": lambda model: model.annotate(),
    "in_bulk": lambda model: model.in_bulk(["x"]),
    "select_for_update": lambda model: model.select_for_update(),
    "raw": lambda model: model.raw("SELECT 1"),
    "bulk_update": lambda model: model.bulk_update([model()], ["workspace_id"]),
}


@pytest.mark.parametrize("name", UNSCOPED_QUERIES)
async def test_a_query_that_does_not_say_whose_rows_it_means_is_refused(database: Database, name: str) -> None:
    for model in _models():
        with pytest.raises(UnscopedQueryError, match=model.__name__):
            await UNSCOPED_QUERIES[name](model)


async def test_a_scoped_query_finds_one_workspaces_rows(database: Database) -> None:
    async with transaction() as tx:
        await insert_all(tx, {table: ROWS[table] for table in ("workspaces", "customers")})
        await insert(tx, "workspaces", TWINS["workspaces"])
        await insert(tx, "customers", {**TWINS["customers"], "workspace_id": "ws_2"})

    assert [customer.id for customer in await scoped(Customer, "ws_1")] == ["cust_1"]
    assert [customer.id for customer in await scoped(Customer, "ws_2").filter(id__not="x")] == ["cust_2"]
    assert await scoped(Customer, "ws_1").filter(id="cust_2") == []
    assert await unscoped(Customer).count() == 2


# --- A database that can't be had ------------------------------------------------------------------------------


async def _write() -> None:
    async with transaction() as tx:
        await add_workspace(tx, "Acme", Mode.TEST)


@contextlib.asynccontextmanager
async def _held_open(writing: str | None = None) -> AsyncIterator[None]:
    """A write of another task that has not ended."""
    begun, end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with transaction() as tx:
            if writing is not None:
                await add_workspace(tx, writing, Mode.TEST)
            begun.set()
            await end.wait()

    holding = asyncio.create_task(hold())
    await begun.wait()
    yield
    end.set()
    await holding


async def test_a_write_whose_turn_does_not_come_is_unavailable(small: Database) -> None:
    async with _held_open():
        with pytest.raises(UnavailableError):
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S + GRACE_S):
                await _write()

    await _write()
    assert await _names() == ["Acme"]


async def test_a_write_that_is_cancelled_while_it_waits_leaves_its_turn_to_others(small: Database) -> None:
    async with _held_open():
        waiting = asyncio.create_task(_write())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await _write()
    assert await _names() == ["Acme"]


async def test_a_sqlite_file_that_another_process_has_locked_is_unavailable_until_it_lets_go(
    migrated_sqlite_url: str,
) -> None:
    other = sqlite3.connect(sqlite_path(migrated_sqlite_url), isolation_level=None)
    async with Database(migrated_sqlite_url):
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError):
                async with asyncio.timeout(LOCK_TIMEOUT_S + GRACE_S):
                    await _write()
            assert await _names() == []

        await _write()
        assert await _names() == ["Acme"]


async def test_who_is_cancelled_between_preparing_and_running_leaves_no_transaction(migrated_postgres_url: str) -> None:
    """Each step is taken by hand: the cancellation comes once PostgreSQL has prepared the statement."""
    other = await asyncpg.connect(migrated_postgres_url)
    async with Database(migrated_postgres_url, pool_size=1):
        asking = fetch("SELECT name FROM workspaces WHERE seq = 7").__await__()
        while not await other.fetch(BUSY):
            await _done(asking.send(None))
        midway = await other.fetchval(BUSY)
        await _done(asking.throw(asyncio.CancelledError()))
        with pytest.raises(asyncio.CancelledError):
            await _end(asking)
        left = await other.fetch(BUSY)
        names = await _names()
    await other.close()

    assert (midway, left, names) == ("SELECT name FROM workspaces WHERE seq = 7", [], [])


async def _end(asking: Any) -> None:
    while True:
        await _done(asking.send(None))


async def _done(waiter: Any) -> None:
    """Wait for what a coroutine waits for."""
    if waiter is None:
        await asyncio.sleep(0)
    else:
        waiter._asyncio_future_blocking = False
        await asyncio.wait([waiter])


async def test_a_postgres_row_that_another_has_locked_for_too_long_is_unavailable(
    migrated_postgres_url: str,
) -> None:
    other = await asyncpg.connect(migrated_postgres_url)
    async with Database(migrated_postgres_url):
        await _write()
        async with other.transaction():
            await other.execute("UPDATE workspaces SET name = 'Locked'")
            with pytest.raises(UnavailableError):
                async with asyncio.timeout(LOCK_TIMEOUT_S + GRACE_S), transaction() as tx:
                    await tx.execute("UPDATE workspaces SET name = 'Ours'")
        await other.close()

        assert await _names() == ["Locked"]


async def test_a_postgres_connection_that_breaks_halfway_is_unavailable_and_replaced(
    migrated_postgres_url: str,
) -> None:
    other = await asyncpg.connect(migrated_postgres_url)
    async with Database(migrated_postgres_url, pool_size=1):
        with pytest.raises(UnavailableError):
            await _write_while_the_connection_breaks(other)
        await other.close()

        await _write()
        assert await _names() == ["Acme"]


async def test_a_session_that_has_ended_before_its_socket_is_unavailable_and_replaced(
    migrated_postgres_url: str,
) -> None:
    """The server's farewell can come a moment before the socket closes: the driver then raises an error of its own."""
    other = await asyncpg.connect(migrated_postgres_url)
    ended = asyncio.Event()
    async with _postgres_behind_sockets_that_stay_open(migrated_postgres_url, ended) as url, Database(url, pool_size=1):
        with pytest.raises(UnavailableError):
            await _write_while_the_connection_breaks(other)
        await other.close()

        await _write()
        assert await _names() == ["Acme"]
        ended.set()


async def test_an_error_comes_through_though_the_session_has_ended_meanwhile(migrated_postgres_url: str) -> None:
    """After a statement that failed, another is needed to release the session, and it fails too."""
    other = await asyncpg.connect(migrated_postgres_url)
    ended = asyncio.Event()
    async with _postgres_behind_sockets_that_stay_open(migrated_postgres_url, ended) as url, Database(url, pool_size=1):
        with pytest.raises(RolledBackError):
            await _refuse_while_the_session_ends(other)
        await other.close()

        assert await fetch("SELECT 1 AS one") == [{"one": 1}]
        ended.set()


async def _refuse_while_the_session_ends(other: Any) -> None:
    reader: Any = get_connection(READER)
    async with reader.acquire_connection() as connection:
        own = await connection.fetchval("SELECT pg_backend_pid()")
        with contextlib.suppress(asyncpg.DivisionByZeroError):
            await connection.fetchval("SELECT 1 / 0")
        await other.execute("SELECT pg_terminate_backend($1, 5000)", own)
        raise RolledBackError


async def test_a_session_that_the_pool_has_taken_back_is_unavailable_and_replaced(migrated_postgres_url: str) -> None:
    """A session's socket may close between the driver's error and the rollback."""
    async with Database(migrated_postgres_url, pool_size=1):
        with pytest.raises(UnavailableError):
            await _lose_the_session()

        await _write()
        assert await _names() == ["Acme"]


async def _lose_the_session() -> None:
    async with transaction() as tx:
        connection: Any = tx._client._connection
        connection.terminate()
        raise asyncpg.InternalClientError


@contextlib.asynccontextmanager
async def _postgres_behind_sockets_that_stay_open(url: str, ended: asyncio.Event) -> AsyncIterator[str]:
    folder = parse_qs(urlsplit(url).query)["host"][0]

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        asked = asyncio.create_task(_copy(reader, server_writer))
        await _copy(server_reader, writer)
        await ended.wait()
        writer.close()
        await asked
        server_writer.close()

    with tempfile.TemporaryDirectory(prefix="fluxrate-") as own:
        server = await asyncio.start_unix_server(pass_on, f"{own}/.s.PGSQL.5432")
        async with server:
            yield url.replace(folder, own)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _write_while_the_connection_breaks(other: Any) -> None:
    async with transaction() as tx:
        await add_workspace(tx, "Lost", Mode.TEST)
        own = await tx.fetch("SELECT pg_backend_pid() AS pid")
        await other.execute("SELECT pg_terminate_backend($1, 5000)", own[0]["pid"])
        await add_workspace(tx, "Lost too", Mode.TEST)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELEC 1", ()),
        ("SELECT missing FROM workspaces", ()),
        ("SELECT 1 FROM missing", ()),
        ("UPDATE workspaces SET seq = $1", (2**63,)),
        ("UPDATE workspaces SET name = $1", ("\ud800",)),
        ("INSERT INTO workspaces (id) VALUES ($1)", ("ws_1",)),
    ],
)
async def test_a_statement_that_is_wrong_does_not_count_as_an_unavailable_database(
    database: Database, sql: str, values: tuple[object, ...]
) -> None:
    """Trying again would not help: one such delivery must not turn its whole batch away."""
    with pytest.raises(Exception) as error:
        await _run(sql, values)

    assert not isinstance(error.value, UnavailableError)
    await _write()


async def _run(sql: str, values: tuple[object, ...]) -> None:
    async with transaction() as tx:
        await tx.execute(sql, *values)


async def test_a_full_sqlite_disk_is_unavailable(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):
        await _write()
        with pytest.raises(UnavailableError):
            await _fill_the_disk()

        async with transaction() as tx:
            await tx.execute("PRAGMA max_page_count = 1000000")
        await _write()
        assert await _names() == ["Acme", "Acme"]


async def _fill_the_disk() -> None:
    async with transaction() as tx:
        await tx.execute("PRAGMA max_page_count = 1")  # as low as the pages in use
        await _write_much(tx)


async def _write_much(tx: Transaction) -> None:
    for _ in range(100):
        await add_workspace(tx, "A" * 10_000, Mode.TEST)
