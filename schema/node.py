"""What has an id, and the links between such things."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from aiodataloader import DataLoader

NodeT = TypeVar("NodeT")


@strawberry.interface(description="Something with an id of its own.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Globally unique, sortable by time; its prefix says what it names: inv_, cust_, pay_ …"
    )


async def linked(loader: DataLoader[str, Any], id_: str | None, node: Callable[[Any], NodeT]) -> NodeT | None:
    """What an id points at, as it is now; None when it points at nothing."""
    if id_ is None:
        return None
    row = await loader.load(id_)
    return None if row is None else node(row)


async def linked_always(loader: DataLoader[str, Any], id_: str, node: Callable[[Any], NodeT]) -> NodeT:
    """The same, where a foreign key sees to it that there is something."""
    found = await linked(loader, id_, node)
    if found is None:
        raise LookupError(f"{id_} is gone")
    return found
