"""What the migrations declare, read from their statements."""

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import migrations
from migrations._sql import Sql

CHECK: Final = "CHECK"
FOREIGN_KEY: Final = "REFERENCES"
PRIMARY_KEY: Final = "PRIMARY"
UNIQUE: Final = "UNIQUE"
INDEX: Final = "INDEX"
UNIQUE_INDEX: Final = "UNIQUE INDEX"
DROP: Final = "DROP INDEX "


@dataclass(frozen=True, slots=True)
class Declared:
    """A constraint or an index. `columns` are those that a key is made of, or the one that the constraint stands at."""

    name: str
    kind: str
    table: str
    columns: tuple[str, ...]


@functools.cache
def constraints() -> tuple[Declared, ...]:
    """Every constraint but NOT NULL; a primary key without a name has PostgreSQL's."""
    declared = [each for table, items in _tables() for item in items for each in _in_item(table, item)]
    return tuple(_as_named_now(each) for each in declared)


@functools.cache
def indexes() -> tuple[Declared, ...]:
    """Every index that isn't a constraint's, but those that were dropped again."""
    form = re.compile(r"CREATE ((?:UNIQUE )?INDEX) (\w+) ON (\w+) \(([\w, ]+)\)")
    found = [form.match(statement) for statement in statements()]
    dropped = {statement.removeprefix(DROP) for statement in statements() if statement.startswith(DROP)}
    return tuple(
        _as_named_now(Declared(one[2], one[1], one[3], _names(one[4])))
        for one in found
        if one and one[2] not in dropped
    )


def tables() -> list[str]:
    """Every table."""
    return [table for table, _ in _tables()]


@functools.cache
def statements() -> tuple[str, ...]:
    """Every statement of every migration, in order, on one line."""
    return tuple(_statements())


def _statements() -> Iterator[str]:
    for module in sorted(module.name for module in pkgutil.iter_modules(migrations.__path__)):
        migration = getattr(importlib.import_module(f"migrations.{module}"), "Migration", None)
        for operation in migration.operations if migration else ():
            assert isinstance(operation, Sql)
            yield from (" ".join(statement.split()) for statement in operation.statements)


def _as_named_now(declared: Declared) -> Declared:
    """With the columns' names after all migrations."""
    form = re.compile(rf"ALTER TABLE {declared.table} RENAME COLUMN (\w+) TO (\w+)")
    renamed = {found[1]: found[2] for statement in statements() if (found := form.match(statement))}
    return replace(declared, columns=tuple(renamed.get(column, column) for column in declared.columns))


def _tables() -> Iterator[tuple[str, list[str]]]:
    for statement in statements():
        if found := re.match(r"CREATE TABLE (\w+) \((.*)\) \{STRICT\}$", statement):
            yield found[1], _split(found[2])


def _split(body: str) -> list[str]:
    """The columns and constraints of a table: what stands between commas that are in no parentheses."""
    items, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _in_item(table: str, item: str) -> Iterator[Declared]:
    column = item.split(maxsplit=1)[0]
    for name, kind, rest in re.findall(r"CONSTRAINT (\w+) (CHECK|UNIQUE|PRIMARY|REFERENCES)([^)]*)", item):
        own = column if column != "CONSTRAINT" else rest.partition("(")[2]
        yield Declared(name, kind, table, _names(own))
    if "PRIMARY KEY" in item and not item.startswith("CONSTRAINT"):
        own = item.partition("(")[2].rstrip(")") if column == "PRIMARY" else column
        yield Declared(f"{table}_pkey", PRIMARY_KEY, table, _names(own))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
