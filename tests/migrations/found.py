"""What a database has, by its own account; Tortoise's list of migrations left out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from database.access import fetch, reading_dialect


async def constraint_names() -> set[str]:
    """Every constraint but NOT NULL. SQLite knows no names of primary keys: they are called as on PostgreSQL."""
    if reading_dialect() == "postgres":
        rows = await fetch(
            "SELECT conname AS name FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND relname <> 'tortoise_migrations'"
        )
        return {row["name"] for row in rows}
    names: set[str] = set()
    for table, sql in (await _sqlite_tables()).items():
        names |= set(re.findall(r"CONSTRAINT (\w+)", sql))
        if not re.search(r"CONSTRAINT \w+ PRIMARY KEY", sql):
            names.add(f"{table}_pkey")
    return names


async def index_definitions() -> dict[str, str]:
    """Every index that isn't a constraint's, with the statement that makes it."""
    if reading_dialect() == "postgres":
        rows = await fetch(
            "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = 'public'"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
    else:
        rows = await fetch("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {row["name"]: row["sql"] for row in rows}


async def nullable_columns() -> dict[str, dict[str, bool]]:
    """Every table's columns, and whether they may be NULL."""
    if reading_dialect() == "postgres":
        columns = await fetch(
            "SELECT table_name, column_name AS name, is_nullable = 'YES' AS nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'tortoise_migrations'"
        )
    else:
        columns = [
            {"table_name": table, "name": row["name"], "nullable": not row["notnull"]}
            for table in await _sqlite_tables()
            for row in await fetch(f"PRAGMA table_info({table})")
        ]
    found: dict[str, dict[str, bool]] = {}
    for column in columns:
        found.setdefault(column["table_name"], {})[column["name"]] = column["nullable"]
    return found


async def rows() -> dict[str, Sequence[Mapping[str, Any]]]:
    """All there is, in every table."""
    return {table: await fetch(f"SELECT * FROM {table} ORDER BY 1") for table in await nullable_columns()}


async def _sqlite_tables() -> dict[str, str]:
    """The tables, without those that SQLite's full-text indexes are made of."""
    found = await fetch(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT LIKE '%_search%' AND name <> 'tortoise_migrations'"
    )
    return {row["name"]: row["sql"] for row in found}
