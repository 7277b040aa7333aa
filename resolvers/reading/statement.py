"""Tortoise's statements, to be changed before they are sent."""

from typing import Any

from pypika_tortoise.queries import QueryBuilder
from tortoise.queryset import QuerySet


def statement_of(rows: QuerySet[Any]) -> QueryBuilder:
    """Return the statement that reads rows. Tortoise's `sql()` would also write it as text."""
    rows._choose_db_if_not_chosen()
    rows._make_query()
    return rows.query
