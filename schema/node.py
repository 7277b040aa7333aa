"""Objects with an id, and the fields that find them by id or from another object.

A type names its prefix where it is declared: `class Invoice(Node, prefix=Prefix.INVOICE)`. `node`, links and lookups
find the type by the prefix.
"""

from operator import attrgetter
from typing import Annotated, Any, Final, Protocol, Self, TypeVar

import strawberry

from models.ids import Prefix
from resolvers import node
from schema.context import Info

RowT_contra = TypeVar("RowT_contra", contravariant=True)


class OfRow(Protocol[RowT_contra]):
    """A type that is made from a row."""

    @classmethod
    def of(cls, row: RowT_contra) -> Self: ...


_TYPES: Final[dict[Prefix, type[OfRow[Any]]]] = {}
"""The name of the type for each prefix."""

_LAZY: Final[dict[Prefix, Any]] = {
    Prefix.CUSTOMER: Annotated["Customer", strawberry.lazy("schema.types.customer")],  # noqa: F821
    Prefix.INTEGRATION: Annotated["StripeIntegration", strawberry.lazy("schema.types.integration")],  # noqa: F821
    Prefix.INVOICE: Annotated["Invoice", strawberry.lazy("schema.types.invoice")],  # noqa: F821
    Prefix.PAYMENT: Annotated["Payment", strawberry.lazy("schema.types.payment")],  # noqa: F821
    Prefix.WEBHOOK_EVENT: Annotated["WebhookEvent", strawberry.lazy("schema.types.webhook_event")],  # noqa: F821
}
"""The types that links name. They refer to one another, so each is looked up when the schema is built."""


@strawberry.interface(description="An object with an id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description=(
            "The object's id. No other object, of any type, has the same id. Ids of the same type,"
            " sorted as text, are in the order of creation. The id's prefix, such as inv_, cust_ or"
            " pay_, names the type."
        )
    )

    def __init_subclass__(cls, *, prefix: Prefix) -> None:
        super().__init_subclass__()
        _TYPES[prefix] = cls  # type: ignore[assignment]  # each has `of`, of its own row


def shown(prefix: Prefix, row: Any) -> Any:
    """Make the type that a prefix names from a row."""
    return None if row is None else _TYPES[prefix].of(row)


def link(prefix: Prefix, key: str, description: str, *, required: bool = False) -> Any:
    """Declare a field for the object with the id in `key`, as it is now; null if there is none.

    `required`: a foreign key guarantees that there is one.
    """
    id_of = attrgetter(key)

    async def resolve(self: Any, info: Info) -> Any:
        id_, loader = id_of(self), info.context.loaders.of(prefix)
        found = None if id_ is None or loader is None else await loader.load(id_)
        if found is None and required:
            raise LookupError(f"{id_} is gone")
        return shown(prefix, found)

    resolve.__annotations__["return"] = _LAZY[prefix] if required else _LAZY[prefix] | None
    return strawberry.field(resolver=resolve, description=description)


def by_id(prefix: Prefix, noun: str, type_: type[OfRow[Any]]) -> Any:
    """Declare a field of the query for the object of a type with an id; null if the workspace has none."""

    async def resolve(
        self: Any,  # noqa: ARG001  (Strawberry gives it)
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description=f"The {noun}'s id.")],
    ) -> Any:
        return shown(prefix, await node.node_of(info.context, prefix, id))

    resolve.__annotations__["return"] = type_ | None
    return strawberry.field(
        resolver=resolve, description=f"The {noun} with this id. Null if the workspace has no such {noun}."
    )
