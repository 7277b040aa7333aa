"""Parses and validates documents, once each, and checks their limits."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    ValidationRule,
    get_operation_ast,
    parse,
    specified_rules,
)
from graphql.language import Location, Token, TokenKind
from graphql.language.parser import Parser
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from execution.cost import cost_of, mutations_of, sizes_of
from execution.limits import (
    TOKENS,
    introspects,
    refused_for_lines,
    refused_for_shape,
    refused_for_variables,
)
from schema.context import Operation

K = TypeVar("K", bound="str | Document")
V = TypeVar("V")

_MAX_COSTS: Final = 128
MAX_KEPT_LENGTH: Final = 16 * 1024
_MAX_KEPT_CHARACTERS: Final = 128 * 1024
"""How many characters of documents are kept: each takes up to 300 bytes when parsed."""

NO_INTROSPECTION: Final = (
    "Introspection is switched off on this server: take the schema from its operator (FLUXRATE_INTROSPECTION)."
)
NUMBER_REFUSED: Final = "A number in the document has too many digits: no field takes one of more than 32 bits."
NUL_REFUSED: Final = "A text contains the character U+0000, which can't be stored: leave it out."


class Documents(SchemaExtension):
    """Caches recent documents, parsed and validated."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = TOKENS.maximum
        query = context.query
        if query is not None and len(query) <= MAX_KEPT_LENGTH:
            with suppress(GraphQLError, RecursionError):  # Strawberry parses it again and reports the error
                context.graphql_document = _parsed(query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        context.validation_rules = (*context.validation_rules, *_RULES)
        query, document = context.query, context.graphql_document
        if query is not None and document is not None:
            asked = Document(query, document, context.schema._schema, context.validation_rules)
            context.pre_execution_errors = refusals_of_operation(  # now: errors found after the yield would be lost
                asked, context._provided_operation_name, context.variables, context.context
            )
        yield


def refusals_of_operation(
    asked: "Document", name: str | None, variables: dict[str, Any] | None, operation: object
) -> list[GraphQLError]:
    """Find out why an operation can't be executed, and set its cost; `name` is the one that the client gave."""
    return (
        refused_for_variables(variables)
        or _refused(asked, operation)
        or _refused_for_choice(asked.document, name)
        or _refused_for_cost(asked, name, variables, operation)
    )


def _refused_for_cost(
    asked: "Document", name: str | None, variables: dict[str, Any] | None, operation: object
) -> list[GraphQLError]:
    if len(asked.text) > MAX_KEPT_LENGTH:
        cost, refusals = cost_of(asked.schema, asked.document, name, variables)
    else:
        cost, refusals = _costs_of(asked).of(name, variables or {})
    if isinstance(operation, Operation):
        operation.cost = cost
    return refusals


def recent_document(query: str, schema: GraphQLSchema) -> "Document | None":
    """Return a document that is short enough to be cached, parsed; None if it is longer or can't be parsed."""
    if len(query) > MAX_KEPT_LENGTH:
        return None
    try:
        return Document(query, _parsed(query), schema, _ALL_RULES)
    except (GraphQLError, RecursionError):
        return None


def refusals_of(query: str, schema: GraphQLSchema) -> list[GraphQLError]:
    """Find out why a document can't be executed with any variables; empty if it can."""
    try:
        document = document_of(query)
    except GraphQLError as error:
        return [error]
    return _refused(Document(query, document, schema, _ALL_RULES), None)


def _refused(asked: "Document", operation: object) -> list[GraphQLError]:
    if isinstance(operation, Operation) and not operation.introspection and (field := introspects(asked.document)):
        return [GraphQLError(NO_INTROSPECTION, field, extensions={"code": "INTROSPECTION_DISABLED"})]
    return list(_validated(asked) if len(asked.text) <= MAX_KEPT_LENGTH else _validate(asked))


def _refused_for_choice(document: DocumentNode, operation_name: str | None) -> list[GraphQLError]:
    """Refuse a document with several operations unless one is named: Strawberry would take the first."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if operation_name is None and len(operations) > 1:
        return [GraphQLError("The document has several operations: name one of them (operationName).", operations)]
    return []


def document_of(query: str) -> DocumentNode:
    """Return a parsed document, from the cache if it is short enough."""
    return _parsed(query) if len(query) <= MAX_KEPT_LENGTH else _parse(query)


class Recent(Generic[K, V]):
    """A cache of what was made of documents, limited by their characters; drops the least recently used."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._kept: OrderedDict[K, V] = OrderedDict()
        self.characters = 0
        self.made = 0

    def __call__(self, document: K) -> V:
        if document in self._kept:
            self._kept.move_to_end(document)
            return self._kept[document]
        made = self._kept[document] = self._make(document)
        self.made += 1
        self.characters += len(document)
        while self.characters > _MAX_KEPT_CHARACTERS:
            least_used, _ = self._kept.popitem(last=False)
            self.characters -= len(least_used)
        return made


class _Parser(Parser):
    """Makes nodes with positions but without tokens, which a cached document would keep in memory."""

    def loc(self, start_token: Token) -> Location | None:
        """Return the position of a node that begins with a token."""
        location = super().loc(start_token)
        if location is not None:
            location.start_token = location.end_token = _NO_TOKEN
        return location


_NO_TOKEN: Final = Token(TokenKind.SOF, 0, 0, 0, 0)


def _parse(query: str) -> DocumentNode:
    try:
        return _Parser(query, max_tokens=TOKENS.maximum).parse_document()
    except RecursionError:
        return parse(query, max_tokens=TOKENS.maximum)  # which reports it


_parsed: Final = Recent(_parse)


def is_subscription(query: str, operation_name: str | None) -> bool:
    """Whether a document's operation is a subscription; False if the document is invalid."""
    try:
        operation = get_operation_ast(document_of(query), operation_name)
    except (GraphQLError, RecursionError):
        return False
    return operation is not None and operation.operation is OperationType.SUBSCRIPTION


def mutations_in(query: str, operation_name: str | None) -> int:
    """Count the mutations of a document's operation; 0 if the document is invalid."""
    try:
        return mutations_of(document_of(query), operation_name)
    except (GraphQLError, RecursionError):
        return 0


class Document:
    """A document to validate, hashed by its text: to hash its tree takes longer than to validate a small one."""

    def __init__(self, text: str, document: DocumentNode, schema: GraphQLSchema, rules: tuple[type[Any], ...]) -> None:
        self.text, self.document, self.schema, self.rules = text, document, schema, rules

    def __len__(self) -> int:
        return len(self.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and self.text == other.text and self.schema is other.schema


def _validate(asked: Document) -> list[GraphQLError]:
    refused = (
        refused_for_lines(asked.text)
        or refused_for_shape(asked.document)
        or validate_document(asked.schema, asked.document, asked.rules)
    )
    return [_too_many_digits(error) if isinstance(error.original_error, ValueError) else error for error in refused]


_validated: Final = Recent(_validate)


class _Costs:
    """Caches the costs of a valid document's operations, by the variables that decide them."""

    def __init__(self, asked: Document) -> None:
        self._asked = asked
        self._sizes = sizes_of(asked.document)
        self._known: dict[Hashable, int] = {}

    def of(self, name: str | None, variables: Mapping[str, Any]) -> tuple[int, list[GraphQLError]]:
        """Return the cost of an operation, and its refusals if that is too much."""
        key = self._key(name, variables)
        if key in self._known:
            return self._known[key], []
        cost, refusals = cost_of(self._asked.schema, self._asked.document, name, variables)
        if key is not None and not refusals and len(self._known) < _MAX_COSTS:
            self._known[key] = cost
        return cost, refusals

    def _key(self, name: str | None, variables: Mapping[str, Any]) -> Hashable:
        """Return the operation's name and page sizes as a key; None if more than these decide the cost."""
        if self._sizes is None:
            return None
        sizes = [variables.get(each) for each in self._sizes]
        return (name, *sizes) if all(type(size) is int or size is None for size in sizes) else None


_costs_of: Final = Recent(_Costs)


def _too_many_digits(error: GraphQLError) -> GraphQLError:
    """Make the error for an integer of over 4,300 digits, which graphql-core would report as an internal error."""
    return GraphQLError(NUMBER_REFUSED, error.nodes)


# --- Rules -----------------------------------------------------------------------------------------------------


class _NoNul(ValidationRule):
    """Refuses texts that PostgreSQL can't hold."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\x00" in node.value:
            self.report_error(GraphQLError(NUL_REFUSED, node))


_RULES: Final = (_NoNul,)
_ALL_RULES: Final = (*specified_rules, *_RULES)


def has_nul(value: object) -> bool:
    """Whether any text in a variable, however deep, has a character that PostgreSQL can't hold."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str) and "\x00" in each:
            return True
        if isinstance(each, dict):
            left += each
            left += each.values()
        elif isinstance(each, list):
            left += each
    return False
