"""Answering an object in place of its id, where `expand` asks for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from simulator.account import Account
from simulator.errors import ExecutionError, Payload
from simulator.parameters import list_of, text

EXPAND: Final = list_of(text(), most=20)
LIST_PREFIX: Final = "data."


def _line_items(account: Account, link_id: str) -> Payload:
    url = f"/v1/payment_links/{link_id}/line_items"
    return {"object": "list", "data": account.line_items[link_id], "has_more": False, "url": url}


EXPANDABLE: Final[Mapping[tuple[str, str], Callable[[Account, Payload], Payload | None]]] = {
    ("checkout.session", "line_items"): lambda account, session: _line_items(account, session["payment_link"]),
    ("checkout.session", "payment_intent"): lambda account, session: account.payment_intents.get(
        session["payment_intent"]
    ),
    ("checkout.session", "payment_link"): lambda account, session: account.payment_links[session["payment_link"]],
    ("payment_intent", "latest_charge"): lambda account, intent: account.charges.get(intent["latest_charge"]),
    ("payment_link", "line_items"): lambda account, link: _line_items(account, link["id"]),
}


def expand(account: Account, answer: Payload, names: Sequence[str]) -> Payload:
    """Put objects in place of their ids, in one object or in each of a list.

    Raises:
        ExecutionError: What is asked for can't be expanded.
    """
    for name in names:
        if answer["object"] == "list" and name.startswith(LIST_PREFIX):
            inner = name.removeprefix(LIST_PREFIX)
            answer = answer | {"data": [_expanded(account, row, inner) for row in answer["data"]]}
        else:
            answer = _expanded(account, answer, name)
    return answer


def _expanded(account: Account, payload: Payload, name: str) -> Payload:
    find = EXPANDABLE.get((payload["object"], name))
    if find is None:
        raise ExecutionError(f"This property cannot be expanded ({name}).", param="expand")
    return payload | {name: find(account, payload)}
