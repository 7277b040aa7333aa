"""The API's surface as it tells of itself: every field, what it takes, and documents that ask for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    get_introspection_query,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

DEEP: Final = 3
"""How many levels of what has fields of its own a document selects."""

NODE_DEEP: Final = 1
"""The same of a node, which may be of any type: each type is asked for by a field of its own as well."""

_SHORT: Final = 10
"""How many rows of a list within another are asked for: the default would be too much together."""

ROOTS: Final = ("Query", "Mutation", "Subscription")
_DUMMIES: Final[Mapping[str, Any]] = {
    "Boolean": False,
    "Date": "2026-01-01",
    "DateTime": "2026-01-01T00:00:00Z",
    "Decimal": "1",
    "Int": 1,
}


@dataclass(frozen=True)
class Place:
    """Where a field takes a text or an id: `Mutation.updateInvoice(input.customerId)`."""

    field: str
    path: tuple[str, ...]
    scalar: str

    def __str__(self) -> str:
        return f"{self.field}({'.'.join(self.path)})"

    @property
    def name(self) -> str:
        """The innermost name."""
        return self.path[-1]


class Surface:
    """A schema, asked of a server."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._selected: dict[tuple[str, int, bool], str] = {}

    @classmethod
    def of(cls, http: httpx.Client) -> Self:
        """The schema that a server answers with."""
        answer = http.post("/graphql", json={"query": get_introspection_query()}).raise_for_status().json()
        return cls(build_client_schema(answer["data"]))

    def fields_of(self, name: str) -> dict[str, GraphQLField]:
        """The fields of an object: of Query, Mutation or Subscription, for one."""
        return dict(self._object(name).fields)

    def fields(self) -> Iterator[tuple[str, GraphQLField]]:
        """Every field of every object."""
        for type_ in self._schema.type_map.values():
            if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
                for name, field in type_.fields.items():
                    yield f"{type_.name}.{name}", field

    def places(self) -> Iterator[Place]:
        """Everywhere that a text or an id is taken."""
        for coordinate, field in self.fields():
            for name, argument in field.args.items():
                for path, scalar in _leaves(argument.type, (name,)):
                    yield Place(coordinate, path, scalar)

    def required(self, coordinate: str) -> set[tuple[str, ...]]:
        """What has to be given to a field, to the innermost name."""
        arguments = self._field(coordinate).args.items()
        return {
            path
            for name, argument in arguments
            if is_required_argument(argument)
            for path in _required_leaves(argument.type, (name,))
        }

    def dummies(self, coordinate: str) -> dict[str, Any]:
        """As little as a field can be given: it is of the right type and means nothing."""
        arguments = self._field(coordinate).args.items()
        return {name: _dummy(argument.type) for name, argument in arguments if is_required_argument(argument)}

    def document(self, coordinate: str, given: Mapping[str, Any], parent_id: str | None = None) -> str:
        """Ask for a field with variables named as its arguments; a nested one of the node with an id, `$parent`."""
        type_name, name = coordinate.split(".")
        field = self._field(coordinate)
        declared = [f"${argument}: {field.args[argument].type}" for argument in given]
        passed = ", ".join(f"{argument}: ${argument}" for argument in given)
        asked = f"{name}{f'({passed})' if passed else ''}{self._selection(field.type, DEEP)}"
        if type_name not in ROOTS:
            assert parent_id is not None, f"say how a {type_name} is reached"
            declared.append("$parent: ID!")
            asked = f"node(id: $parent) {{ ... on {type_name} {{ {asked} }} }}"
        operation = type_name.lower() if type_name in ROOTS else "query"
        variables = f"({', '.join(declared)}) " if declared else ""
        return f"{operation} {variables}{{ {asked} }}"

    def _field(self, coordinate: str) -> GraphQLField:
        type_name, name = coordinate.split(".")
        return self.fields_of(type_name)[name]

    def _object(self, name: str) -> GraphQLObjectType:
        type_ = self._schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        return type_

    def _selection(self, type_: GraphQLOutputType, depth: int, *, apart: bool = False) -> str:
        named = get_named_type(type_)
        known = named.name, depth, apart
        if known not in self._selected:
            self._selected[known] = self._selection_of(named, depth, apart=apart)
        return self._selected[known]

    def _selection_of(self, named: GraphQLNamedType, depth: int, *, apart: bool) -> str:
        if isinstance(named, GraphQLUnionType | GraphQLInterfaceType):
            members = self._schema.get_possible_types(named)
            depth = min(depth, NODE_DEEP) if isinstance(named, GraphQLInterfaceType) else depth
            parts = [f"... on {each.name} {self._selection(each, depth, apart=True)}" for each in members]
            return f"{{ __typename {' '.join(parts)} }}"
        if not isinstance(named, GraphQLObjectType):
            return ""
        parts = ["__typename"]
        for name, field in named.fields.items():
            if any(is_required_argument(argument) for argument in field.args.values()):
                continue
            alias = f"{named.name}_{name}: " if apart else ""
            if is_leaf_type(get_named_type(field.type)):
                parts.append(f"{alias}{name}")
            elif depth > 0 and is_composite_type(get_named_type(field.type)):
                page = f"(first: {_SHORT})" if "first" in field.args else ""
                parts.append(f"{alias}{name}{page} {self._selection(field.type, depth - 1)}")
        return f"{{ {' '.join(parts)} }}"


def _leaves(type_: GraphQLInputType, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts and ids within an argument."""
    named = get_named_type(type_)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from _leaves(field.type, (*path, name))
    elif named.name in {"ID", "String"}:
        yield path, named.name


def _required_leaves(type_: GraphQLInputType, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    named = get_named_type(type_)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            if is_required_input_field(field):
                yield from _required_leaves(field.type, (*path, name))
    else:
        yield path


def _dummy(type_: GraphQLInputType) -> Any:
    if isinstance(type_, GraphQLNonNull):
        return _dummy(type_.of_type)
    if isinstance(type_, GraphQLList):
        return []
    if isinstance(type_, GraphQLInputObjectType):
        required = {name: field for name, field in type_.fields.items() if is_required_input_field(field)}
        return {name: _dummy(field.type) for name, field in required.items()}
    if isinstance(type_, GraphQLEnumType):
        return [*type_.values][-1]
    return _DUMMIES.get(type_.name, "nothing")
