"""Compiling: an operation of a valid document becomes a plan, or it is told why not.

Which fields a selection has, graphql-core says, by its own `collect_fields`: fragments, directives, aliases and what is
asked twice are no matter of ours. A field is compiled if it is of the kinds that are known here, all of Strawberry's
making; anything else (a permission, an extension, a resolver of another make) leaves the operation to graphql-core.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    is_leaf_type,
    located_error,
    visit,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues, get_argument_values
from strawberry import Schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.field import StrawberryField

from database.errors import is_stopped
from execution.plan import steps
from execution.plan.leaves import serializer
from execution.plan.steps import Answer, Arguments, Complete, Fill, Run, Selection, Step
from schema.context import Operation

MAX_FIELDS: Final = 2_000
"""So many fields a plan may have, those of a fragment as often as it is spread."""

_DIRECTIVES: Final = frozenset({"skip", "include"})


class UnplannedError(Exception):
    """An operation is left to graphql-core. `why` is one of a few words, for the metric."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    fields: Final = 1
    """What it takes to keep it, beside a plan's fields."""


@dataclass(frozen=True, slots=True)
class Root:
    """A field of the query itself."""

    key: str
    step: Step
    nullable: bool
    field: FieldDetailsList


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered."""

    roots: list[Root]
    fields: int

    async def answer(self, context: Operation, variables: VariableValues) -> tuple[Answer | None, list[GraphQLError]]:
        """The data, and an error for each field of the query for which the database took too long.

        Raises:
            Exception: Anything else that a field raised: graphql-core has to tell it, at its place.
        """
        run, answer = Run(context, variables), Answer()
        late: dict[str, GraphQLError] = {}

        async def filled(root: Root) -> None:
            try:
                rest = root.step(run, [None], [answer])
                if rest is not None:
                    await rest
            except Exception as error:
                if not is_stopped(error):
                    raise
                answer[root.key] = None
                late[root.key] = located_error(error, [each.node for each in root.field], [root.key])

        answer |= dict.fromkeys(root.key for root in self.roots)
        rest = steps.together([filled(root) for root in self.roots])
        if rest is not None:
            await rest
        is_null = any(root.key in late and not root.nullable for root in self.roots)
        return None if is_null else answer, list(late.values())


class Conditions(Visitor):
    """What a document's directives depend on: the names of variables, in order."""

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


class Compiler:
    """Compiles one operation; `variables` decide what is skipped and included."""

    def __init__(
        self, schema: Schema, document: DocumentNode, operation: OperationDefinitionNode, variables: VariableValues
    ) -> None:
        self._strawberry = schema
        self._schema: GraphQLSchema = schema._schema
        self._operation = operation
        self._variables = variables
        self._fields = 0
        definitions = document.definitions
        fragments = [each for each in definitions if isinstance(each, FragmentDefinitionNode)]
        self._fragments = {each.name.value: FragmentDetails(each) for each in fragments}

    def plan(self) -> Plan:
        """How the operation, a query, is answered.

        Raises:
            UnplannedError: There is something in it that graphql-core has to answer.
        """
        query = self._schema.query_type
        if query is None or any(_resolves(each) for each in self._strawberry.extensions):
            raise UnplannedError("field")
        collected = collect_fields(self._schema, self._fragments, self._variables, query, self._operation)
        roots = [self._root(query, key, field) for key, field in collected.grouped_field_set.items()]
        return Plan(roots, 1 + self._fields)

    def _root(self, query: GraphQLObjectType, key: str, field: FieldDetailsList) -> Root:
        definition = self._definition(query, field)
        nullable = definition is not None and not isinstance(definition.type, GraphQLNonNull)
        return Root(key, self._step(query, key, field), nullable, field)

    # --- Objects -----------------------------------------------------------------------------------------------

    def _selection(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Selection:
        grouped: GroupedFieldSet = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, field
        ).grouped_field_set
        return Selection([self._step(type_, key, each) for key, each in grouped.items()])

    def _fill(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Fill:
        return steps.of_type(self._selection(type_, field), type_.is_type_of)

    def _fill_any(self, type_: GraphQLInterfaceType, field: FieldDetailsList) -> Fill:
        definition = _backref(type_)
        if not isinstance(definition, StrawberryObjectDefinition) or definition.resolve_type is not None:
            raise UnplannedError("type")
        fills = {each.name: self._fill(each, field) for each in self._schema.get_possible_types(type_)}
        return steps.of_any_type(fills, _name_of)

    # --- Fields ------------------------------------------------------------------------------------------------

    def _definition(self, parent: GraphQLObjectType, field: FieldDetailsList) -> GraphQLField | None:
        return self._schema.get_field(parent, field[0].node.name.value)

    def _step(self, parent: GraphQLObjectType, key: str, field: FieldDetailsList) -> Step:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise UnplannedError("size")
        name = field[0].node.name.value
        if name == "__typename":
            return steps.constant(key, parent.name)
        if name.startswith("__"):
            raise UnplannedError("introspection")
        definition = self._definition(parent, field)
        if definition is None:
            raise UnplannedError("field")
        return self._of_strawberry(key, definition, field)

    def _of_strawberry(self, key: str, definition: GraphQLField, field: FieldDetailsList) -> Step:
        of_ours = _backref(definition)
        if not isinstance(of_ours, StrawberryField) or not _is_plain(of_ours, definition):
            raise UnplannedError("field")
        complete = self._complete(definition.type, field)
        if of_ours.base_resolver is None:
            return steps.attribute(key, of_ours.python_name, complete)
        call, arguments = _call(of_ours), self._arguments(of_ours, definition, field)
        return (steps.awaited if of_ours.is_async else steps.computed)(key, call, arguments, complete)

    def _arguments(self, of_ours: StrawberryField, definition: GraphQLField, field: FieldDetailsList) -> Arguments:
        """A field's arguments by their names in Python, made anew each time: inputs can be changed."""
        resolver, converter = of_ours.base_resolver, self._strawberry.schema_converter
        info = resolver.info_parameter if resolver else None
        node, config = field[0].node, self._strawberry.config

        def arguments(run: Run) -> dict[str, Any]:
            given: dict[str, Any] = {}
            if definition.args:
                values = get_argument_values(definition, node, run.variables)
                given = convert_arguments(values, of_ours.arguments, converter.scalar_registry, config, run.info)
            if info is not None:
                given[info.name] = run.info
            return given

        return arguments

    def _complete(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Complete:
        nullable, type_ = _nullable(type_)
        if not isinstance(type_, GraphQLList):
            if is_leaf_type(type_):
                return steps.leaf(serializer(type_), nullable=nullable)
            return steps.objects(self._fill_of(type_, field), nullable=nullable)
        nullable_items, item = _nullable(type_.of_type)
        if is_leaf_type(item):
            return steps.leaves(serializer(item), nullable=nullable, nullable_items=nullable_items)
        fill = self._fill_of(item, field)
        return steps.object_lists(fill, nullable=nullable, nullable_items=nullable_items)

    def _fill_of(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Fill:
        if isinstance(type_, GraphQLObjectType):
            return self._fill(type_, field)
        if isinstance(type_, GraphQLInterfaceType):
            return self._fill_any(type_, field)
        raise UnplannedError("type")


def _resolves(extension: Any) -> bool:
    """Whether an extension of the schema comes between fields and their resolvers."""
    return getattr(extension, "resolve", None) is not SchemaExtension.resolve


def _nullable(type_: GraphQLOutputType) -> tuple[bool, GraphQLOutputType]:
    return (False, type_.of_type) if isinstance(type_, GraphQLNonNull) else (True, type_)


def _backref(definition: GraphQLField | GraphQLInterfaceType) -> Any:
    """What of Strawberry's a definition was made of."""
    extensions: Mapping[str, Any] = definition.extensions or {}
    return extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)


def _is_plain(field: StrawberryField, definition: GraphQLField) -> bool:
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


def _call(field: StrawberryField) -> Callable[..., Any]:
    """A field's function, which is given the source first."""
    resolver = field.base_resolver
    assert resolver is not None  # noqa: S101  (it was looked at)
    call: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    return call if resolver.self_parameter else lambda _, **given: call(**given)


def _name_of(source: Any) -> str:
    return get_object_definition(source, strict=True).name
