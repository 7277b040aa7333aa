"""What the tables promise, on both databases."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise.context import require_context
from tortoise.models import Model

from database.access import Database, fetch, transaction
from database.scope import unscoped
from tests.migrations import declared, found
from tests.migrations.violations import VIOLATIONS
from tests.models.rows import ROWS, TWINS, insert, insert_all, rehearsal
from tests.world.apart import run_apart
from tests.world.migrated import make_sqlite_template, sqlite_url
from tests.world.postgres import Postgres

REFUSALS = (asyncpg.IntegrityConstraintViolationError, sqlite3.IntegrityError)
KEPT = {
    "payment_sums",
    "payment_totals",
    "invoice_sums",
    "invoice_totals",
    "webhook_event_sums",
    "payment_quarter_hour_sums",
    "customer_texts",
    "invoice_texts",
}
"""What is kept by the database: a row of a test leaves a row here."""
SUMS = {*KEPT, "out_of_band_quarter_hour_sums"}
KEPT_COLUMNS = {"customers": {"sort_name", "has_invoices"}}
"""Columns that no model has, for the same reason."""
TABLES_WITHOUT_A_MODEL = {"invoice_sequences", "payment_references", "idempotency_keys", *SUMS}
PARENTS = ("workspaces", "integrations", "customers", "invoices", "payments")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with a row in every table. Its tests share it: they change nothing for good."""
    if request.param == "sqlite":
        path: Path = make_sqlite_template(tmp_path_factory.mktemp("filled") / "filled.sqlite3")
        run_apart(_fill, sqlite_url(path))
        yield sqlite_url(path)
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database(server.migrated) as url:
            run_apart(_fill, url)
            yield url


async def _fill(url: str) -> None:
    async with Database(url), transaction() as tx:
        await insert_all(tx, ROWS)


def _models() -> Iterator[type[Model]]:
    apps = require_context().apps
    assert apps is not None
    yield from apps["models"].values()


def _refused_by(error: BaseException) -> str | tuple[str, ...]:
    """The constraint that refused: on SQLite a check's name, a key's columns, or that it was a foreign key."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return str(error.constraint_name)
    kind, _, what = str(error).partition(" constraint failed")
    return tuple(what.removeprefix(": ").split(", ")) if kind == "UNIQUE" else what.removeprefix(": ") or kind


def _as_sqlite_says(name: str) -> str | tuple[str, ...]:
    declarations = {one.name: one for one in (*declared.constraints(), *declared.indexes())}
    promised = declarations[name]
    if promised.kind == declared.CHECK:
        return name
    if promised.kind == declared.FOREIGN_KEY:
        return "FOREIGN KEY"
    return tuple(f"{promised.table}.{column}" for column in promised.columns)


@pytest.mark.parametrize(("name", "table", "change"), VIOLATIONS)
async def test_a_constraint_refuses_what_violates_it(
    filled_url: str, name: str, table: str, change: Mapping[str, Any]
) -> None:
    before = list(TWINS)[: list(TWINS).index(table)]

    async with Database(filled_url), rehearsal() as tx:
        await insert_all(tx, {parent: TWINS[parent] for parent in before})
        with pytest.raises(REFUSALS) as refusal:
            await insert(tx, table, {**TWINS[table], **change})

    assert _refused_by(refusal.value) == (_as_sqlite_says(name) if filled_url.startswith("sqlite") else name)


async def test_what_the_violations_change_is_valid_without_the_change(filled_url: str) -> None:
    """Or a violation could be refused for another reason."""
    async with Database(filled_url):
        async with rehearsal() as tx:
            await insert_all(tx, TWINS)

        kept = {table: len(rows) for table, rows in (await found.rows()).items()}
        assert kept == dict.fromkeys([*ROWS, *KEPT], 1) | {"out_of_band_quarter_hour_sums": 0}


def test_every_constraint_and_unique_index_is_violated_by_a_test() -> None:
    promised = {constraint.name for constraint in declared.constraints() if constraint.table not in SUMS}
    promised |= {
        index.name for index in declared.indexes() if index.kind == declared.UNIQUE_INDEX and index.table not in SUMS
    }

    assert {name for name, _, _ in VIOLATIONS} == promised


async def test_a_database_has_the_declared_constraints_and_no_others(filled_url: str) -> None:
    async with Database(filled_url):
        names = await found.constraint_names()

    assert names == {constraint.name for constraint in declared.constraints()}


async def test_a_database_has_the_declared_indexes_and_no_others(filled_url: str) -> None:
    async with Database(filled_url):
        definitions = await found.index_definitions()

    of_texts = {"customer_search", "invoice_search"}  # made for PostgreSQL alone
    assert {name: "UNIQUE" in sql for name, sql in definitions.items() if name not in of_texts} == {
        index.name: index.kind == declared.UNIQUE_INDEX for index in declared.indexes()
    }


def test_the_declarations_are_read_without_a_gap() -> None:
    """The parser sees as many names as the statements hold."""
    text = "\n".join(declared.statements())

    named = text.count("CONSTRAINT ")
    assert len({constraint.name for constraint in declared.constraints()}) == len(declared.constraints())
    assert sum(not constraint.name.endswith("_pkey") for constraint in declared.constraints()) == named
    assert len(declared.indexes()) == text.count("INDEX ") - 2 * text.count(declared.DROP)
    assert len(declared.tables()) == text.count("CREATE TABLE ")
    assert sum(constraint.kind == declared.PRIMARY_KEY for constraint in declared.constraints()) == len(
        declared.tables()
    )


async def _columns_of_models() -> dict[str, dict[str, bool]]:
    return {
        table: {name: nullable for name, nullable in columns.items() if name not in KEPT_COLUMNS.get(table, ())}
        for table, columns in (await found.nullable_columns()).items()
    }


async def test_a_models_columns_are_its_tables(filled_url: str) -> None:
    async with Database(filled_url):
        of_models = {
            model._meta.db_table: {
                field.source_field or name: field.null
                for name, field in model._meta.fields_map.items()
                if name in model._meta.fields_db_projection
            }
            for model in _models()
        }
        of_tables = await _columns_of_models()

    assert set(of_tables) == set(declared.tables())
    assert of_models == {table: of_tables[table] for table in set(of_tables) - TABLES_WITHOUT_A_MODEL}


async def test_the_rows_of_the_tests_leave_no_column_out(filled_url: str) -> None:
    async with Database(filled_url):
        columns = await _columns_of_models()

    filled = {table: set(own) for table, own in columns.items() if table not in SUMS}
    assert {table: set(row) for table, row in ROWS.items()} == filled


@pytest.mark.parametrize("table", PARENTS)
async def test_what_others_refer_to_cannot_be_deleted(filled_url: str, table: str) -> None:
    async with Database(filled_url), rehearsal() as tx:
        with pytest.raises(REFUSALS):
            await tx.execute(f"DELETE FROM {table}")


async def test_a_deleted_draft_takes_its_lines_along(filled_url: str) -> None:
    draft = {**TWINS["invoices"], "status": "DRAFT", "number": None, "finalized_at": None}
    async with Database(filled_url), rehearsal() as tx:
        await insert(tx, "invoices", draft)
        await insert(tx, "line_items", {**TWINS["line_items"], "invoice_id": draft["id"]})

        await tx.execute("DELETE FROM invoices WHERE id = $1", draft["id"])

        assert [row["id"] for row in await tx.fetch("SELECT id FROM line_items")] == ["li_1"]


async def test_a_column_refuses_a_value_of_another_type(filled_url: str) -> None:
    """SQLite's tables are STRICT."""
    async with Database(filled_url), rehearsal() as tx:
        with pytest.raises((asyncpg.DataError, sqlite3.IntegrityError)):
            await tx.execute("UPDATE invoices SET total = $1", "nineteen")


async def test_the_models_read_the_rows_back_as_they_were_written(filled_url: str) -> None:
    """Instants, dates, booleans and bytes are the same on both."""
    async with Database(filled_url):
        for model in _models():
            table = model._meta.db_table
            read = await unscoped(model).get()

            assert {column: getattr(read, column) for column in ROWS[table]} == ROWS[table]


async def test_what_was_posted_is_packed_by_lz4_where_the_server_has_it(migrated_postgres_url: str) -> None:
    async with Database(migrated_postgres_url):
        (server,) = await fetch(
            "SELECT 'lz4' = ANY(enumvals) AS has_lz4 FROM pg_settings WHERE name = 'default_toast_compression'"
        )
        (packed,) = await fetch(
            "SELECT attcompression = 'l' AS by_lz4 FROM pg_attribute"
            " WHERE attrelid = 'webhook_events'::regclass AND attname = 'payload'"
        )

    assert packed["by_lz4"] == server["has_lz4"]
