"""Searches texts by an index of every three characters in a row (migrations/m0010)."""

from typing import Any, Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.access import fetch, reading_dialect
from resolvers.reading.narrowing import LOOKED_UP, Between, Found, Narrowing

SHORTEST: Final = 3
"""The index can't find shorter texts."""

NEWEST: Final = 10_000
"""How many of the newest rows are searched for a shorter text."""

_AT_THE_SAME_TIME: Final = 200
"""How far rows made at the same time may be out of the order of their ids in the index."""

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


async def holding(rows: QuerySet[Any], texts: str, workspace_id: str, text: str, holds: Q) -> Narrowing:
    """Make the condition that a row contains a text.

    `rows` are all of the workspace's; `texts` is the table that holds their searched texts.
    """
    if len(text) >= SHORTEST:
        return Narrowing(
            holds,
            lambda: _found(texts, workspace_id, text),
            lambda part, number: nearest_ids(texts, workspace_id, text, part, number),
        )
    oldest = await rows.order_by("-workspace_id", "-id").offset(NEWEST - 1).limit(1).values_list("id", flat=True)
    return Narrowing(Q(holds, Q(id__gte=oldest[0])) if oldest else holds, _nothing)


async def _nothing() -> Found | None:
    return None


async def _found(texts: str, workspace_id: str, text: str) -> Found | None:
    ids = await ids_of(texts, workspace_id, text)
    return None if ids is None else Found(ids)


async def ids_of(texts: str, workspace_id: str, text: str) -> list[str] | None:
    """Find the ids of rows that may contain a text, possibly across two columns; None if there are too many."""
    pattern = f"%{text.translate(_LITERALLY)}%"
    if reading_dialect() == "postgres":
        found = await fetch(_ON_POSTGRES % {"of": texts}, workspace_id, text, pattern)
    else:
        first = _first_number(workspace_id)
        bounds = first, first + (1 << 40)
        found = await fetch(_ON_SQLITE % {"of": texts}, workspace_id, _phrase(text), *bounds, pattern)
    return None if len(found) > LOOKED_UP else [row["id"] for row in found]


async def nearest_ids(texts: str, workspace_id: str, text: str, part: Between, number: int) -> list[str]:
    """Find the ids of rows that contain a text in a part of a list, in its order, up to a limit.

    SQLite's index is in the order in which rows were made, which is that of their ids, except for rows made at the same
    time. PostgreSQL's has no order, so all rows that contain the text are looked at.
    """
    pattern = f"%{text.translate(_LITERALLY)}%"
    order = "DESC" if part.descending else "ASC"
    if reading_dialect() == "postgres":
        sql = _NEAREST_ON_POSTGRES % {"of": texts, "order": order, "number": number}
        return [row["id"] for row in await fetch(sql, workspace_id, text, pattern, part.low, part.high)]
    first = _first_number(workspace_id)
    low = await _number_of(texts, part.low, first) - _AT_THE_SAME_TIME
    high = await _number_of(texts, part.high, first + (1 << 40)) + _AT_THE_SAME_TIME
    sql = _NEAREST_ON_SQLITE % {"of": texts, "order": order, "number": number + 2 * _AT_THE_SAME_TIME}
    found = await fetch(sql, workspace_id, _phrase(text), max(low, first), high, pattern)
    return part.narrow_ids([row["id"] for row in found])[:number]


async def _number_of(texts: str, id_: str | int | None, otherwise: int) -> int:
    found = await fetch(f"SELECT number FROM {texts}_texts WHERE id = $1", id_) if id_ is not None else ()  # noqa: S608
    return int(found[0]["number"]) if found else otherwise


_LITERALLY: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})

_ON_POSTGRES: Final = f"""
    SELECT id FROM %(of)s_texts
    WHERE search_grams(workspace_id, text) @> search_grams($1, $2) AND workspace_id = $1
        AND upper(text) LIKE upper($3) LIMIT {LOOKED_UP + 1}
"""  # noqa: S608

_ON_SQLITE: Final = rf"""
    SELECT t.id FROM %(of)s_search s CROSS JOIN %(of)s_texts t ON t.number = s.rowid
    WHERE %(of)s_search MATCH $2 AND s.rowid > $3 AND s.rowid < $4 AND t.workspace_id = $1
        AND t.text LIKE $5 ESCAPE '\' LIMIT {LOOKED_UP + 1}
"""  # noqa: S608


_NEAREST_ON_POSTGRES: Final = """
    WITH found AS MATERIALIZED (
        SELECT id FROM %(of)s_texts
        WHERE search_grams(workspace_id, text) @> search_grams($1, $2) AND workspace_id = $1
            AND upper(text) LIKE upper($3)
    )
    SELECT id FROM found WHERE id > coalesce($4::text, '') AND ($5::text IS NULL OR id < $5)
    ORDER BY id %(order)s LIMIT %(number)d
"""

_NEAREST_ON_SQLITE: Final = r"""
    SELECT t.id FROM %(of)s_search s CROSS JOIN %(of)s_texts t ON t.number = s.rowid
    WHERE %(of)s_search MATCH $2 AND s.rowid > $3 AND s.rowid < $4 AND t.workspace_id = $1
        AND t.text LIKE $5 ESCAPE '\'
    ORDER BY s.rowid %(order)s LIMIT %(number)d
"""


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _first_number(workspace_id: str) -> int:
    """Return the first number of a workspace's rows in the index, as the migration assigns them."""
    first = 0
    for letter in workspace_id[-4:]:
        first = first * 32 + _LETTERS.find(letter) + 1
    return first << 40
