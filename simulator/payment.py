"""What happens when a customer pays, and the events that Stripe sends about it."""

import copy
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from simulator.account import Account
from simulator.checkout_session import describe_customer, is_open, latest_session, open_checkout_session
from simulator.errors import Payload, StripeError
from simulator.line_item import total
from simulator.payment_intent import (
    CARD_DECLINED,
    DEBIT_FAILED,
    fail,
    new_charge,
    new_payment_intent,
    succeed,
)
from simulator.payment_link import count_completed_session, is_used_up

CUSTOMER: Final = "customer@example.com"
PAY_OUTCOMES: Final = ("paid", "declined", "async")
SETTLE_OUTCOMES: Final = ("succeeded", "failed")
SHUFFLED: Final = "shuffled"
ORDERS: Final = ("intent_first", "session_first", SHUFFLED)
CAUSED: Final = {
    "paid": (
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ),
    "declined": ("payment_intent.created", "charge.failed", "payment_intent.payment_failed"),
    "async": (
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ),
    "succeeded": (
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ),
    "failed": ("charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"),
    "refund": ("charge.refunded", "refund.created"),
    "dispute": ("charge.dispute.created", "charge.dispute.funds_withdrawn"),
    "won": ("charge.dispute.funds_reinstated", "charge.dispute.closed"),
    "lost": ("charge.dispute.closed",),
}
"""The events of each outcome, in the order of `intent_first`."""

OPTIONAL_EVENTS: Final = frozenset(
    {
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.failed",
        "charge.pending",
        "charge.succeeded",
        "payment_intent.created",
        "payment_intent.processing",
    }
)
"""Events that are sent only if an endpoint subscribes to them, or if they are requested by name."""


@dataclass
class Payment:
    """One customer's step, and the events that report it."""

    account: Account
    session: Payload
    at: int = field(default_factory=lambda: int(time.time()))
    """When it happens: seconds since 1970."""
    events: list[tuple[str, Payload]] = field(default_factory=list)

    def add_event(self, event_type: str, about: Payload) -> None:
        """Add an event, with a copy of its object."""
        self.events.append((event_type, copy.deepcopy(about)))

    def ordered(self, order: str, only: Collection[str] | None) -> list[tuple[str, Payload]]:
        """Select the events to send, and order them."""
        events = [(event_type, about) for event_type, about in self.events if self._is_sent(event_type, only)]
        if order == "session_first":
            events.sort(key=lambda occurrence: not occurrence[0].startswith("checkout.session."))
        return events

    def _is_sent(self, event_type: str, only: Collection[str] | None) -> bool:
        if only is not None:
            return event_type in only
        return event_type not in OPTIONAL_EVENTS or bool(self.account.subscribers(event_type))


def check_events(outcome: str, events: Collection[str]) -> None:
    """Refuse events that an outcome doesn't cause."""
    for event_type in events:
        if event_type not in CAUSED[outcome]:
            message = f"The outcome {outcome} doesn't cause {event_type}, but {', '.join(CAUSED[outcome])}."
            raise StripeError(message, param="events")


def visit(account: Account, link: Payload) -> Payload:
    """Open a link as a customer does: each visit is a session, which can be paid when the link no longer can.

    Raises:
        StripeError: The link can't be paid any more.
    """
    refuse_unless_payable(link)
    session = open_checkout_session(account, link)
    amount = total(account.line_items[link["id"]])
    session.update(amount_subtotal=amount, amount_total=amount)
    return session


def pay(
    account: Account,
    link: Payload,
    outcome: str = "paid",
    amount: int | None = None,
    email: str = CUSTOMER,
    session_id: str | None = None,
    at: int | None = None,
) -> Payment:
    """Pay a link, or an open session of it, even if the link was deactivated meanwhile.

    Without `session_id` the latest open session continues, with its PaymentIntent. Without `at` it happens now.

    Raises:
        StripeError: The link can't be paid any more, or there is nothing to pay.
    """
    visited = _visited(account, link, session_id)
    amount = total(account.line_items[link["id"]]) if amount is None else amount
    if amount == 0 and outcome != "paid":
        raise StripeError("There is nothing to pay, so the outcome can only be paid.", param="outcome")
    at = int(time.time()) if at is None else at
    session = visited or latest_session(account, link, is_open) or open_checkout_session(account, link, at)
    session.update(amount_subtotal=amount, amount_total=amount, customer_details=describe_customer(email))
    payment = Payment(account, session, at)
    if amount == 0:
        _complete(payment, link, "no_payment_required")
        return payment
    intent = _intent(payment, link, amount)
    charge = new_charge(account, intent, "us_bank_account" if outcome == "async" else "card", email, at)
    if outcome == "declined":
        _add_failure(payment, intent, charge, CARD_DECLINED)
    elif outcome == "async":
        _add_processing(payment, intent, charge)
        _complete(payment, link, "unpaid")
    else:
        _add_success(payment, intent, charge)
        _complete(payment, link, "paid")
    return payment


def settle(
    account: Account, link: Payload, outcome: str, session_id: str | None = None, at: int | None = None
) -> Payment:
    """Let a bank debit succeed or fail: that of a session, or the latest pending one.

    Raises:
        StripeError: None is pending.
    """
    session = awaited_session(account, link, session_id)
    if session is None:
        message = 'No payment of this link is waiting to be settled: pay it with {"outcome": "async"} first.'
        raise StripeError(message, status=409)
    payment = Payment(account, session) if at is None else Payment(account, session, at)
    intent = account.payment_intents[session["payment_intent"]]
    charge = account.charges[intent["latest_charge"]]
    if outcome == "succeeded":
        _add_success(payment, intent, charge)
        session["payment_status"] = "paid"
    else:
        _add_failure(payment, intent, charge, DEBIT_FAILED)
    payment.add_event(f"checkout.session.async_payment_{outcome}", session)
    return payment


def _visited(account: Account, link: Payload, session_id: str | None) -> Payload | None:
    """Find the open session to pay; if there is none, check that the link can be paid."""
    if session_id is None:
        refuse_unless_payable(link)
        return None
    session = account.checkout_sessions.get(session_id)
    if session is None or session["payment_link"] != link["id"]:
        raise StripeError("This link has no such checkout session.", param="checkout_session", status=404)
    if not is_open(session):
        raise StripeError(f"This checkout session is {session['status']}: nobody can pay it any more.", status=409)
    return session


def refuse_unless_payable(link: Payload) -> None:
    """Refuse a link that nobody can pay any more, in a sentence for its customer."""
    if link["active"]:
        return
    sentence = "This payment link was deactivated: nobody can pay it any more."
    if is_used_up(link):
        sentence = "This payment link was paid as often as it may be: nobody can pay it any more."
    raise StripeError(link["inactive_message"] or sentence, status=409)


def awaited_session(account: Account, link: Payload, session_id: str | None = None) -> Payload | None:
    """Find the newest session of a link, or the one that is named, whose bank debit is under way."""

    def is_awaited(session: Payload) -> bool:
        intent = account.payment_intents.get(session["payment_intent"])
        is_meant = session_id in (None, session["id"])
        return is_meant and intent is not None and bool(intent["status"] == "processing")

    return latest_session(account, link, is_awaited)


def charged_session(
    account: Account, link: Payload, wanted: Callable[[Payload], bool], session_id: str | None = None
) -> Payload | None:
    """Find the newest session of a link, or the one that is named, that was paid by a charge that is wanted."""

    def is_charged(session: Payload) -> bool:
        charge = charge_of(account, session)
        is_meant = session_id in (None, session["id"])
        return is_meant and charge is not None and charge["paid"] and wanted(charge)

    return latest_session(account, link, is_charged)


def charge_of(account: Account, session: Payload) -> Payload | None:
    """Find the latest charge of a session."""
    intent = account.payment_intents.get(session["payment_intent"])
    return account.charges.get(intent["latest_charge"]) if intent else None


def _intent(payment: Payment, link: Payload, amount: int) -> Payload:
    known = payment.session["payment_intent"]
    if known:
        intent = payment.account.payment_intents[known]
        intent["amount"] = amount
        return intent
    intent = new_payment_intent(payment.account, link, amount, payment.at)
    payment.session["payment_intent"] = intent["id"]
    payment.add_event("payment_intent.created", intent)
    return intent


def _complete(payment: Payment, link: Payload, payment_status: str) -> None:
    payment.session.update(payment_status=payment_status, status="complete", url=None)
    count_completed_session(link)
    payment.add_event("checkout.session.completed", payment.session)


def _add_success(payment: Payment, intent: Payload, charge: Payload) -> None:
    succeed(intent, charge)
    payment.add_event("charge.succeeded", charge)
    payment.add_event("payment_intent.succeeded", intent)


def _add_processing(payment: Payment, intent: Payload, charge: Payload) -> None:
    intent["status"] = "processing"
    payment.add_event("charge.pending", charge)
    payment.add_event("payment_intent.processing", intent)


def _add_failure(payment: Payment, intent: Payload, charge: Payload, reason: Payload) -> None:
    fail(intent, charge, reason)
    payment.add_event("charge.failed", charge)
    payment.add_event("payment_intent.payment_failed", intent)
