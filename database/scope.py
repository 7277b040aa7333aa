"""Scopes every query to a workspace; a query that doesn't say whose rows it means is refused."""

from typing import Any, TypeVar

from tortoise.manager import Manager
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.conditions import owned_by

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


def scoped_list(model: type[ModelT], workspace_id: str, owner: str | None = None) -> QuerySet[ModelT]:
    """Query the same rows for a list whose index begins with the column `owner`, by default with the workspace.

    They are ordered by that column, to which a list adds its own order. `owned_by` restricts them to an owner.
    """
    if owner is not None:
        return scoped(model, workspace_id).order_by(owner)
    return QuerySet(model).filter(owned_by("workspace_id", workspace_id)).order_by("workspace_id")


def first_column(rows: QuerySet[Any]) -> str:
    """Return the first column of the index that lists the rows."""
    return rows._orderings[0][0] if rows._orderings else "workspace_id"


def unscoped(model: type[ModelT]) -> QuerySet[ModelT]:
    """Query the rows of all workspaces: for authentication, the operator's commands and background work only."""
    return QuerySet(model)
