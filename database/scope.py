"""The one place where rows are scoped to a workspace: a query that says nothing of whose rows it means is refused."""

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
    """The rows of one workspace: the only way to a workspace's rows on behalf of a caller."""
    return QuerySet(model).filter(workspace_id=workspace_id)


def scoped_list(model: type[ModelT], workspace_id: str, owner: str | None = None) -> QuerySet[ModelT]:
    """The same rows, to be listed by an index whose first column is the owner's, or if it is None the workspace's.

    They are in the order of that column, to which a list adds its own. `owned_by` restricts them to an owner.
    """
    if owner is not None:
        return scoped(model, workspace_id).order_by(owner)
    return QuerySet(model).filter(owned_by("workspace_id", workspace_id)).order_by("workspace_id")


def first_column(rows: QuerySet[Any]) -> str:
    """The first column of the index by which rows are listed."""
    return rows._orderings[0][0] if rows._orderings else "workspace_id"


def unscoped(model: type[ModelT]) -> QuerySet[ModelT]:
    """The rows of all workspaces: for authentication, the operator's commands and background work only."""
    return QuerySet(model)
