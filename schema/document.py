"""Documents: parsed and validated once each, and bounded."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from graphql import DocumentNode, GraphQLError, GraphQLSchema, StringValueNode, ValidationRule, parse
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

MOST_TOKENS: Final = 5000
DEEPEST: Final = 20
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 16 * 1024

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


@lru_cache(_MOST_KEPT)
def _parsed(query: str) -> DocumentNode:
    return parse(query, max_tokens=MOST_TOKENS)


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
