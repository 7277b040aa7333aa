"""Histories at random: in whatever order and number the events between two actions of the user arrive, the books end
the same, and as a model says that counts sets of events and knows no order.

There are 80, always the same; or new ones each time: 3,200 with --long, or as many as FLUXRATE_HISTORIES says.
"""

from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from gateways.stripe.events import read
from models.instant import from_epoch
from models.kinds import EventType
from models.payment_fact import PaymentFact
from tests.models.histories.machine import Histories
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE, Desk, active_link, open_invoice
from tests.world.long import asks_for_more, few_or_many

IS_NEW: Final = asks_for_more("FLUXRATE_HISTORIES")
HISTORIES: Final = few_or_many(80, 3200, "FLUXRATE_HISTORIES")
PARTS: Final = 4
"""Tests that the histories are shared out to, so that several can run at once."""

HOW: Final = settings(
    max_examples=max(1, HISTORIES // PARTS),
    stateful_step_count=14,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


pytestmark = pytest.mark.timeout(0 if IS_NEW else 300)


@pytest.mark.longer
@pytest.mark.parametrize("part", range(PARTS))
def test_the_order_and_number_of_events_between_two_actions_change_nothing(part: int) -> None:
    histories = type(f"Histories{part}", (Histories,), {})
    run_state_machine_as_test(histories if IS_NEW else seed(part)(histories), settings=HOW)


# --- Payments under several names ------------------------------------------------------------------------------

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}
_seconds: Final = st.integers(1, 30)


@st.composite
def named_alike(draw: st.DrawFn) -> list[PaymentFact]:
    """Events of two payments; each names its payment by one to three of its names, which they tie together."""
    events = []
    for number in range(2):
        names: dict[str, Any] = {"session": f"cs_{number}", "invoice": f"in_{number}"}
        intent, about = f"pi_{number}", OURS | {"amount": 700}
        made = [
            stripe.payment_intent_succeeded(**about, payment_intent=intent, created=draw(_seconds)),
            stripe.payment_intent_failed(**about, payment_intent=intent, created=draw(_seconds)),
            stripe.checkout_session_completed(**about, **names, payment_intent=None, created=draw(_seconds)),
            stripe.checkout_session_completed(
                **about, session=names["session"], payment_intent=intent, created=draw(_seconds)
            ),
            stripe.stripe_invoice_paid(**about, invoice=names["invoice"], created=draw(_seconds)),
            stripe.stripe_invoice_paid(
                **about, invoice=names["invoice"], payment_intent=intent, created=draw(_seconds)
            ),
            stripe.stripe_invoice_failed(**about, invoice=names["invoice"], created=draw(_seconds)),
        ]
        events += [read(stripe.body(event)) for event in made if draw(st.booleans())]
    return events


def tied(events: Sequence[PaymentFact]) -> list[list[PaymentFact]]:
    """The events of each payment: those that share a name or a Stripe invoice, or are tied by others that do."""
    groups: list[tuple[set[str], list[PaymentFact]]] = []
    for event in events:
        names, members = {*event.provider_ids, event.order_id or event.provider_ids[0]}, [event]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members += group[1]
        groups.append((names, members))
    return [members for _, members in groups]


def payments_in(group: list[PaymentFact]) -> list[list[PaymentFact]]:
    """What tied events tell of: one payment; or two where only the Stripe invoice was paid, not what is known of it."""
    whole = [event for event in group if event.is_whole]
    own = [event for event in group if not event.is_whole]
    if own and not succeeded(own) and succeeded(whole):
        return [own, succeeded(whole)]
    return [group]


def succeeded(events: Sequence[PaymentFact]) -> list[PaymentFact]:
    return [event for event in events if "fail" not in event.type]


def own_names(events: Sequence[PaymentFact]) -> frozenset[str]:
    names = frozenset(name for event in events for name in event.provider_ids)
    return frozenset(name for name in names if not name.startswith("in_")) or names


def came_at(events: Sequence[PaymentFact]) -> datetime:
    """When the money came, by the payment's own events where there are any."""
    own = [event for event in succeeded(events) if not event.is_whole]
    return from_epoch(min(event.created for event in own or succeeded(events)))


@settings(HOW, derandomize=not IS_NEW)
@given(named_alike(), st.randoms(use_true_random=False))
def test_a_payment_is_counted_once_whatever_its_events_call_it(events: list[PaymentFact], chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(total=10_000), [active_link(amount=10_000)])
        chance.shuffle(events)

        for event in [*events, *events[::2]]:
            desk.take(event)

        groups = [payment for group in tied(events) for payment in payments_in(group)]
        assert {payment.provider_ids for payment in desk.payments} == {own_names(group) for group in groups}
        successes = [group for group in groups if succeeded(group)]
        assert desk.invoice.amount_paid == 700 * len(successes)
        assert {payment.occurred_at for payment in desk.payments if payment.counts} == {
            came_at(group) for group in successes
        }
        assert [link.amount for link in desk.live_links] == [10_000 - 700 * len(successes)]
        assert all(payment.provider_payment_id == min(payment.provider_ids, key=_rank) for payment in desk.payments)


def _rank(name: str) -> int:
    return ["pi", "cs", "in"].index(name.partition("_")[0])


@st.composite
def paying_in_parts(draw: st.DrawFn) -> list[PaymentFact]:
    """What may come of a Stripe invoice over 50.00 that two payments pay, listed or not; each event perhaps."""
    is_listed = draw(st.booleans())
    order = None if is_listed and draw(st.booleans()) else "in_0"
    about: dict[str, Any] = OURS | {"invoice": "in_0", "amount": 5000}
    if is_listed:
        about["payments"] = {"pi_0": 2000, "pi_1": 3000}
    made = [
        stripe.stripe_invoice_paid(**about, created=draw(_seconds)),
        stripe.stripe_invoice_paid(**about, created=draw(_seconds)) | {"type": "invoice.paid"},
    ]
    intents = [
        stripe.payment_intent_succeeded(
            **OURS, payment_intent=f"pi_{number}", amount=amount, order=order, created=draw(_seconds)
        )
        for number, amount in enumerate([2000, 3000])
    ]
    declined = [stripe.payment_intent_failed(**OURS, payment_intent="pi_1", created=draw(_seconds))]
    some = [event for event in [*made, *declined] if draw(st.booleans())]
    return [read(stripe.body(event)) for event in [*intents, *some]]


@settings(HOW, derandomize=not IS_NEW)
@given(paying_in_parts(), st.randoms(use_true_random=False))
def test_several_payments_of_a_stripe_invoice_are_counted_each_once(events: list[PaymentFact], chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(total=5000), [active_link(amount=5000)])
        chance.shuffle(events)

        desk.take(*events, *events[::2])

        assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {
            "pi_0": 2000,
            "pi_1": 3000,
        }
        assert (desk.invoice.amount_paid, desk.invoice.status.value) == (5000, "PAID")
        assert [payment.overpaid for payment in desk.payments] == [0, 0]
        assert not desk.live_links
        assert desk.log.count(EventType.INVOICE_PAID) == 1


@st.composite
def in_two_currencies(draw: st.DrawFn) -> list[PaymentFact]:
    """A payment of 20.00 USD whose intent and charge are told in yen, as before 2025-03-31; and what went back."""
    yen: dict[str, Any] = OURS | {"payment_intent": "pi_0", "amount": 3100, "currency": "jpy"}
    session = stripe.checkout_session_completed(
        **OURS, payment_intent="pi_0", session="cs_0", amount=3100, currency="jpy", created=draw(_seconds)
    )
    session["data"]["object"]["currency_conversion"] = {"amount_total": 2000, "source_currency": "usd"}
    others = [
        stripe.payment_intent_succeeded(**yen, created=draw(_seconds)),
        stripe.payment_intent_processing(**yen, created=draw(_seconds)),
        stripe.payment_intent_failed(**yen, created=draw(_seconds)),
        stripe.checkout_session_async_succeeded(
            **OURS, payment_intent="pi_0", session="cs_0", amount=2000, created=draw(_seconds)
        ),
        stripe.charge_refunded(**yen, refunded=1500, paid_at=draw(_seconds), created=draw(_seconds)),
    ]
    return [read(stripe.body(event)) for event in [session, *(each for each in others if draw(st.booleans()))]]


@settings(HOW, derandomize=not IS_NEW)
@given(in_two_currencies(), st.randoms(use_true_random=False))
def test_no_amount_is_ever_taken_from_another_currency(events: list[PaymentFact], chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(total=2000), [active_link(amount=2000)])
        chance.shuffle(events)

        desk.take(*events, *events[::2])

        payment = desk.payment
        assert (payment.amount, payment.currency, payment.unapplied_code) == (2000, "USD", None)
        assert (payment.presentment, payment.refunds.amount) == ((3100, "JPY"), 0)
        assert (desk.invoice.status.value, desk.invoice.amount_paid) == ("PAID", 2000)
