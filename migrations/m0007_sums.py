"""Sums that are kept: what a total or a count would otherwise be counted from, all of a workspace's rows.

Triggers add a row for each change of what is summed, in the transaction that changes it, so that nothing can be
forgotten and nobody waits for anybody; the rows are merged later. What is summed so far is summed here.
"""

# ruff: noqa: S608  (the names are written here)

from collections.abc import Iterator
from typing import NamedTuple

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class _Summed(NamedTuple):
    """A table, and what is kept of it: `keys` and `values` by their column in the sums. `{row}` stands for a row."""

    table: str
    sums: str
    keys: dict[str, str]
    values: dict[str, str]
    columns: tuple[str, ...]


_DAY = {
    "sqlite": "coalesce(substr({row}.%s, 1, 10), '')",
    "postgres": "coalesce(to_char({row}.%s AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '')",
}
_DATE = {"sqlite": "coalesce({row}.%s, '')", "postgres": "coalesce(to_char({row}.%s, 'YYYY-MM-DD'), '')"}


def _summed(dialect: str) -> list[_Summed]:
    day, date = _DAY[dialect], _DATE[dialect]
    return [
        _Summed(
            "payments",
            "payment_sums",
            {
                "currency": "{row}.currency",
                "day": day % "occurred_at",
                "status": "{row}.status",
                "allocation": "{row}.allocation",
            },
            {
                "number": "1",
                "amount": "{row}.amount",
                "refunded": "{row}.amount_refunded",
                "overpaid": "{row}.overpaid",
            },
            ("currency", "occurred_at", "status", "allocation", "amount", "amount_refunded", "overpaid"),
        ),
        _Summed(
            "invoices",
            "invoice_sums",
            {
                "currency": "{row}.currency",
                "status": "{row}.status",
                "due": f"CASE WHEN {{row}}.status = 'OPEN' THEN {date % 'due_date'} ELSE '' END",
                "paid_on": f"CASE WHEN {{row}}.amount_paid_out_of_band > 0 THEN {day % 'paid_at'} ELSE '' END",
            },
            {
                "number": "1",
                "remaining": "CASE WHEN {row}.status = 'OPEN'"
                " THEN {row}.total - {row}.amount_paid - {row}.amount_paid_out_of_band ELSE 0 END",
                "out_of_band": "{row}.amount_paid_out_of_band",
            },
            ("currency", "status", "due_date", "paid_at", "total", "amount_paid", "amount_paid_out_of_band"),
        ),
        _Summed(
            "webhook_events",
            "webhook_event_sums",
            {"status": "{row}.status", "type": "coalesce({row}.type, '')"},
            {"number": "1"},
            ("status", "type"),
        ),
    ]


def _tables() -> Iterator[str]:
    for each in _summed("sqlite"):
        keys = ", ".join(f"{key} TEXT NOT NULL" for key in each.keys)
        values = ", ".join(f"{value} {{SUM}} NOT NULL" for value in each.values)
        yield (
            f"CREATE TABLE {each.sums} (id {{SERIAL}} PRIMARY KEY, workspace_id TEXT NOT NULL, {keys}, {values},"
            " is_merged {BOOL} NOT NULL DEFAULT FALSE) {STRICT}"
        )
        yield f"CREATE INDEX {each.sums}_by_key ON {each.sums} (workspace_id, {', '.join(each.keys)})"
        yield f"CREATE INDEX {each.sums}_to_merge ON {each.sums} (id) WHERE NOT is_merged"


def _so_far(dialect: str) -> Iterator[str]:
    for each in _summed(dialect):
        keys = [key.format(row="t") for key in ("{row}.workspace_id", *each.keys.values())]
        sums = [f"SUM({value.format(row='t')})" for value in each.values.values()]
        grouped = ", ".join(str(position) for position in range(1, len(keys) + 1))
        yield (
            f"INSERT INTO {each.sums} (workspace_id, {', '.join((*each.keys, *each.values))}, is_merged)"
            f" SELECT {', '.join((*keys, *sums))}, TRUE FROM {each.table} t GROUP BY {grouped}"
        )


def _on_sqlite() -> Iterator[str]:
    yield from _so_far("sqlite")
    for each in _summed("sqlite"):
        into = f"INSERT INTO {each.sums} (workspace_id, {', '.join((*each.keys, *each.values))})"
        gone, come = _values(each, "OLD", "-"), _values(each, "NEW", "")
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in each.columns)
        name = f"{each.table}_summed"
        yield f"CREATE TRIGGER {name}_new AFTER INSERT ON {each.table} BEGIN {into} VALUES ({come}); END"
        yield f"CREATE TRIGGER {name}_gone AFTER DELETE ON {each.table} BEGIN {into} VALUES ({gone}); END"
        yield (
            f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {', '.join(each.columns)} ON {each.table}"
            f" WHEN {changed} BEGIN {into} VALUES ({gone}), ({come}); END"
        )


def _values(each: _Summed, row: str, sign: str) -> str:
    keys = [key.format(row=row) for key in ("{row}.workspace_id", *each.keys.values())]
    return ", ".join([*keys, *(f"{sign}({value.format(row=row)})" for value in each.values.values())])


def _on_postgres() -> Iterator[str]:
    yield from _so_far("postgres")
    for each in _summed("postgres"):
        name = f"{each.table}_summed"
        gone, come = (
            f"SELECT {_named(each, row, sign)} FROM {row}" for row, sign in (("old_rows", "-"), ("new_rows", ""))
        )
        for when, rows, tables in (
            ("insert", come, "NEW TABLE AS new_rows"),
            ("delete", gone, "OLD TABLE AS old_rows"),
            ("update", f"{gone} UNION ALL {come}", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ):
            yield f"""
                CREATE FUNCTION {name}_{when}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO {each.sums} (workspace_id, {", ".join((*each.keys, *each.values))})
                    SELECT workspace_id, {", ".join((*each.keys, *(f"SUM({value})" for value in each.values)))}
                    FROM ({rows}) AS changed
                    GROUP BY workspace_id, {", ".join(each.keys)}
                    HAVING {" OR ".join(f"SUM({value}) <> 0" for value in each.values)};
                    RETURN NULL;
                END $$
            """
            yield (
                f"CREATE TRIGGER {name}_{when} AFTER {when.upper()} ON {each.table} REFERENCING {tables}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {name}_{when}()"
            )


def _named(each: _Summed, row: str, sign: str) -> str:
    named = [f"{key.format(row=row)} AS {name}" for name, key in each.keys.items()]
    named += [f"{sign}({value.format(row=row)}) AS {name}" for name, value in each.values.items()]
    return ", ".join([f"{row}.workspace_id AS workspace_id", *named])


class Migration(BaseMigration):
    """The sums, what keeps them, and the indexes by which the rest of a day is counted."""

    dependencies = [("models", "m0006_neutral")]
    operations = [
        Sql(
            *_tables(),
            "CREATE INDEX payments_by_time ON payments (workspace_id, occurred_at)",
            """
            CREATE INDEX invoices_paid_out_of_band ON invoices (workspace_id, paid_at)
            WHERE amount_paid_out_of_band > 0
            """,
            sqlite=tuple(_on_sqlite()),
            postgres=tuple(_on_postgres()),
        ),
    ]
