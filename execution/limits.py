"""How much one document may ask for. Each refusal says which limit, its value, and what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationType,
    get_named_type,
    get_operation_ast,
)
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from models.instant import utc_now
from models.kinds import RevenueInterval
from resolvers.reading.pages import DEFAULT_PAGE, MAX_PAGE_SIZE
from resolvers.revenue import MAX_POINTS, most_points
from schema.scalars import parse_instant

CODE: Final = "LIMIT_EXCEEDED"
_PLAIN_LIST: Final = 10
"""How long a list without a bound is taken to be."""

_MUTATION: Final = 250
"""As many objects as a mutation costs beside what it answers: it locks, writes and logs, each in a transaction."""

_MAX_SHOWN: Final = 2**53 - 1
"""Beyond it JSON's numbers are not exact; fragments multiply to any number."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound. `sentence` is its refusal's sentence, with {maximum}."""

    name: str
    maximum: int
    sentence: str

    def refusal(self, actual: int | None = None, node: Node | None = None) -> GraphQLError:
        """What is said of a document beyond it; `actual` where it is known."""
        known = {} if actual is None or actual > _MAX_SHOWN else {"actual": actual}
        extensions = {"code": CODE, "limit": self.name, "maximum": self.maximum, **known}
        return GraphQLError(self.sentence.format(maximum=self.maximum), node, extensions=extensions)

    def exceeded_by(self, actual: int, node: Node | None = None) -> Iterator[GraphQLError]:
        """The refusal, if `actual` is beyond the bound."""
        if actual > self.maximum:
            yield self.refusal(actual, node)


LINES: Final = Limit("lines", 2500, "The document has more than {maximum} lines: leave blank ones and comments out.")
TOKENS: Final = Limit("tokens", 5000, "The document has more than {maximum} tokens: ask in several operations.")
DEPTH: Final = Limit("depth", 20, "The selection is nested deeper than {maximum} levels: ask in several operations.")
ALIASES: Final = Limit(
    "aliases",
    200,
    "The document gives fields aliases or repeats them more than {maximum} times, fragments included: ask for lists,"
    " or in several operations.",
)
DIRECTIVES: Final = Limit("directives", 100, "The document has more than {maximum} directives: leave some out.")
COMPLEXITY: Final = Limit(
    "complexity",
    25_000,
    "The operation could answer more than {maximum} objects, of which each mutation counts 250: ask for shorter lists"
    " (first, last), above all within lists, or for less in several operations.",
)
VALUES: Final = Limit(
    "values",
    200_000,
    "The operation could answer more than {maximum} values: ask for fewer fields, aliases or shorter lists.",
)
INTROSPECTION_DEPTH: Final = Limit(
    "introspectionDepth",
    2,
    "The introspection nests lists (fields, interfaces, possibleTypes, inputFields) deeper than {maximum} levels: ask"
    " for __schema's types instead.",
)
VARIABLE_BYTES: Final = Limit(
    "variableBytes", 256 * 1024, "The variables have more than {maximum} bytes of JSON: send less in one operation."
)
VARIABLE_DEPTH: Final = Limit(
    "variableDepth", 10, "The variables are nested deeper than {maximum} levels: no input of this schema is."
)
LIMITS: Final = (
    LINES,
    TOKENS,
    DEPTH,
    ALIASES,
    DIRECTIVES,
    COMPLEXITY,
    VALUES,
    INTROSPECTION_DEPTH,
    VARIABLE_BYTES,
    VARIABLE_DEPTH,
)
"""All of them."""


def in_our_words(error: GraphQLError) -> GraphQLError:
    """A limit's refusal for those that graphql-core refuses by itself; any other error as it is."""
    if isinstance(error, GraphQLSyntaxError) and "more than" in error.message and "tokens" in error.message:
        return TOKENS.refusal()
    if isinstance(error, GraphQLSyntaxError) and "nested too deeply" in error.message:
        return DEPTH.refusal()
    if error.message == "Validation aborted.":  # fragments, one within another
        return DEPTH.refusal()
    if error.message == "Maximum introspection depth exceeded":
        return INTROSPECTION_DEPTH.refusal(node=error.nodes[0] if error.nodes else None)
    return error


# --- Shape: what the text alone tells --------------------------------------------------------------------------


def refused_for_lines(text: str) -> list[GraphQLError]:
    """A refusal of a text, before it is validated: each error's line is found by counting all that stand before it."""
    lines = text.count("\n") + text.count("\r") - text.count("\r\n") + 1
    return list(LINES.exceeded_by(lines))


def refused_for_shape(document: DocumentNode) -> list[GraphQLError]:
    """Refusals of a document, before it is validated: what takes long to validate is refused by these."""
    fragments = _fragments(document)
    refusals: list[GraphQLError] = []
    try:
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                shape = _Shape(fragments)
                deepest, aliases = shape.of(operation.selection_set)
                refusals += DEPTH.exceeded_by(deepest, operation)
                refusals += ALIASES.exceeded_by(aliases, operation)
                refusals += DIRECTIVES.exceeded_by(shape.directives + _directives(operation), operation)
    except RecursionError:  # fragments, one within another
        return [DEPTH.refusal()]
    return refusals


class _Shape:
    """Walks a selection; each fragment once, however often it is spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int]] = {}
        self.directives = 0

    def of(self, selection_set: SelectionSetNode) -> tuple[int, int]:
        """How deep it is nested, and how many of its fields are aliased or repeated."""
        deepest = aliases = 0
        seen: set[str] = set()
        for selection in selection_set.selections:
            self.directives += len(selection.directives or ())
            below, aliased = self._of_selection(selection)
            if isinstance(selection, FieldNode):
                aliased += selection.alias is not None or selection.name.value in seen
                seen.add(selection.name.value)
            deepest, aliases = max(deepest, below), aliases + aliased
        return deepest, aliases

    def _of_selection(self, selection: Node) -> tuple[int, int]:
        if isinstance(selection, FieldNode):
            below, aliases = self.of(selection.selection_set) if selection.selection_set else (0, 0)
            return below + 1, aliases
        if isinstance(selection, InlineFragmentNode):
            return self.of(selection.selection_set)
        return self._of_fragment(selection.name.value) if isinstance(selection, FragmentSpreadNode) else (0, 0)

    def _of_fragment(self, name: str) -> tuple[int, int]:
        if name not in self._known:
            self._known[name] = (0, 0)  # one that contains itself, which a rule refuses, counts once
            if name in self._fragments:
                self.directives += len(self._fragments[name].directives or ())
                self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]


def _directives(operation: OperationDefinitionNode) -> int:
    of_variables = sum(len(each.directives or ()) for each in operation.variable_definitions or ())
    return len(operation.directives or ()) + of_variables


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}


# --- Cost: what an operation could make us read -----------------------------------------------------------------


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any] | None
) -> tuple[int, list[GraphQLError]]:
    """What a valid operation costs, all lists taken to be as long as may be, and its refusals if that is too much."""
    operation = get_operation_ast(document, operation_name)
    root = schema.get_root_type(operation.operation) if operation else None
    if operation is None or root is None:
        return 0, []
    fragments = _fragments(document)
    objects = _Cost(schema, fragments, variables or {}, values=False).of(operation.selection_set, root)[0]
    objects += _MUTATION * mutations_of(document, operation_name)
    if objects > COMPLEXITY.maximum:
        return min(objects, _MAX_SHOWN), [COMPLEXITY.refusal(objects, operation)]
    values = _Cost(schema, fragments, variables or {}, values=True).of(operation.selection_set, root)[0]
    return objects, list(VALUES.exceeded_by(values, operation))


def mutations_of(document: DocumentNode, operation_name: str | None) -> int:
    """How many mutations an operation makes, through fragments too."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.MUTATION:
        return 0
    return _fields_of(operation.selection_set, _fragments(document), {})


def _fields_of(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, int]
) -> int:
    """How many fields stand at the top of a selection; those of a fragment as often as it is spread."""
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
    """Walks a valid selection; each fragment once. It counts objects, or with `values` scalars and introspection too.

    Objects that introspection answers are in memory, so their number alone has no limit.
    """

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    values: bool
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, selection_set: SelectionSetNode, parent: GraphQLNamedType) -> tuple[int, int]:
        """How much a selection could answer; beside it how much for each row, where it is a connection's."""
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


_SERIES: Final = "RevenueSeries"


def _is_sized(type_: GraphQLNamedType) -> bool:
    """Whether the lists within a type are as long as the arguments of the field that answers it say."""
    return type_.name.endswith("Connection") or type_.name == _SERIES


def _size(type_: GraphQLNamedType, selection: FieldNode, variables: Mapping[str, Any]) -> int:
    return (_points if type_.name == _SERIES else _page_size)(selection, variables)


def _points(selection: FieldNode, variables: Mapping[str, Any]) -> int:
    """How many points a series has at most; as many as any has where its range isn't told."""
    given = {each.name.value: each.value for each in selection.arguments or ()}
    now = utc_now()
    try:
        since, interval = (_value_of(given[name], variables) for name in ("since", "interval"))
        until = _value_of(given["until"], variables) if "until" in given else None
        length = (now if until is None else parse_instant(until)) - parse_instant(since)
        return most_points(length, RevenueInterval(interval))
    except (GraphQLError, KeyError, ValueError):
        return MAX_POINTS


def _value_of(value: Node, variables: Mapping[str, Any]) -> Any:
    """An argument's value: a variable's, or that of a text or an enum as it stands; None where it is null."""
    if isinstance(value, VariableNode):
        return variables[value.name.value]
    return None if isinstance(value, NullValueNode) else getattr(value, "value", "")


def _page_size(selection: FieldNode, variables: Mapping[str, Any]) -> int:
    for argument in selection.arguments or ():
        value = argument.value
        if argument.name.value in {"first", "last"} and not isinstance(value, NullValueNode):
            size = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            if isinstance(value, IntValueNode):
                size = int(value.value)
            if isinstance(size, int):
                return min(max(size, 1), MAX_PAGE_SIZE)
            return MAX_PAGE_SIZE if isinstance(value, VariableNode) else DEFAULT_PAGE
    return DEFAULT_PAGE


# --- Variables --------------------------------------------------------------------------------------------------


def refused_for_variables(variables: Mapping[str, Any] | None) -> list[GraphQLError]:
    """A refusal of variables that are larger or deeper than any honest client's."""
    if not variables:
        return []
    if _is_deeper(variables, VARIABLE_DEPTH.maximum):
        return [VARIABLE_DEPTH.refusal()]
    return list(VARIABLE_BYTES.exceeded_by(len(orjson.dumps(variables, default=str))))


def _is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects are nested in a value deeper than so many levels."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    return any(_is_deeper(each, levels - 1) for each in (value.values() if isinstance(value, dict) else value))


# --- Introspection ----------------------------------------------------------------------------------------------


def introspects(document: DocumentNode) -> FieldNode | None:
    """The first field that asks for the schema; `__typename` does not."""
    left = [definition for definition in document.definitions if hasattr(definition, "selection_set")]
    sets = [definition.selection_set for definition in left]
    while sets:
        for selection in sets.pop().selections:
            if isinstance(selection, FieldNode) and selection.name.value in {"__schema", "__type"}:
                return selection
            within = getattr(selection, "selection_set", None)
            if within is not None:
                sets.append(within)
    return None
