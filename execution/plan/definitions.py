"""Finds what Strawberry made the schema's definitions from."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLInterfaceType, GraphQLNonNull, GraphQLOutputType, GraphQLUnionType
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField


def resolves(extension: Any) -> bool:
    """Whether an extension of the schema comes between fields and their resolvers."""
    return getattr(extension, "resolve", None) is not SchemaExtension.resolve


def nullable(type_: GraphQLOutputType) -> tuple[bool, GraphQLOutputType]:
    """Return whether a type may be null, and the type without that."""
    return (False, type_.of_type) if isinstance(type_, GraphQLNonNull) else (True, type_)


def backref(definition: GraphQLField | GraphQLInterfaceType | GraphQLUnionType | None) -> Any:
    """Return Strawberry's own definition behind a GraphQL definition."""
    extensions: Mapping[str, Any] = (definition.extensions if definition else None) or {}
    return extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)


def is_plain(field: StrawberryField, definition: GraphQLField) -> bool:
    """Whether a field is as Strawberry makes it, without permissions or extensions between it and its resolver."""
    made_by = getattr(definition.resolve, "__qualname__", "")
    resolver = field.base_resolver
    takes_others = resolver is not None and (resolver.parent_parameter or resolver.root_parameter)
    return (
        type(field) is StrawberryField
        and not field.extensions
        and not field.permission_classes
        and not field.is_subscription
        and not takes_others
        and made_by.startswith("GraphQLCoreConverter.from_resolver.")
    )


def call(field: StrawberryField) -> Callable[..., Any]:
    """Return a field's function; its first parameter is the source."""
    resolver = field.base_resolver
    assert resolver is not None  # noqa: S101  (it was looked at)
    function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    return function if resolver.self_parameter else lambda _, **given: function(**given)


def name_of(source: Any) -> str:
    """Return the name of a source's type."""
    return get_object_definition(source, strict=True).name
