"""The arguments of fields, and the variables of directives, as a plan needs them."""

from typing import Any, Final

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    GraphQLField,
    IntValueNode,
    NullValueNode,
    StringValueNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import get_argument_values
from strawberry import Schema
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from execution.plan.steps import Arguments, Run

_DIRECTIVES: Final = frozenset({"skip", "include"})
_CONSTANTS: Final = (IntValueNode, StringValueNode, BooleanValueNode, EnumValueNode, NullValueNode)
"""What arguments are converted to values that nobody can change."""


class Conditions(Visitor):
    """Finds the variables on which a document's directives depend, in order."""

    def __init__(self, document: DocumentNode) -> None:
        super().__init__()
        self._found: set[str] = set()
        self._directives: set[str] = set()
        visit(document, self)
        self.variables = sorted(self._found)

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        self._directives.add(node.name.value)
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self._found.add(argument.value.name.value)

    @property
    def are_known(self) -> bool:
        """Whether there are none but @skip and @include."""
        return self._directives <= _DIRECTIVES


def arguments_of(
    schema: Schema, of_ours: StrawberryField, definition: GraphQLField, field: FieldDetailsList
) -> Arguments:
    """Make a field's arguments by their names in Python, again for each call: resolvers may change inputs."""
    resolver, converter = of_ours.base_resolver, schema.schema_converter
    info = resolver.info_parameter if resolver else None
    node, config = field[0].node, schema.config
    constant = all(isinstance(argument.value, _CONSTANTS) for argument in node.arguments or ())
    known: dict[str, Any] | None = None if definition.args else {}

    def arguments(run: Run) -> dict[str, Any]:
        nonlocal known
        if known is not None:
            given = known.copy()
        else:
            values = get_argument_values(definition, node, run.variables)
            given = convert_arguments(values, of_ours.arguments, converter.scalar_registry, config, run.info)
            if constant:
                known = given.copy()
        if info is not None:
            given[info.name] = run.info
        return given

    return arguments


def names_of_arguments(field: FieldDetailsList) -> set[str]:
    """Return the names of the arguments that a field is given."""
    return {argument.name.value for argument in field[0].node.arguments or ()}
