"""Tables of sums and the triggers that keep them, for the migrations that make such.

A trigger adds a row for each change of what is summed, in the transaction that changes it, so that nothing can be
forgotten and nobody waits for anybody; the rows are merged later. What is summed so far is summed at once.
"""

# ruff: noqa: S608  (the names are written in migrations)

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

DAY: Final = {
    "sqlite": "coalesce(substr({row}.%s, 1, 10), '')",
    "postgres": "coalesce(to_char({row}.%s AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '')",
}
DATE: Final = {"sqlite": "coalesce({row}.%s, '')", "postgres": "coalesce(to_char({row}.%s, 'YYYY-MM-DD'), '')"}
QUARTER_HOUR: Final = {
    "sqlite": "substr({row}.%(at)s, 1, 14) || substr('0' || (substr({row}.%(at)s, 15, 2) / 15 * 15), -2)",
    "postgres": "to_char(date_bin('15 minutes', {row}.%(at)s, 'epoch') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')",
}
"""The beginning of an instant's quarter of an hour, in UTC."""


class Summed(NamedTuple):
    """A table, and what is kept of it: `keys` and `values` by their column in the sums. `{row}` stands for a row.

    `order` is that of the keys in the index, `name` what the triggers are called after, `where` which rows count.
    """

    table: str
    sums: str
    keys: dict[str, str]
    values: dict[str, str]
    columns: tuple[str, ...]
    name: str
    order: tuple[str, ...]
    where: str = ""


def tables(summed: Sequence[Summed]) -> Iterator[str]:
    """The statements that make the tables, for both databases."""
    for each in summed:
        keys = ", ".join(f"{key} TEXT NOT NULL" for key in each.keys)
        values = ", ".join(f"{value} {{SUM}} NOT NULL" for value in each.values)
        yield (
            f"CREATE TABLE {each.sums} (id {{SERIAL}} PRIMARY KEY, workspace_id TEXT NOT NULL, {keys}, {values},"
            " is_merged {BOOL} NOT NULL DEFAULT FALSE) {STRICT}"
        )
        yield f"CREATE INDEX {each.sums}_by_key ON {each.sums} (workspace_id, {', '.join(each.order)})"
        yield f"CREATE INDEX {each.sums}_to_merge ON {each.sums} (id) WHERE NOT is_merged"


def merged(summed: Sequence[Summed]) -> Iterator[str]:
    """The statements that leave one row for each key, now and for good, on both databases."""
    for each in summed:
        columns = ", ".join((_key(each), *each.values))
        sums = [f"SUM({value})" for value in each.values]
        yield f"UPDATE {each.sums} SET is_merged = FALSE WHERE is_merged"
        yield (
            f"INSERT INTO {each.sums} ({columns}, is_merged) SELECT {_key(each)}, {', '.join(sums)}, TRUE"
            f" FROM {each.sums} GROUP BY {_key(each)} HAVING {' OR '.join(f'{sum_} <> 0' for sum_ in sums)}"
        )
        yield f"DELETE FROM {each.sums} WHERE NOT is_merged"
        yield f"CREATE UNIQUE INDEX {each.sums}_merged ON {each.sums} ({_key(each)}) WHERE is_merged"


def _so_far(summed: Sequence[Summed]) -> Iterator[str]:
    for each in summed:
        keys = [key.format(row="t") for key in ("{row}.workspace_id", *each.keys.values())]
        sums = [f"SUM({value.format(row='t')})" for value in each.values.values()]
        grouped = ", ".join(str(position) for position in range(1, len(keys) + 1))
        yield (
            f"INSERT INTO {each.sums} (workspace_id, {', '.join((*each.keys, *each.values))}, is_merged)"
            f" SELECT {', '.join((*keys, *sums))}, TRUE FROM {each.table} t{_where(each, 't')} GROUP BY {grouped}"
        )


def _where(each: Summed, row: str, word: str = "WHERE") -> str:
    return f" {word} {each.where.format(row=row)}" if each.where else ""


# --- SQLite ----------------------------------------------------------------------------------------------------


def on_sqlite(summed: Sequence[Summed]) -> Iterator[str]:
    """The statements that sum what is there and keep the sums."""
    yield from _so_far(summed)
    for each in summed:
        into = f"INSERT INTO {each.sums} (workspace_id, {', '.join((*each.keys, *each.values))})"
        yield from _triggers(each, into, _values(each, "OLD", "-"), _values(each, "NEW", ""), "")


def at_once_on_sqlite(summed: Sequence[Summed]) -> Iterator[str]:
    """The statements that have changes added to the sums themselves: only one writes at a time anyway.

    A sum of nothing is deleted.
    """
    for each in summed:
        for when in ("new", "gone", "changed"):
            yield f"DROP TRIGGER {each.name}_{when}"
        into = f"INSERT INTO {each.sums} (workspace_id, {', '.join((*each.keys, *each.values))}, is_merged)"
        added = ", ".join(f"{value} = {value} + excluded.{value}" for value in each.values)
        conflict = f" ON CONFLICT ({_key(each)}) WHERE is_merged DO UPDATE SET {added}"
        gone, come = (f"{_values(each, row, sign)}, TRUE" for row, sign in (("OLD", "-"), ("NEW", "")))
        yield from _triggers(each, into, gone, come, conflict)
        nothing = " AND ".join(f"NEW.{value} = 0" for value in each.values)
        yield (
            f"CREATE TRIGGER {each.sums}_of_nothing AFTER UPDATE ON {each.sums} WHEN {nothing}"
            f" BEGIN DELETE FROM {each.sums} WHERE id = NEW.id; END"
        )


def _triggers(each: Summed, into: str, gone: str, come: str, conflict: str) -> Iterator[str]:
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in each.columns)
    both = f"{into} VALUES ({gone}), ({come}){conflict};"
    if each.where:
        less, more = (f"{into} SELECT {values}{_where(each, row)}" for values, row in ((gone, "OLD"), (come, "NEW")))
        both = f"{less}{conflict}; {more}{conflict};"
    on, name = f"ON {each.table}", each.name
    when_new, when_gone = _where(each, "NEW", "WHEN"), _where(each, "OLD", "WHEN")
    yield f"CREATE TRIGGER {name}_new AFTER INSERT {on}{when_new} BEGIN {into} VALUES ({come}){conflict}; END"
    yield f"CREATE TRIGGER {name}_gone AFTER DELETE {on}{when_gone} BEGIN {into} VALUES ({gone}){conflict}; END"
    yield (
        f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {', '.join(each.columns)} {on} WHEN {changed} BEGIN {both} END"
    )


def _key(each: Summed) -> str:
    return ", ".join(("workspace_id", *each.order))


def _values(each: Summed, row: str, sign: str) -> str:
    keys = [key.format(row=row) for key in ("{row}.workspace_id", *each.keys.values())]
    return ", ".join([*keys, *(f"{sign}({value.format(row=row)})" for value in each.values.values())])


# --- PostgreSQL ------------------------------------------------------------------------------------------------


def on_postgres(summed: Sequence[Summed]) -> Iterator[str]:
    """The statements that sum what is there and keep the sums."""
    yield from _so_far(summed)
    for each in summed:
        gone, come = (
            f"SELECT {_named(each, row, sign)} FROM {row}{_where(each, row)}"
            for row, sign in (("old_rows", "-"), ("new_rows", ""))
        )
        for when, rows, transition in (
            ("insert", come, "NEW TABLE AS new_rows"),
            ("delete", gone, "OLD TABLE AS old_rows"),
            ("update", f"{gone} UNION ALL {come}", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ):
            yield f"""
                CREATE FUNCTION {each.name}_{when}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO {each.sums} (workspace_id, {", ".join((*each.keys, *each.values))})
                    SELECT workspace_id, {", ".join((*each.keys, *(f"SUM({value})" for value in each.values)))}
                    FROM ({rows}) AS changed
                    GROUP BY workspace_id, {", ".join(each.keys)}
                    HAVING {" OR ".join(f"SUM({value}) <> 0" for value in each.values)};
                    RETURN NULL;
                END $$
            """
            yield (
                f"CREATE TRIGGER {each.name}_{when} AFTER {when.upper()} ON {each.table} REFERENCING {transition}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {each.name}_{when}()"
            )


def _named(each: Summed, row: str, sign: str) -> str:
    named = [f"{key.format(row=row)} AS {name}" for name, key in each.keys.items()]
    named += [f"{sign}({value.format(row=row)}) AS {name}" for name, value in each.values.items()]
    return ", ".join([f"{row}.workspace_id AS workspace_id", *named])
