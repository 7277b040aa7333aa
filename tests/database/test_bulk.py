"""Many rows by one statement."""

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.access import Database, fetch, transaction
from database.access import reading_dialect as dialect
from database.bulk import any_of, insert_rows, update_rows
from models.instant import from_row
from tests.models.rows import ROWS, TWINS, insert, insert_all
from tests.world.long import few_or_many

CUSTOMERS: Final = {
    "id": "text",
    "workspace_id": "text",
    "name": "text",
    "email": "text",
    "external_id": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
AT: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


@pytest.fixture
async def workspaces(database: Database) -> Database:
    """A database with two workspaces and nothing else."""
    async with transaction() as tx:
        await insert(tx, "workspaces", ROWS["workspaces"])
        await insert(tx, "workspaces", TWINS["workspaces"])
    return database


def _customer(number: int, name: str = "Ada") -> tuple[object, ...]:
    return (f"cust_{number:03d}", "ws_1", name, "ada@example.com", None, AT, AT)


async def _names() -> dict[str, str]:
    return {row["id"]: row["name"] for row in await fetch("SELECT id, name FROM customers ORDER BY id")}


@pytest.mark.parametrize("count", [0, 1, 2, 500])
async def test_as_many_rows_are_inserted_as_are_given(workspaces: Database, count: int) -> None:
    async with transaction() as tx:
        await insert_rows(tx, "customers", CUSTOMERS, [_customer(number) for number in range(count)])

    assert await _names() == {f"cust_{number:03d}": "Ada" for number in range(count)}


async def test_one_conflict_keeps_all_rows_out(workspaces: Database) -> None:
    async def insert_one_twice() -> None:
        async with transaction() as tx:
            await insert_rows(tx, "customers", CUSTOMERS, [_customer(1), _customer(2), _customer(1)])

    with pytest.raises(Exception, match=r"(?i)unique"):
        await insert_one_twice()

    assert await _names() == {}


@pytest.mark.parametrize("count", [0, 1, 40])
async def test_rows_are_updated_by_their_id_and_others_stay(workspaces: Database, count: int) -> None:
    changes = [(f"cust_{number:03d}", f"Ada {number}", AT.replace(year=2027)) for number in range(count)]
    async with transaction() as tx:
        await insert_rows(tx, "customers", CUSTOMERS, [_customer(number) for number in range(50)])

        await update_rows(tx, "customers", {"id": "text", "name": "text", "updated_at": "timestamptz"}, changes)

    names = await _names()
    assert [names[f"cust_{number:03d}"] for number in range(50)] == [
        f"Ada {number}" if number < count else "Ada" for number in range(50)
    ]


@settings(max_examples=few_or_many(25, 400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from(["Ada", "Bo"]), st.sampled_from([None, "x"])), min_size=1, max_size=6),
        min_size=1,
        max_size=6,
    )
)
async def test_rows_hold_what_was_given_whatever_they_have_in_common(
    workspaces: Database, batches: list[list[tuple[str, str | None]]]
) -> None:
    async with transaction() as tx:
        await tx.execute("DELETE FROM customers")
        for each, batch in enumerate(batches):
            made = [
                (f"cust_{each}_{n}", "ws_1", name, f"{email}@", None, AT, AT) for n, (name, email) in enumerate(batch)
            ]
            await insert_rows(tx, "customers", CUSTOMERS, made)
            changes = [
                (row[0], name[::-1], email and f"{row[0]}{email}")
                for row, (name, email) in zip(made, batch, strict=True)
            ]
            await update_rows(tx, "customers", {"id": "text", "name": "text", "external_id": "text"}, changes)

    assert {
        (row["id"], row["name"], row["email"], row["external_id"]) for row in await fetch("SELECT * FROM customers")
    } == {
        (f"cust_{each}_{n}", name[::-1], f"{email}@", email and f"cust_{each}_{n}{email}")
        for each, batch in enumerate(batches)
        for n, (name, email) in enumerate(batch)
    }


@pytest.mark.parametrize("values", [[], ["cust_1"], ["cust_1", "cust_2", "cust_3"], ["it's", '"', "é🙂", "cust_2"]])
async def test_a_condition_finds_the_rows_whose_value_is_among_those_given(
    database: Database, values: list[str]
) -> None:
    async with transaction() as tx:
        await insert_all(tx, {table: ROWS[table] for table in ("workspaces", "customers")})
        await insert(tx, "customers", TWINS["customers"])

    condition, parameter = any_of(dialect(), "id", 2, values)
    rows = await fetch(
        f"SELECT id FROM customers WHERE workspace_id = $1 AND {condition} ORDER BY id", "ws_1", parameter
    )

    assert [row["id"] for row in rows] == [id_ for id_ in ("cust_1", "cust_2") if id_ in values]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 31, 32, 33, 50])
async def test_a_text_is_among_others_or_it_is_not(database: Database, number: int) -> None:
    """Also where the condition is turned round: it is never NULL."""
    others = [f"it's {place} \U0001f4b8" for place in range(number)]
    async with transaction() as tx:
        for wanted in ("it's 0 \U0001f4b8", "another", f"it's {number - 1} \U0001f4b8"):
            among, values = any_of(tx.dialect, "given", 1, others)
            sql = f"SELECT ({among}) AS found, NOT ({among}) AS missing FROM (SELECT CAST($2 AS TEXT) AS given) one"
            (row,) = await tx.fetch(sql, values, wanted)

            assert (bool(row["found"]), bool(row["missing"])) == (wanted in others, wanted not in others)
            assert row["missing"] is not None


_ODD: Final = st.text(st.sampled_from("a\x1e\x1f'\\,{}\"NULL é"), max_size=3)


@settings(max_examples=few_or_many(40, 400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(_ODD, st.none() | _ODD, st.datetimes(datetime(1, 1, 2), timezones=st.just(UTC))),  # noqa: DTZ001
        min_size=1,
        max_size=5,
    )
)
async def test_what_is_written_is_read_again_whatever_it_holds(
    workspaces: Database, rows: list[tuple[str, str | None, datetime]]
) -> None:
    written = [
        (f"cust_{n}", "ws_1", name, "", None if other is None else f"{n}{other}", at, at)
        for n, (name, other, at) in enumerate(rows)
    ]
    changes = [(row[0], row[4], row[2]) for row in written]
    columns = ["id", "name", "external_id"]
    async with transaction() as tx:
        await insert_rows(tx, "customers", CUSTOMERS, written)
        inserted = await tx.fetch(f"SELECT {', '.join(CUSTOMERS)} FROM customers ORDER BY id")
        await tx.execute("UPDATE customers SET external_id = NULL")
        await update_rows(tx, "customers", {"id": "text", "external_id": "text", "name": "text"}, changes)
        updated = await tx.fetch(f"SELECT {', '.join(columns)} FROM customers ORDER BY id")
        condition, values = any_of(tx.dialect, "name", 1, [row[2] for row in written])
        found = await tx.fetch(f"SELECT id FROM customers WHERE {condition} ORDER BY id", values)
        await tx.execute("DELETE FROM customers")

    assert [
        tuple(from_row(each) if name.endswith("_at") else each for name, each in row.items())
        for row in map(dict, inserted)
    ] == written
    assert [tuple(dict(row).values()) for row in updated] == [(row[0], row[2], row[4]) for row in written]
    assert [row["id"] for row in found] == [row[0] for row in written]
