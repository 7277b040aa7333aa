"""Makes one statement of several that write different tables, for PostgreSQL: it is sent and answered once."""

import re
from collections.abc import Sequence
from typing import Final

Statement = tuple[str, Sequence[object]]
"""SQL with `$1` parameters, and their values."""

_MAX_COMBINATIONS: Final = 64
"""How many combinations are made into one statement. PostgreSQL keeps each prepared in every session.

There are few in practice: which tables a batch writes, and in which shapes (`database/bulk.py`).
"""

MAX_LENGTH: Final = 14_000
"""How long the statements of a combination may be together: asyncpg keeps no statement above 15 KiB prepared."""

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
    key = tuple(sql for sql, _ in statements)
    combined = _COMBINED.get(key)
    if combined is None:
        if len(_COMBINED) >= _MAX_COMBINATIONS or sum(map(len, key)) > MAX_LENGTH:
            return statements
        combined = _COMBINED[key] = _combine(statements)
    return [(combined, [value for _, values in statements for value in values])]


def _combine(statements: Sequence[Statement]) -> str:
    parts, taken = list[str](), 0
    for sql, values in statements:
        parts.append(PARAMETER.sub(lambda match, taken=taken: f"${int(match[1]) + taken}", sql))  # type: ignore[misc]
        taken += len(values)
    first, *others = parts
    named = [f"write_{place} AS ({sql})" for place, sql in enumerate(others, start=1)]
    return f"WITH {', '.join(reversed(named))} {first}"
