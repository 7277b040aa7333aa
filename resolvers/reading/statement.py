"""Tortoise's statements, for what is made of them before they are sent."""

from typing import Any

from pypika_tortoise.queries import QueryBuilder
from tortoise.queryset import QuerySet


def statement_of(rows: QuerySet[Any]) -> QueryBuilder:
    """The statement that reads rows. Tortoise's own way, `sql()`, would write it out, too."""
    rows._choose_db_if_not_chosen()
    rows._make_query()
    return rows.query
