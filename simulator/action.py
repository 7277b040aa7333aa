"""The actions on a payment link: each is a button of its page, and can be called by name for an invoice."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulator.account import Account
from simulator.dispute import close_dispute, dispute
from simulator.errors import Payload
from simulator.line_item import total
from simulator.payment import Payment, pay, settle, visit
from simulator.refund import refund

Perform = Callable[[Account, Payload, str | None], list[Payment]]


@dataclass(frozen=True)
class Action:
    """A button: its label, a hint, what it does, and the sentence that is shown afterwards.

    The sentence may contain `{paid}`, the session's amount, and `{total}`, the link's.
    """

    label: str
    hint: str
    perform: Perform
    done: str


def _pay(account: Account, link: Payload, session_id: str | None, *, outcome: str) -> list[Payment]:
    return [pay(account, link, outcome, session_id=session_id)]


def _pay_partly(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    half = (total(account.line_items[link["id"]]) + 1) // 2
    return [pay(account, link, amount=half, session_id=session_id)]


def _pay_twice(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    """Pay two sessions that are open at once, before any webhook is sent."""
    first = session_id or visit(account, link)["id"]
    second = visit(account, link)["id"]
    return [pay(account, link, session_id=session) for session in (first, second)]


def _settle(account: Account, link: Payload, session_id: str | None, *, outcome: str) -> list[Payment]:
    return [settle(account, link, outcome, session_id)]


def _refund(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    return [refund(account, link, session_id=session_id)]


def _dispute(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    return [dispute(account, link, session_id)]


def _close_dispute(account: Account, link: Payload, session_id: str | None, *, outcome: str) -> list[Payment]:
    return [close_dispute(account, link, outcome, session_id)]


TO_PAY: Final = {
    "pay": Action("Pay {total}", "By card, all of it.", partial(_pay, outcome="paid"), "{paid} was paid by card."),
    "decline": Action(
        "Decline", "The card is refused.", partial(_pay, outcome="declined"), "The card was declined: nothing was paid."
    ),
    "debit": Action(
        "Bank debit",
        "Begins now, and settles or fails later.",
        partial(_pay, outcome="async"),
        "A bank debit over {paid} is under way: let it settle or fail.",
    ),
    "pay_twice": Action(
        "Pay twice",
        "Two open pages are paid at once.",
        _pay_twice,
        "The link was paid twice, {paid} each time: the second payment is too much.",
    ),
    "pay_partly": Action(
        "Pay partly",
        "Half of it, which Stripe itself would not offer.",
        _pay_partly,
        "{paid} of {total} was paid: the rest needs a link of its own.",
    ),
}
TO_SETTLE: Final = {
    "settle": Action(
        "Debit settles",
        "The money arrives.",
        partial(_settle, outcome="succeeded"),
        "The bank debit settled: {paid} was paid.",
    ),
    "fail": Action(
        "Debit fails",
        "The bank sends no money.",
        partial(_settle, outcome="failed"),
        "The bank debit failed: nothing was paid.",
    ),
}
TO_REFUND: Final = {
    "refund": Action("Refund", "All that is left goes back.", _refund, "The payment of {paid} was refunded."),
}
TO_DISPUTE: Final = {
    "dispute": Action(
        "Dispute", "The customer's bank asks for it back.", _dispute, "The payment of {paid} is disputed."
    ),
}
TO_CLOSE_DISPUTE: Final = {
    "win": Action(
        "Dispute won",
        "The bank gives the money back to the seller.",
        partial(_close_dispute, outcome="won"),
        "The dispute was won: {paid} came back.",
    ),
    "lose": Action(
        "Dispute lost",
        "The money stays with the customer.",
        partial(_close_dispute, outcome="lost"),
        "The dispute was lost: {paid} stays with the customer.",
    ),
}
ACTIONS: Final = TO_PAY | TO_SETTLE | TO_REFUND | TO_DISPUTE | TO_CLOSE_DISPUTE
