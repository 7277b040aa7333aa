"""Makes one statement of several, for PostgreSQL: it is sent and answered once."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

Statement = tuple[str, Sequence[object]]
"""SQL with `$1` parameters, and their values."""

_MAX_COMBINATIONS: Final = 64
"""How many combinations are made into one statement. PostgreSQL keeps each prepared in every session.

There are few in practice: which tables a batch writes, and in which shapes (`database/bulk.py`).
"""

MAX_LENGTH: Final = 14_000
"""How long the statements of a combination may be together: asyncpg keeps no statement above 15 KiB prepared."""

AFTER: Final = "{after}"
"""A placeholder in a last statement, for the condition that makes it run after the others."""

PARAMETER: Final = re.compile(r"\$(\d+)")
"""A parameter in SQL."""

_COMBINED: Final[dict[tuple[str, ...], str]] = {}


def together(statements: Sequence[Statement]) -> Sequence[Statement]:
    """Combine statements into one if that can stay prepared; otherwise return them as they are.

    None of them may need what another writes: they all see the rows as they were before. PostgreSQL runs the main
    statement first and the others from the last to the first, so they are listed to run in the order given. It doesn't
    promise that, so only the order in which locks are taken may depend on it: a deadlock is tried again.
    """
    if len(statements) < 2:
        return statements
    combined = _kept(tuple(sql for sql, _ in statements), _combine)
    return statements if combined is None else [(combined, _values(statements))]


def after(statements: Sequence[Statement], last: Statement) -> Statement | None:
    """Combine statements with a last one that runs after them; None if the combination would not stay prepared.

    The last one is a `WITH`. Its first part has `{after}` as a condition, and so needs the results of the others.
    """
    combined = _kept((*(sql for sql, _ in statements), last[0]), _combine_before_last)
    return None if combined is None else (combined, _values([*statements, last]))


def each_of(queries: Sequence[tuple[tuple[str, ...], str]], values: Sequence[Sequence[object]]) -> Statement:
    """Make one query of several, given as columns and the rest: its only row has an array of rows for each."""
    return _each_of(tuple(queries), tuple(map(len, values))), [value for own in values for value in own]


def _kept(key: tuple[str, ...], combine: Callable[[Sequence[str]], str]) -> str | None:
    """Return the combination of these statements, if it can be kept."""
    combined = _COMBINED.get(key)
    if combined is None and len(_COMBINED) < _MAX_COMBINATIONS and sum(map(len, key)) <= MAX_LENGTH:
        combined = _COMBINED[key] = combine(key)
    return combined


def _values(statements: Sequence[Statement]) -> list[object]:
    return [value for _, values in statements for value in values]


def _combine(statements: Sequence[str]) -> str:
    first, *others = _renumbered(statements)
    named = [f"write_{place} AS ({sql})" for place, sql in enumerate(others, start=1)]
    return f"WITH {', '.join(reversed(named))} {first}"


def _combine_before_last(statements: Sequence[str]) -> str:
    *writes, last = _renumbered(statements)
    named = [f"write_{place} AS ({sql} RETURNING 1)" for place, sql in enumerate(writes, start=1)]
    written = " + ".join(f"(SELECT count(*) FROM write_{place})" for place in range(1, len(writes) + 1))  # noqa: S608
    return f"WITH {', '.join([*named, last.removeprefix('WITH ').replace(AFTER, f'{written} >= 0')])}"


def _renumbered(statements: Sequence[str]) -> list[str]:
    """Number the parameters of statements that become one."""
    parts, taken = list[str](), 0
    for sql in statements:
        parts.append(_moved(sql, taken))
        taken += max((int(position) for position in PARAMETER.findall(sql)), default=0)
    return parts


def _moved(sql: str, taken: int) -> str:
    return PARAMETER.sub(lambda match: f"${int(match[1]) + taken}", sql)


@cache
def _each_of(queries: tuple[tuple[tuple[str, ...], str], ...], counts: tuple[int, ...]) -> str:
    arrays, taken = list[str](), 0
    for place, ((columns, rest), count) in enumerate(zip(queries, counts, strict=True)):
        arrays.append(f"ARRAY(SELECT ROW({', '.join(columns)}) {_moved(rest, taken)}) AS rows_{place}")
        taken += count
    return f"SELECT {', '.join(arrays)}"
