"""The limits on a document and its variables. Each refusal names the limit, its value, and what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
)
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
)

CODE: Final = "LIMIT_EXCEEDED"


MAX_SHOWN: Final = 2**53 - 1
"""Larger numbers are not exact in JSON, and fragments can multiply to any number."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit. `sentence` is the message of its refusal, with {maximum}."""

    name: str
    maximum: int
    sentence: str

    @property
    def message(self) -> str:
        """The message of the refusal."""
        return self.sentence.format(maximum=self.maximum)

    def refusal(self, actual: int | None = None, node: Node | None = None) -> GraphQLError:
        """Make the refusal of a document beyond the limit; `actual` is its size, if it is known."""
        known = {} if actual is None or actual > MAX_SHOWN else {"actual": actual}
        extensions = {"code": CODE, "limit": self.name, "maximum": self.maximum, **known}
        return GraphQLError(self.message, node, extensions=extensions)

    def exceeded_by(self, actual: int, node: Node | None = None) -> Iterator[GraphQLError]:
        """Yield the refusal if `actual` exceeds the limit."""
        if actual > self.maximum:
            yield self.refusal(actual, node)


LINES: Final = Limit("lines", 2500, "The document has more than {maximum} lines: leave blank ones and comments out.")
TOKENS: Final = Limit("tokens", 5000, "The document has more than {maximum} tokens: split it into several operations.")
DEPTH: Final = Limit(
    "depth", 20, "The selection is nested deeper than {maximum} levels: split it into several operations."
)
ALIASES: Final = Limit(
    "aliases",
    200,
    "The document aliases or repeats fields more than {maximum} times, fragments included: request lists instead, or"
    " split it into several operations.",
)
DIRECTIVES: Final = Limit("directives", 100, "The document has more than {maximum} directives: leave some out.")
COMPLEXITY: Final = Limit(
    "complexity",
    25_000,
    "The operation could return more than {maximum} objects (each mutation counts as 250): request shorter lists"
    " (first, last), nested ones above all, or split it into several operations.",
)
VALUES: Final = Limit(
    "values",
    200_000,
    "The operation could return more than {maximum} values: request fewer fields and aliases, or shorter lists.",
)
INTROSPECTION_DEPTH: Final = Limit(
    "introspectionDepth",
    2,
    "The introspection nests lists (fields, interfaces, possibleTypes, inputFields) deeper than {maximum} levels:"
    " query the types of __schema instead.",
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
    """Replace graphql-core's own error for a limit by ours; return any other error unchanged."""
    if isinstance(error, GraphQLSyntaxError) and "more than" in error.message and "tokens" in error.message:
        return TOKENS.refusal()
    if isinstance(error, GraphQLSyntaxError) and "nested too deeply" in error.message:
        return DEPTH.refusal()
    if error.message == "Validation aborted.":  # fragments, one within another
        return DEPTH.refusal()
    if error.message == "Maximum introspection depth exceeded":
        return INTROSPECTION_DEPTH.refusal(node=error.nodes[0] if error.nodes else None)
    return error


# --- Shape, from the text alone --------------------------------------------------------------------------------


def refused_for_lines(text: str) -> list[GraphQLError]:
    """Refuse a text with too many lines before it is validated: to locate an error, all lines before it are counted."""
    lines = text.count("\n") + text.count("\r") - text.count("\r\n") + 1
    return list(LINES.exceeded_by(lines))


def refused_for_shape(document: DocumentNode) -> list[GraphQLError]:
    """Refuse a document by its shape before it is validated, since validation may take long."""
    fragments = fragments_of(document)
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
    """Walks a selection, each fragment once, however often it is spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int]] = {}
        self.directives = 0

    def of(self, selection_set: SelectionSetNode) -> tuple[int, int]:
        """Compute how deep it is nested, and how many of its fields are aliased or repeated."""
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
            self._known[name] = (0, 0)  # a fragment that contains itself, which a rule refuses, counts once
            if name in self._fragments:
                self.directives += len(self._fragments[name].directives or ())
                self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]


def _directives(operation: OperationDefinitionNode) -> int:
    of_variables = sum(len(each.directives or ()) for each in operation.variable_definitions or ())
    return len(operation.directives or ()) + of_variables


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}


# --- Variables --------------------------------------------------------------------------------------------------


def refused_for_variables(variables: Mapping[str, Any] | None) -> list[GraphQLError]:
    """Refuse variables that are too large or nested too deeply."""
    if not variables:
        return []
    if _is_deeper(variables, VARIABLE_DEPTH.maximum):
        return [VARIABLE_DEPTH.refusal()]
    return list(VARIABLE_BYTES.exceeded_by(len(orjson.dumps(variables, default=str))))


def _is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects in a value are nested deeper than this many levels."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    return any(_is_deeper(each, levels - 1) for each in (value.values() if isinstance(value, dict) else value))


# --- Introspection ----------------------------------------------------------------------------------------------


def introspects(document: DocumentNode) -> FieldNode | None:
    """Find the first field that queries the schema, which `__typename` does not."""
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
