"""The schema as clients see it."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
)

from execution.schema import schema

SDL = Path(__file__).resolve().parents[2] / "schema" / "schema.graphql"


def test_the_schema_is_the_committed_one() -> None:
    """A change of the contract is to be seen in review: `fluxrate schema > schema/schema.graphql`."""
    assert schema.as_str().rstrip() == SDL.read_text().rstrip()


def test_everything_is_described() -> None:
    """Every type, field, argument, enum and input field, for those who read it in GraphiQL."""
    undescribed = [
        place
        for type_ in schema._schema.type_map.values()
        if not type_.name.startswith("__")
        for place, description in _places(type_)
        if not description
    ]

    assert undescribed == []


def test_every_result_of_a_mutation_is_a_success_or_a_problem() -> None:
    """So that a client can ask any result for `... on Problem { code message path }`."""
    mutation, problem = schema._schema.mutation_type, schema._schema.type_map["Problem"]
    assert mutation is not None
    for name, field in mutation.fields.items():
        union = field.type.of_type
        assert isinstance(union, GraphQLUnionType)
        success, *problems = union.types
        assert success.name == f"{name[0].upper()}{name[1:]}Success"
        assert all(problem in member.interfaces for member in problems)


def _places(type_: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    yield type_.name, type_.description
    if isinstance(type_, GraphQLEnumType):
        for name, value in type_.values.items():
            yield f"{type_.name}.{name}", value.description
    if isinstance(type_, GraphQLInputObjectType):
        for name, input_field in type_.fields.items():
            yield f"{type_.name}.{name}", input_field.description
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in type_.fields.items():
            yield f"{type_.name}.{name}", field.description
            for argument_name, argument in field.args.items():
                yield f"{type_.name}.{name}({argument_name})", argument.description
