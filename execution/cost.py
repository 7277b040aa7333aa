"""Computes what an operation may cost: its objects and values if every list has its greatest length."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    OperationType,
    get_named_type,
    get_operation_ast,
)
from graphql.language import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    Node,
    NullValueNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    visit,
)

from execution.limits import COMPLEXITY, MAX_SHOWN, VALUES, fragments_of
from models.instant import utc_now
from models.kinds import RevenueInterval
from resolvers.reading.pages import DEFAULT_PAGE, MAX_PAGE_SIZE
from resolvers.revenue import MAX_POINTS, most_points
from schema.scalars import parse_instant

_PLAIN_LIST: Final = 10
"""The assumed length of a list without a limit."""

_MUTATION: Final = 250
"""How many objects a mutation counts as, besides its answer: it locks, writes and logs in a transaction."""

_SERIES: Final = "RevenueSeries"
_SINCE: Final = "since"
_PAGE_SIZES: Final = frozenset({"first", "last"})


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any] | None
) -> tuple[int, list[GraphQLError]]:
    """Compute what a valid operation may cost, and its refusals if that is too much."""
    operation = get_operation_ast(document, operation_name)
    root = schema.get_root_type(operation.operation) if operation else None
    if operation is None or root is None:
        return 0, []
    fragments = fragments_of(document)
    objects = _Cost(schema, fragments, variables or {}, values=False).of(operation.selection_set, root)[0]
    objects += _MUTATION * mutations_of(document, operation_name)
    if objects > COMPLEXITY.maximum:
        return min(objects, MAX_SHOWN), [COMPLEXITY.refusal(objects, operation)]
    values = _Cost(schema, fragments, variables or {}, values=True).of(operation.selection_set, root)[0]
    return objects, list(VALUES.exceeded_by(values, operation))


def sizes_of(document: DocumentNode) -> list[str] | None:
    """Find the variables on which a document's cost depends; None if it also depends on the time."""
    found = _Sizes()
    visit(document, found)
    return None if found.by_time else sorted(found.names)


class _Sizes(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.by_time = False

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        name = node.name.value
        if name in _PAGE_SIZES and isinstance(node.value, VariableNode):
            self.names.add(node.value.name.value)
        self.by_time = self.by_time or name == _SINCE


def mutations_of(document: DocumentNode, operation_name: str | None) -> int:
    """Count the mutations of an operation, in fragments too."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.MUTATION:
        return 0
    return _fields_of(operation.selection_set, fragments_of(document), {})


def _fields_of(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, int]
) -> int:
    """Count the top-level fields of a selection, those of a fragment as often as it is spread."""
    fields = 0
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            fields += not selection.name.value.startswith("__")
        elif isinstance(selection, InlineFragmentNode):
            fields += _fields_of(selection.selection_set, fragments, known)
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known:
                known[name] = 0  # one that contains itself, which a rule refuses
                fragment = fragments.get(name)
                known[name] = _fields_of(fragment.selection_set, fragments, known) if fragment else 0
            fields += known[name]
    return fields


@dataclass
class _Cost:
    """Walks a valid selection, each fragment once. It counts objects, or with `values` scalars, introspection's too.

    Objects of introspection don't count: they are in memory.
    """

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    values: bool
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, selection_set: SelectionSetNode, parent: GraphQLNamedType) -> tuple[int, int]:
        """Compute the cost of a selection, and in a connection also the cost of each row."""
        once = each_row = 0
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                of_once, of_row = self._of_fragment(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                type_ = self.schema.get_type(condition.name.value) if condition else parent
                of_once, of_row = self.of(selection.selection_set, type_ or parent)
            else:
                of_once, of_row = self._of_field(selection, parent)
            once, each_row = once + of_once, each_row + of_row
        return once, each_row

    def _of_fragment(self, name: str) -> tuple[int, int]:
        if name not in self.known:
            self.known[name] = (0, 0)
            fragment = self.fragments.get(name)
            type_ = self.schema.get_type(fragment.type_condition.name.value) if fragment else None
            if fragment is not None and type_ is not None:
                self.known[name] = self.of(fragment.selection_set, type_)
        return self.known[name]

    def _of_field(self, selection: Node, parent: GraphQLNamedType) -> tuple[int, int]:
        if not isinstance(selection, FieldNode):
            return 0, 0
        if selection.selection_set is None:
            return int(self.values), 0
        if not self.values and selection.name.value.startswith("__"):
            return 0, 0
        field_ = self.schema.get_field(parent, selection.name.value)  # type: ignore[arg-type]
        if field_ is None:
            return 0, 0
        definition = field_.type
        type_ = get_named_type(definition)
        once, each_row = self.of(selection.selection_set, type_)
        length = _PLAIN_LIST if _is_list(definition) else 1
        if _is_sized(type_):
            return length * (1 + once + _size(type_, selection, self.variables) * each_row), 0
        if _is_sized(parent) and _is_list(definition):
            return 0, 1 + once
        return length * (1 + once), 0


def _is_list(type_: object) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _is_sized(type_: GraphQLNamedType) -> bool:
    """Whether the field's arguments limit the lists within a type."""
    return type_.name.endswith("Connection") or type_.name == _SERIES


def _size(type_: GraphQLNamedType, selection: FieldNode, variables: Mapping[str, Any]) -> int:
    return (_points if type_.name == _SERIES else _page_size)(selection, variables)


def _points(selection: FieldNode, variables: Mapping[str, Any]) -> int:
    """Compute how many points a series may have; without a range as many as any."""
    given = {each.name.value: each.value for each in selection.arguments or ()}
    now = utc_now()
    try:
        since, interval = (_value_of(given[name], variables) for name in (_SINCE, "interval"))
        until = _value_of(given["until"], variables) if "until" in given else None
        length = (now if until is None else parse_instant(until)) - parse_instant(since)
        return most_points(length, RevenueInterval(interval))
    except (GraphQLError, KeyError, ValueError):
        return MAX_POINTS


def _value_of(value: Node, variables: Mapping[str, Any]) -> Any:
    """Return an argument's value, from a variable or a literal text or enum; None if it is null."""
    if isinstance(value, VariableNode):
        return variables[value.name.value]
    return None if isinstance(value, NullValueNode) else getattr(value, "value", "")


def _page_size(selection: FieldNode, variables: Mapping[str, Any]) -> int:
    for argument in selection.arguments or ():
        value = argument.value
        if argument.name.value in _PAGE_SIZES and not isinstance(value, NullValueNode):
            size = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            if isinstance(value, IntValueNode):
                size = int(value.value)
            if isinstance(size, int):
                return min(max(size, 1), MAX_PAGE_SIZE)
            return MAX_PAGE_SIZE if isinstance(value, VariableNode) else DEFAULT_PAGE
    return DEFAULT_PAGE
