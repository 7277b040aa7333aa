"""Compiles an operation of a valid document to a plan, or raises why that is impossible.

graphql-core's own `collect_fields` finds the fields of a selection, so fragments, directives, aliases and repeated
fields need no code here. A field is compiled if it is of a kind that Strawberry makes and this module knows; anything
else (a permission, an extension, another resolver) leaves the operation to graphql-core.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion

from execution.plan import definitions, rows, steps
from execution.plan.arguments import arguments_of, names_of_arguments
from execution.plan.leaves import names_of, printed_as, serializer
from execution.plan.plan import Completions, Plan, Root, UnplannedError
from execution.plan.steps import Arguments, Complete, Fill, NullError, Run, Selection, Step
from resolvers import node
from resolvers.context import Context
from resolvers.reading.counts import Count, count
from resolvers.reading.few_columns import FewColumns, few_columns
from schema.pages import asked

MAX_FIELDS: Final = 500
"""How many fields a plan may have, those of a fragment as often as it is spread."""

MAX_READS: Final = 30
"""How many statements a plan may send for rows; beyond that loaders, which share statements, are faster."""


class NotOfRowsError(Exception):
    """A selected field of rows needs Strawberry's objects."""


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
        self._reads = 0
        self._columns: set[str] | None = None
        definitions = document.definitions
        fragments = [each for each in definitions if isinstance(each, FragmentDefinitionNode)]
        self._fragments = {each.name.value: FragmentDetails(each) for each in fragments}

    @property
    def is_query(self) -> bool:
        return self._operation.operation is OperationType.QUERY

    def plan(self) -> Plan:
        """How the operation, a query, is answered.

        Raises:
            UnplannedError: There is something in it that graphql-core has to answer.
        """
        query = self._schema.query_type
        if query is None or any(definitions.resolves(each) for each in self._strawberry.extensions):
            raise UnplannedError("field")
        collected = collect_fields(self._schema, self._fragments, self._variables, query, self._operation)
        roots = [self._root(query, key, field) for key, field in collected.grouped_field_set.items()]
        return Plan(roots, 1 + self._fields)

    def completions(self) -> Completions:
        """Compile the selections of the operation, a mutation or subscription; its root fields are not compiled.

        Raises:
            UnplannedError: graphql-core must complete some of them.
        """
        root = self._schema.get_root_type(self._operation.operation)
        if root is None or any(definitions.resolves(each) for each in self._strawberry.extensions):
            raise UnplannedError("field")
        collected = collect_fields(self._schema, self._fragments, self._variables, root, self._operation)
        completed: dict[str, Complete] = {}
        for key, field in collected.grouped_field_set.items():
            definition = self._definition(root, field)
            if definition is not None and not field[0].node.name.value.startswith("__"):
                completed[key] = self._complete(definition.type, field)
        return Completions(self._operation, completed, 1 + self._fields)

    def _root(self, query: GraphQLObjectType, key: str, field: FieldDetailsList) -> Root:
        definition = self._definition(query, field)
        nullable = definition is not None and not isinstance(definition.type, GraphQLNonNull)
        return Root(key, self._step(query, field), nullable, field)

    # --- Objects -----------------------------------------------------------------------------------------------

    def _selection(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Selection:
        grouped: GroupedFieldSet = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, field
        ).grouped_field_set
        return Selection([(key, self._step(type_, each)) for key, each in grouped.items()])

    def _fill(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Fill:
        is_row = self._columns is not None and type_.name in _OF_ROWS
        return steps.of_type(self._selection(type_, field), None if is_row else type_.is_type_of)

    def _fill_any(self, type_: GraphQLInterfaceType | GraphQLUnionType, field: FieldDetailsList) -> Fill:
        definition = definitions.backref(type_)
        is_plain = isinstance(definition, StrawberryObjectDefinition) and definition.resolve_type is None
        if not is_plain and type(definition) is not StrawberryUnion:
            raise UnplannedError("type")
        fills = {each.name: self._fill(each, field) for each in self._schema.get_possible_types(type_)}
        return steps.of_any_type(fills, definitions.name_of)

    # --- Fields ------------------------------------------------------------------------------------------------

    def _definition(self, parent: GraphQLObjectType, field: FieldDetailsList) -> GraphQLField | None:
        return self._schema.get_field(parent, field[0].node.name.value)

    def _step(self, parent: GraphQLObjectType, field: FieldDetailsList) -> Step:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise UnplannedError("size")
        name = field[0].node.name.value
        if name == "__typename":
            return steps.constant(parent.name)
        if name.startswith("__"):
            raise UnplannedError("introspection")
        definition = self._definition(parent, field)
        of_ours = definitions.backref(definition)
        if (
            definition is None
            or not isinstance(of_ours, StrawberryField)
            or not definitions.is_plain(of_ours, definition)
        ):
            raise UnplannedError("field")
        if parent is self._schema.query_type and name in rows.ROOTS:
            with contextlib.suppress(NotOfRowsError):
                return self._of_root(rows.ROOTS[name], of_ours, definition, field)
        if self._columns is not None and parent.name in _OF_ROWS:
            return self._of_row(f"{parent.name}.{name}", of_ours, definition, field)
        return self._of_strawberry(of_ours, definition, field)

    def _of_strawberry(self, of_ours: StrawberryField, definition: GraphQLField, field: FieldDetailsList) -> Step:
        complete = self._complete(definition.type, field)
        if of_ours.base_resolver is None:
            return steps.attribute(of_ours.python_name, complete)
        call, arguments = definitions.call(of_ours), arguments_of(self._strawberry, of_ours, definition, field)
        return (steps.awaited if of_ours.is_async else steps.computed)(call, arguments, complete)

    # --- Rows of a few columns ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _sources(self, columns: set[str] | None) -> Iterator[None]:
        """Compile what is answered of rows, whose columns are gathered; of Strawberry's objects, if that is None."""
        before, self._columns = self._columns, columns
        try:
            yield
        finally:
            self._columns = before

    def _of_root(
        self,
        root: rows.Listed | rows.LookedUp,
        of_ours: StrawberryField,
        definition: GraphQLField,
        field: FieldDetailsList,
    ) -> Step:
        if "orderBy" in names_of_arguments(field):
            raise NotOfRowsError
        complete, columns = self._complete_rows(definition.type, field, {"id"})
        arguments = arguments_of(self._strawberry, of_ours, definition, field)

        async def find(run: Run, _: Sequence[Any]) -> list[Any]:
            given = arguments(run)
            given.pop("info")
            if isinstance(root, rows.LookedUp):
                return [await node.columns_of(run.context, root.kind, given["id"], columns)]
            page = await root.page(run.context, **given, read=columns.read)
            return [rows.RowPage(page.rows, page.has_next, page.has_previous, page.count)]

        return steps.found(find, complete)

    def _of_row(
        self,
        coordinate: str,
        of_ours: StrawberryField,
        definition: GraphQLField,
        field: FieldDetailsList,
    ) -> Step:
        known = rows.FIELDS.get(coordinate)
        assert self._columns is not None  # noqa: S101  (it is a row's)
        if isinstance(known, rows.Value):
            return self._of_value(known, definition, field)
        if isinstance(known, rows.Link):
            self._columns.add(known.column)
            return self._of_link(known, definition, field)
        if isinstance(known, rows.Counted):
            return steps.awaited(known.of, lambda _: {}, self._complete(definition.type, field))
        if isinstance(known, rows.Children) and _asks_for_an_end(field):
            self._columns.add("id")
            return self._of_children(
                known, arguments_of(self._strawberry, of_ours, definition, field), definition, field
            )
        raise NotOfRowsError

    def _of_value(self, known: rows.Value, definition: GraphQLField, field: FieldDetailsList) -> Step:
        assert self._columns is not None  # noqa: S101  (it is a row's)
        self._columns.update(known.columns)
        if known.is_printed:
            return steps.printed(known.of)
        with self._sources(None if known.is_object else self._columns):
            return steps.made(known.of, self._complete(definition.type, field))

    def _of_link(self, known: rows.Link, definition: GraphQLField, field: FieldDetailsList) -> Step:
        complete, columns = self._complete_rows(definition.type, field, {"id"})
        nullable, _ = definitions.nullable(definition.type)
        id_of = attrgetter(known.column)

        async def find(run: Run, sources: Sequence[Any]) -> list[Any]:
            ids = list(map(id_of, sources))
            wanted = list(dict.fromkeys(id_ for id_ in ids if id_ is not None))
            found = await columns.by_id(run.context.workspace_id, wanted) if wanted else {}
            answers = complete(run, list(found.values()))
            answers = answers if isinstance(answers, list) else await answers
            of_id = dict(zip(found, answers, strict=True))  # one stands in the answers of all that have it
            linked = list(map(of_id.get, ids))
            if not nullable and None in linked:
                raise NullError
            return linked

        return find

    def _of_children(
        self, known: rows.Children, arguments: Arguments, definition: GraphQLField, field: FieldDetailsList
    ) -> Step:
        complete, columns = self._complete_rows(definition.type, field, {"id", known.column})

        async def find(run: Run, sources: Sequence[Any]) -> list[Any]:
            given, ctx = arguments(run), run.context
            request = asked(given.get("first"), None, given.get("last"), None)
            size, backwards = request.size, request.backwards
            ids = [source.id for source in sources]
            found = await columns.children(
                ctx.workspace_id, ids, known.column, "id", descending=not backwards, most=size + 1
            )
            return [
                rows.RowPage.at_end(found.get(id_, []), size, partial(_counted, known, ctx, id_), backwards=backwards)
                for id_ in ids
            ]

        return steps.found(find, complete)

    def _complete_rows(
        self, type_: GraphQLOutputType, field: FieldDetailsList, columns: set[str]
    ) -> tuple[Complete, FewColumns]:
        """Return how rows are completed, and the columns that they need."""
        self._reads += 1
        if self._reads > MAX_READS:
            raise UnplannedError("size")
        with self._sources(columns):
            complete = self._complete(type_, field)
        named = get_named_type(type_).name
        return complete, few_columns(rows.MODELS[named.removesuffix("Connection")], frozenset(columns))

    def _complete(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Complete:
        nullable, type_ = definitions.nullable(type_)
        if not isinstance(type_, GraphQLList):
            if is_leaf_type(type_):
                return steps.leaf(
                    serializer(type_), nullable=nullable, printed=printed_as(type_), names=names_of(type_)
                )
            return steps.objects(self._fill_of(type_, field), nullable=nullable)
        nullable_items, item = definitions.nullable(type_.of_type)
        if is_leaf_type(item):
            return steps.leaves(serializer(item), nullable=nullable, nullable_items=nullable_items)
        fill = self._fill_of(item, field)
        return steps.object_lists(fill, nullable=nullable, nullable_items=nullable_items)

    def _fill_of(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Fill:
        if isinstance(type_, GraphQLObjectType):
            return self._fill(type_, field)
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            return self._fill_any(type_, field)
        raise UnplannedError("type")


_OF_ROWS: Final = frozenset(coordinate.partition(".")[0] for coordinate in rows.FIELDS)
_ENDS: Final = frozenset({"first", "last"})


async def _counted(children: rows.Children, ctx: Context, id_: str) -> Count:
    return await count(await children.all_of(ctx, id_))


def _asks_for_an_end(field: FieldDetailsList) -> bool:
    """Whether a page of children is at an end of all of them, without a cursor or a filter."""
    return names_of_arguments(field) <= _ENDS
