"""Searching texts: what holds a text, found by an index of every three characters in a row (migrations/m0010)."""

from typing import Any, Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.door import fetch, reading_dialect
from resolvers.reading.narrowing import LOOKED_UP, Found, Narrowing

SHORTEST: Final = 3
"""A text of fewer characters is in no index."""

NEWEST: Final = 10_000
"""Among so many rows a shorter text is looked for."""

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


async def holding(rows: QuerySet[Any], texts: str, workspace_id: str, text: str, holds: Q) -> Narrowing:
    """The condition that a row holds a text. `rows` are all of the workspace's, `texts` what they are searched by."""
    if len(text) >= SHORTEST:
        return Narrowing(holds, lambda: _found(texts, workspace_id, text))
    oldest = await rows.order_by("-id").offset(NEWEST - 1).limit(1).values_list("id", flat=True)
    return Narrowing(Q(holds, Q(id__gte=oldest[0])) if oldest else holds, _nothing)


async def _nothing() -> Found | None:
    return None


async def _found(texts: str, workspace_id: str, text: str) -> Found | None:
    ids = await ids_of(texts, workspace_id, text)
    return None if ids is None else Found(ids)


async def ids_of(texts: str, workspace_id: str, text: str) -> list[str] | None:
    """The ids of what holds a text, perhaps across two columns; None where that is too many."""
    pattern = f"%{text.translate(_LITERALLY)}%"
    if reading_dialect() == "postgres":
        found = await fetch(_ON_POSTGRES % {"of": texts}, workspace_id, text, pattern)
    else:
        first = _first_number(workspace_id)
        phrase = '"' + text.replace('"', '""') + '"'
        found = await fetch(_ON_SQLITE % {"of": texts}, workspace_id, phrase, first, first + (1 << 40), pattern)
    return None if len(found) > LOOKED_UP else [row["id"] for row in found]


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


def _first_number(workspace_id: str) -> int:
    """Where a workspace's numbers begin, as the migration has it."""
    first = 0
    for letter in workspace_id[-4:]:
        first = first * 32 + _LETTERS.find(letter) + 1
    return first << 40
