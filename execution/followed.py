"""Finds out what a subscription's variables are for: which is its cursor, and which only choose events."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from graphql import Node, Visitor, get_operation_ast, visit
from graphql.language import FieldNode, VariableNode

from execution.documents import MAX_KEPT_LENGTH, document_of, is_subscription

_MAX_FOLLOWED: Final = 256
_DEFINED_AND_USED: Final = 2


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription of a document.

    `cursor` is the variable that is its cursor and nothing else, if there is one. `choosing` are the variables that
    only choose events: they change nothing of what is shown of one.
    """

    cursor: str | None
    choosing: frozenset[str]


def followed_by(query: str, operation_name: str | None) -> Followed | None:
    """Return the subscription of a document; None if it has none or is too long to cache."""
    if len(query) + len(operation_name or "") > MAX_KEPT_LENGTH:
        return None
    return _followed_by(query, operation_name)


@lru_cache(_MAX_FOLLOWED)
def _followed_by(query: str, operation_name: str | None) -> Followed | None:
    if not is_subscription(query, operation_name):
        return None
    document = document_of(query)
    operation = get_operation_ast(document, operation_name)
    assert operation is not None  # noqa: S101  (it is a subscription)
    arguments = {
        argument.name.value: argument.value
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
        for argument in field.arguments or ()
        if (field.name.value, argument.name.value) not in _CHOOSING_BY_STATE
    }
    after = arguments.pop("after", None)
    cursor = after.name.value if isinstance(after, VariableNode) else None
    in_all = _uses_in(document)
    choosing = sum((_uses_in(value) for value in arguments.values()), Counter[str]())
    return Followed(
        cursor if cursor is not None and in_all[cursor] == _DEFINED_AND_USED else None,
        frozenset(name for name, times in choosing.items() if in_all[name] == times + 1),  # and is defined
    )


_CHOOSING_BY_STATE: Final = frozenset({("webhookEvents", "status")})
"""Arguments that choose events by rows, which have to be read first."""


def _uses_in(node: Node) -> Counter[str]:
    uses = _VariableUses()
    visit(node, uses)
    return uses.counted


class _VariableUses(Visitor):
    """Counts the occurrences of each variable, its definition included."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.counted[node.name.value] += 1
