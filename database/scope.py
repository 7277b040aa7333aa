"""Scopes every query to a workspace; a query that doesn't say whose rows it means is refused."""

from typing import Any, TypeVar

from tortoise.manager import Manager
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.access import reading_dialect
from database.conditions import among_one

ModelT = TypeVar("ModelT", bound=Model)


class UnscopedQueryError(RuntimeError):
    """A workspace's table was queried without saying whose rows are meant."""


class WorkspaceManager(Manager):
    """Refuses every query that does not go through `scoped` or `unscoped`."""

    def get_queryset(self) -> QuerySet[Any]:
        raise UnscopedQueryError(f"query {self._model.__name__} through scoped() or unscoped()")


def scoped(model: type[ModelT], workspace_id: str) -> QuerySet[ModelT]:
    """Query the rows of one workspace: the only way to read rows for a caller."""
    return QuerySet(model).filter(workspace_id=workspace_id)


def scoped_list(model: type[ModelT], workspace_id: str) -> QuerySet[ModelT]:
    """Query the same rows for a list whose index begins with the workspace, in that index's order.

    The value is hidden from PostgreSQL's planner: for a workspace with nearly all rows of a table, it would scan the
    primary key instead, past all rows that others have added since.
    """
    if reading_dialect() == "sqlite":
        return scoped(model, workspace_id)
    return QuerySet(model).filter(among_one("workspace_id", workspace_id))


def unscoped(model: type[ModelT]) -> QuerySet[ModelT]:
    """Query the rows of all workspaces: for authentication, the operator's commands and background work only."""
    return QuerySet(model)
