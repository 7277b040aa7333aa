"""Several statements that write different tables go to PostgreSQL as one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from database import together as module
from database.access import Database, fetch, in_transaction
from database.bulk import insert_rows, update_rows
from database.together import MAX_LENGTH, together
from database.transaction import Transaction
from tests.models.rows import AT
from tests.world.heard import hear_statements

WORKSPACES = {"id": "text", "name": "text", "mode": "text", "seq": "bigint", "created_at": "timestamptz"}
CUSTOMERS = {
    **dict.fromkeys(["id", "workspace_id", "name", "email"], "text"),
    **dict.fromkeys(["created_at", "updated_at"], "timestamptz"),
}
A, B = ("INSERT INTO a VALUES ($1, $2)", [1, 2]), ("UPDATE b SET c = $2 WHERE id = $1", [3, 4])


@pytest.fixture(autouse=True)
def nothing_combined(monkeypatch: pytest.MonkeyPatch) -> None:
    """No statements were combined before."""
    monkeypatch.setattr(module, "_COMBINED", {})


def test_the_first_is_the_main_statement_and_the_others_run_before_it_from_the_last() -> None:
    ((sql, values),) = together([A, B, ("DELETE FROM d WHERE e = $1", [5])])

    assert sql == (
        "WITH write_2 AS (DELETE FROM d WHERE e = $5), write_1 AS (UPDATE b SET c = $4 WHERE id = $3)"
        " INSERT INTO a VALUES ($1, $2)"
    )
    assert list(values) == [1, 2, 3, 4, 5]


def test_a_combination_that_is_known_takes_other_values() -> None:
    first, again = together([A, B]), together([(A[0], [5, 6]), (B[0], [7, 8])])

    assert again[0][0] is first[0][0]
    assert list(again[0][1]) == [5, 6, 7, 8]


@pytest.mark.parametrize("statements", [[], [A]])
def test_fewer_than_two_stay_as_they_are(statements: list[Any]) -> None:
    assert together(statements) == statements


def test_what_would_not_stay_prepared_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    long = [A, (f"UPDATE b SET c = '{'x' * MAX_LENGTH}' WHERE id = $1", [3])]
    assert together(long) == long

    monkeypatch.setattr(module, "_MAX_COMBINATIONS", 1)
    assert len(together([A, B])) == 1
    assert together([B, A]) == [B, A]  # there is room for one combination
    assert len(together([A, B])) == 1


# --- In a transaction ----------------------------------------------------------------------------------------


@pytest.fixture
async def statements(migrated_postgres_url: str) -> AsyncIterator[list[str]]:
    """The first word of each statement that PostgreSQL gets."""
    async with Database(migrated_postgres_url):
        yield await hear_statements()


async def _names(table: str) -> list[str]:
    return [row["name"] for row in await fetch(f"SELECT name FROM {table} ORDER BY name")]


async def _add(tx: Transaction, *numbers: int) -> None:
    await insert_rows(tx, "workspaces", WORKSPACES, [(f"ws_{n}", f"{n}", "TEST", 0, AT) for n in numbers])


async def _add_customers(tx: Transaction, *numbers: int) -> None:
    await insert_rows(tx, "customers", CUSTOMERS, [(f"cust_{n}", f"ws_{n}", f"{n}", "", AT, AT) for n in numbers])


async def test_writes_of_two_tables_are_one_statement(statements: list[str]) -> None:
    async def work(tx: Transaction) -> None:
        await _add(tx, 1, 2)
        await _add_customers(tx, 1, 2)

    await in_transaction(work)

    assert statements == ["BEGIN", "WITH", "COMMIT"]
    assert await _names("workspaces") == await _names("customers") == ["1", "2"]


async def test_what_reads_or_writes_the_same_table_finds_what_was_put_off(statements: list[str]) -> None:
    async def work(tx: Transaction) -> list[str]:
        await _add(tx, 1)
        await update_rows(tx, "workspaces", {"id": "text", "name": "text"}, [("ws_1", "one")])
        await _add_customers(tx, 1)
        return [row["name"] for row in await tx.fetch("SELECT name FROM workspaces")]

    assert await in_transaction(work) == ["one"]

    assert statements == ["BEGIN", "INSERT", "WITH", "SELECT", "COMMIT"]


async def test_one_conflict_keeps_all_of_it_out(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await _add(tx, 1)
        await _add_customers(tx, 1, 1)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await in_transaction(work)

    assert await _names("workspaces") == []
    await in_transaction(lambda tx: _add(tx, 2))  # the connection is as good as before
    assert await _names("workspaces") == ["2"]
