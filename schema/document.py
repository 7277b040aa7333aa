"""Documents: parsed and validated once each, and bounded."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    StringValueNode,
    ValidationRule,
    Visitor,
    get_operation_ast,
    parse,
    visit,
)
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from resolvers.paging import DEFAULT_PAGE, LARGEST_PAGE

MOST_TOKENS: Final = 5000
DEEPEST: Final = 20
MOST_ROWS: Final = 10_000
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 16 * 1024
_DEFINED_AND_USED: Final = 2

NUL_REFUSED: Final = "A text contains the character U+0000, which can't be stored: leave it out."


class Documents(SchemaExtension):
    """Keeps the documents that were asked lately, parsed and validated."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = MOST_TOKENS
        query = context.query
        if query is not None and len(query) <= _LONGEST_KEPT:
            with suppress(GraphQLError, RecursionError):  # Strawberry parses it again, where it knows how to tell
                context.graphql_document = _parsed(query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        context.validation_rules = (*context.validation_rules, *_RULES)
        query, document = context.query, context.graphql_document
        if query is not None and document is not None and len(query) <= _LONGEST_KEPT:
            validated = _validated(_Document(query, document, context.schema._schema, context.validation_rules))
            context.pre_execution_errors = list(validated)
        yield
        if document is not None and not context.pre_execution_errors:
            context.pre_execution_errors = refused_for_cost(document, context.operation_name, context.variables)


@lru_cache(_MOST_KEPT)
def _parsed(query: str) -> DocumentNode:
    return parse(query, max_tokens=MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription of a document, and the variable that is its cursor and nothing else, if there is one."""

    cursor: str | None


@lru_cache(_MOST_KEPT)
def followed_by(query: str, operation_name: str | None) -> Followed | None:
    """The subscription that a document asks for; None where it is none, can't be read, or is too long to be known."""
    if len(query) > _LONGEST_KEPT:
        return None
    try:
        document = _parsed(query)
    except (GraphQLError, RecursionError):
        return None
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
        return None
    cursors = [
        argument.value.name.value
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
        for argument in field.arguments or ()
        if argument.name.value == "after" and isinstance(argument.value, VariableNode)
    ]
    uses = _VariableUses()
    visit(document, uses)
    return Followed(next((name for name in cursors if uses.counted[name] == _DEFINED_AND_USED), None))


class _VariableUses(Visitor):
    """How often each variable stands in a document, its definition included."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.counted[node.name.value] += 1


class _Document:
    """A document to validate, known by its text: hashing its tree takes longer than a small one's validation."""

    def __init__(self, text: str, document: DocumentNode, schema: GraphQLSchema, rules: tuple[type[Any], ...]) -> None:
        self.text, self.document, self.schema, self.rules = text, document, schema, rules

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Document) and self.text == other.text and self.schema is other.schema


@lru_cache(_MOST_KEPT)
def _validated(asked: _Document) -> tuple[GraphQLError, ...]:
    return tuple(validate_document(asked.schema, asked.document, asked.rules))


# --- Rules -----------------------------------------------------------------------------------------------------


class _NotTooDeep(ValidationRule):
    """Refuses selections nested deeper than any honest client's."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
        if _depth(node.selection_set, self._fragments(), {}) > DEEPEST:
            self.report_error(GraphQLError(f"The selection is nested deeper than {DEEPEST} levels.", node))

    def _fragments(self) -> Mapping[str, SelectionSetNode]:
        definitions = self.context.document.definitions
        return {each.name.value: each.selection_set for each in definitions if isinstance(each, FragmentDefinitionNode)}


def _depth(selection_set: SelectionSetNode, fragments: Mapping[str, SelectionSetNode], known: dict[str, int]) -> int:
    """How deeply fields are nested; a fragment that contains itself, which another rule refuses, counts once."""
    deepest = 0
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode) and selection.selection_set is not None:
            deepest = max(deepest, 1 + _depth(selection.selection_set, fragments, known))
        elif isinstance(selection, FieldNode):
            deepest = max(deepest, 1)
        elif isinstance(selection, InlineFragmentNode):
            deepest = max(deepest, _depth(selection.selection_set, fragments, known))
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known:
                known[name] = 0
                known[name] = _depth(fragments[name], fragments, known) if name in fragments else 0
            deepest = max(deepest, known[name])
    return deepest


def refused_for_cost(
    document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any] | None
) -> list[GraphQLError]:
    """A refusal of an operation whose lists, one within another, could hold more rows than any page shows."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue
        if operation_name is not None and (definition.name is None or definition.name.value != operation_name):
            continue
        rows = _rows(definition.selection_set, fragments, variables or {}, {})
        if rows > MOST_ROWS:
            sentence = f"The operation asks for up to {rows} rows, and at most {MOST_ROWS} are answered"
            return [GraphQLError(f"{sentence}: ask for shorter lists (first, last) within lists.", definition)]
    return []


def _rows(
    selection_set: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    known: dict[str, int],
) -> int:
    """How many rows a selection may need: a page's, times those within each, all lists together."""
    rows = 0
    for selection in selection_set.selections:
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known and name in fragments:
                known[name] = _rows(fragments[name].selection_set, fragments, variables, known)
            rows += known.get(name, 0)
        elif isinstance(selection, InlineFragmentNode):
            rows += _rows(selection.selection_set, fragments, variables, known)
        elif isinstance(selection, FieldNode) and selection.selection_set is not None:
            within = _rows(selection.selection_set, fragments, variables, known)
            size = _page_size(selection, variables) if _is_page(selection.selection_set, fragments) else None
            rows += within if size is None else size * (1 + within)
    return rows


def _is_page(selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> bool:
    """Whether a selection is a connection's: only those have edges or nodes."""
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode) and selection.name.value in {"nodes", "edges"}:
            return True
        if isinstance(selection, InlineFragmentNode) and _is_page(selection.selection_set, fragments):
            return True
        if isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
            fragment = fragments[selection.name.value]
            if fragment.type_condition.name.value.endswith("Connection"):
                return True
    return False


def _page_size(field: FieldNode, variables: Mapping[str, Any]) -> int:
    for argument in field.arguments or ():
        if argument.name.value in {"first", "last"}:
            value = argument.value
            size = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            if isinstance(value, IntValueNode):
                size = int(value.value)
            if isinstance(size, int):
                return min(max(size, 1), LARGEST_PAGE)
            return LARGEST_PAGE if isinstance(value, VariableNode) else DEFAULT_PAGE
    return DEFAULT_PAGE


class _NoNul(ValidationRule):
    """Refuses texts that PostgreSQL can't hold."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\x00" in node.value:
            self.report_error(GraphQLError(NUL_REFUSED, node))


_RULES: Final = (_NotTooDeep, _NoNul)


def has_nul(value: object) -> bool:
    """Whether any text in a variable has a character that PostgreSQL can't hold."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(has_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, list) and any(has_nul(each) for each in value)
