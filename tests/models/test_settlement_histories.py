"""Histories at random: in whatever order and number the events between two actions of the user arrive, the books end
the same, and as a model says that counts sets of events and knows no order.

FLUXRATE_HISTORIES sets how many there are; 500 unless it does.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from models.event import EventType
from models.instant import from_epoch
from models.invoice import InvoiceStatus
from models.payment import Allocation, PaymentStatus
from models.payment_link import PaymentLinkStatus
from models.stripe_event import StripeEvent, read
from tests.support import stripe_payloads as stripe
from tests.support.desk import CUSTOMER, INVOICE, NOW, WORKSPACE, Desk, active_link, open_invoice

HISTORIES: Final = int(os.environ.get("FLUXRATE_HISTORIES", "500"))

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}
COLLECTING: Final = {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE}
LINK: Final = "plink_a"


@dataclass(frozen=True)
class Fact:
    """An event, and what it is to the model. `failure` sorts failures as Stripe's clock does."""

    payment: str
    status: PaymentStatus
    amount: int
    currency: str
    at: int
    link: str | None
    event: StripeEvent
    failure: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class History:
    """What happens: facts, then an action of the user, then facts …; each fact so often."""

    total: int
    linked: bool
    actions: tuple[str, ...]
    stretches: tuple[tuple[tuple[Fact, int], ...], ...]


# --- Making them up --------------------------------------------------------------------------------------------

ACTIONS: Final = ("void", "write off", "mark paid", "nothing")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """An invoice's life from draft to end, with one to four payments."""
    total = draw(st.sampled_from([2000, 2000, 1]))
    facts = [fact for number in range(draw(st.integers(1, 4))) for fact in draw(payments(f"pi_{number}", total))]
    actions = ("finalize", *draw(st.lists(st.sampled_from(ACTIONS), max_size=2)))
    stretches: list[list[tuple[Fact, int]]] = [[] for _ in range(len(actions) + 1)]
    for fact in facts:
        stretch = draw(st.sampled_from([1, 1, 1, *range(len(stretches))]))
        times = draw(st.sampled_from([1, 1, 2, 3, 0]))
        stretches[stretch].append((fact, times))
    return History(total, draw(st.booleans()), actions, tuple(tuple(stretch) for stretch in stretches))


@st.composite
def payments(draw: st.DrawFn, name: str, total: int) -> list[Fact]:
    """All that Stripe says of one payment: by card, perhaps after attempts that failed, or by bank debit."""
    about: dict[str, Any] = {
        "payment_intent": name,
        "amount": draw(st.sampled_from([total, total, total // 2 + 1, total // 4, total + 300, 1])),
        "currency": draw(st.sampled_from(["usd"] * 9 + ["eur"])),
    }
    session = about | {"payment_link": draw(st.sampled_from([LINK, "plink_by_hand", None])), "session": f"cs_{name}"}
    success = draw(st.booleans())
    attempts = [
        stripe.payment_intent_failed(**OURS, **about, error={"code": code, "message": code}, created=draw(_seconds))
        for code in draw(st.sampled_from([[], [], ["a"], ["a", "b"]]))
    ]
    if draw(st.booleans()):
        told = [
            stripe.payment_intent_succeeded(**OURS, **about, created=draw(_seconds)),
            stripe.checkout_session_completed(**OURS, **session, created=draw(_seconds)),
        ]
        return _facts(name, attempts + (told if success else []))
    told = [stripe.checkout_session_completed(**OURS, **session, payment_status="unpaid", created=draw(_seconds))]
    if success:
        told.append(stripe.checkout_session_async_succeeded(**OURS, **session, created=draw(_seconds)))
        told.append(stripe.payment_intent_succeeded(**OURS, **about, created=draw(_seconds)))
    elif draw(st.booleans()):
        told.append(stripe.checkout_session_async_failed(**OURS, **session, created=draw(_seconds)))
        told += attempts
    return _facts(name, told)


_seconds: Final = st.integers(1, 30)
_PROOF: Final = {
    "payment_intent.succeeded": PaymentStatus.SUCCEEDED,
    "payment_intent.payment_failed": PaymentStatus.FAILED,
    "checkout.session.completed": PaymentStatus.SUCCEEDED,
    "checkout.session.async_payment_succeeded": PaymentStatus.SUCCEEDED,
    "checkout.session.async_payment_failed": PaymentStatus.FAILED,
}


def _facts(name: str, events: list[stripe.Event]) -> list[Fact]:
    return [_fact(event | {"id": f"evt_{name}_{number}"}) for number, event in enumerate(events)]


def _fact(event: stripe.Event) -> Fact:
    subject = event["data"]["object"]
    under_way = event["type"] == "checkout.session.completed" and subject["payment_status"] == "unpaid"
    return Fact(
        payment=subject.get("payment_intent") or subject["id"],
        status=PaymentStatus.PENDING if under_way else _PROOF[event["type"]],
        amount=subject["amount_total"] if "amount_total" in subject else subject["amount"],
        currency=subject["currency"].upper(),
        at=event["created"],
        link=subject.get("payment_link"),
        event=read(stripe.body(event)),
        failure=(event["created"], event["id"]),
    )


# --- The model -------------------------------------------------------------------------------------------------

RISING: Final = [PaymentStatus.PENDING, PaymentStatus.FAILED, PaymentStatus.SUCCEEDED]


@dataclass
class Known:
    """A payment: every fact that was taken, and why its money is not applied."""

    facts: list[Fact] = field(default_factory=list)
    misfit: str | None = None

    @property
    def status(self) -> PaymentStatus:
        return max((fact.status for fact in self.facts), key=RISING.index)

    @property
    def deciding(self) -> Fact:
        """The latest failure; of anything else the first."""
        told = [fact for fact in self.facts if fact.status is self.status]
        if self.status is PaymentStatus.FAILED:
            return max(told, key=lambda fact: fact.failure)
        return min(told, key=lambda fact: fact.at)

    @property
    def counts(self) -> bool:
        return self.status is PaymentStatus.SUCCEEDED and self.misfit is None


@dataclass
class Model:
    """What the books must say, counted from sets of facts."""

    total: int
    linked: bool
    status: InvoiceStatus = InvoiceStatus.DRAFT
    out_of_band: int = 0
    paid_at: datetime | None = None
    known: dict[str, Known] = field(default_factory=dict)
    link_used: bool = False

    def learn(self, facts: Sequence[Fact]) -> None:
        """Take what was told between two actions, all at once."""
        by_payment: Mapping[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            by_payment[fact.payment].append(fact)
        for name, told in by_payment.items():
            self._learn(name, told)
        if self.status in COLLECTING and self.paid + self.out_of_band >= self.total:
            self.status = InvoiceStatus.PAID
        if self.status is InvoiceStatus.PAID and not self.out_of_band:
            self.paid_at = from_epoch(self._covering().at)

    def _learn(self, name: str, told: list[Fact]) -> None:
        misfit = self._misfit(told[0].currency)
        money = any(fact.status is PaymentStatus.SUCCEEDED for fact in told)
        if misfit and not money and name not in self.known:
            return
        known = self.known.setdefault(name, Known())
        was_applied = bool(known.facts) and known.counts
        known.facts += told
        if money and not was_applied:
            known.misfit = misfit
        self.link_used |= misfit is None and any(fact.link == LINK for fact in told)

    def _misfit(self, currency: str) -> str | None:
        if currency != "USD":
            return "CURRENCY_MISMATCH"
        return {InvoiceStatus.DRAFT: "INVOICE_DRAFT", InvoiceStatus.VOID: "INVOICE_VOID"}.get(self.status)

    @property
    def paid(self) -> int:
        return sum(known.deciding.amount for known in self.known.values() if known.counts)

    @property
    def unapplied(self) -> int:
        return sum(
            known.deciding.amount
            for known in self.known.values()
            if known.status is PaymentStatus.SUCCEEDED and not known.counts
        )

    @property
    def link_amount(self) -> int | None:
        """What a live link asks for, None when there is none."""
        remaining = self.total - self.paid
        under_way = sum(known.deciding.amount for known in self.known.values() if known.status is PaymentStatus.PENDING)
        wanted = self.linked and self.status is InvoiceStatus.OPEN and under_way < remaining
        return remaining if wanted else None

    @property
    def overpaid(self) -> dict[str, int]:
        """Filled up in the order of Stripe's clock, what runs over is excess."""
        room = self.total - self.out_of_band
        excess = dict.fromkeys(self.known, 0)
        for name, amount in self._in_order():
            excess[name] = amount - min(amount, room)
            room -= min(amount, room)
        return excess

    def _in_order(self) -> list[tuple[str, int]]:
        counting = [(known.deciding.at, name) for name, known in self.known.items() if known.counts]
        return [(name, self.known[name].deciding.amount) for _, name in sorted(counting)]

    def _covering(self) -> Fact:
        paid = 0
        for name, amount in self._in_order():
            paid += amount
            if paid >= self.total:
                return self.known[name].deciding
        raise AssertionError("nothing covers it")


def act(action: str, model: Model, desk: Desk) -> None:
    """Do what the user does, in the model and in the books, where the invoice's state allows it."""
    if action == "finalize":
        model.status = InvoiceStatus.OPEN
        if model.linked:
            desk.add_link(active_link(stripe_id=LINK, amount=model.total))
    elif action == "void" and model.status in COLLECTING:
        model.status = InvoiceStatus.VOID
    elif action == "write off" and model.status is InvoiceStatus.OPEN:
        model.status = InvoiceStatus.UNCOLLECTIBLE
    elif action == "mark paid" and model.status in COLLECTING:
        model.status, model.paid_at = InvoiceStatus.PAID, NOW
        model.out_of_band = model.total - model.paid
    else:
        return
    if action != "finalize":
        desk.retire_links()
    desk.invoice = desk.invoice._replace(
        status=model.status,
        paid_at=model.paid_at,
        amount_paid_out_of_band=model.out_of_band,
    )


# --- Comparing -------------------------------------------------------------------------------------------------


def assert_as_modelled(desk: Desk, model: Model) -> None:
    """The books say what the model says."""
    assert {
        payment.provider_payment_id: (payment.status, payment.amount, payment.unapplied_code, payment.occurred_at)
        for payment in desk.payments
    } == {
        name: (known.status, known.deciding.amount, known.misfit, from_epoch(known.deciding.at))
        for name, known in model.known.items()
    }
    assert {payment.provider_payment_id: payment.overpaid for payment in desk.payments} == model.overpaid
    assert {payment.provider_payment_id: payment.failure_code for payment in desk.payments} == {
        name: known.deciding.event.failure_code for name, known in model.known.items()
    }
    invoice = desk.invoice
    assert (invoice.status, invoice.amount_paid, invoice.paid_at) == (model.status, model.paid, model.paid_at)
    assert [link.amount for link in desk.live_links] == ([] if model.link_amount is None else [model.link_amount])
    if model.linked and model.link_used:
        assert desk.links[0].status is PaymentLinkStatus.COMPLETED


def assert_sound(desk: Desk) -> None:
    """What holds after every single event."""
    money = [payment for payment in desk.payments if payment.status is PaymentStatus.SUCCEEDED]
    applied = sum(payment.amount for payment in money if payment.allocation is Allocation.APPLIED)
    invoice = desk.invoice
    assert invoice.amount_paid == applied
    covered = applied + invoice.amount_paid_out_of_band >= invoice.total
    assert (invoice.status is InvoiceStatus.PAID) or not (invoice.status in COLLECTING and covered)
    assert covered or invoice.status is not InvoiceStatus.PAID
    assert (invoice.paid_at is not None) == (invoice.status is InvoiceStatus.PAID)
    assert len(desk.live_links) <= 1
    assert desk.log.count(EventType.INVOICE_PAID) <= 1
    for payment in desk.payments:
        assert (payment.allocation is Allocation.UNAPPLIED) == (payment.unapplied_code is not None)
        assert 0 <= payment.overpaid <= payment.amount
    excess = sum(payment.overpaid for payment in desk.payments)
    if invoice.status is InvoiceStatus.PAID:
        assert excess == applied + invoice.amount_paid_out_of_band - invoice.total


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_and_number_of_events_between_two_actions_change_nothing(history: History, chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(status=InvoiceStatus.DRAFT, total=history.total))
        model = Model(history.total, history.linked)
        for action, stretch in zip(("", *history.actions), history.stretches, strict=True):
            act(action, model, desk)
            deliveries = [fact for fact, times in stretch for _ in range(times)]
            chance.shuffle(deliveries)

            for fact in deliveries:
                desk.take(fact.event)
                assert_sound(desk)

            model.learn([fact for fact, times in stretch if times])
            assert_as_modelled(desk, model)
        by_money = model.status is InvoiceStatus.PAID and not model.out_of_band
        assert desk.log.count(EventType.INVOICE_PAID) == by_money
        money = [payment.amount for payment in desk.payments if payment.status is PaymentStatus.SUCCEEDED]
        assert sum(money) == model.paid + model.unapplied


# --- Payments under several names ------------------------------------------------------------------------------


@st.composite
def named_alike(draw: st.DrawFn) -> list[StripeEvent]:
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


def tied(events: Sequence[StripeEvent]) -> list[list[StripeEvent]]:
    """The events of each payment: those that share a name, or are tied by others that do."""
    groups: list[tuple[set[str], list[StripeEvent]]] = []
    for event in events:
        names, members = set(event.provider_ids), [event]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members += group[1]
        groups.append((names, members))
    return [members for _, members in groups]


@settings(max_examples=max(1, HISTORIES // 2), deadline=None)
@given(named_alike(), st.randoms(use_true_random=False))
def test_a_payment_is_counted_once_whatever_its_events_call_it(events: list[StripeEvent], chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(total=10_000), [active_link(amount=10_000)])
        chance.shuffle(events)

        for event in [*events, *events[::2]]:
            desk.take(event)
            assert_sound(desk)

        groups = tied(events)
        assert {payment.provider_ids for payment in desk.payments} == {
            frozenset(name for event in group for name in event.provider_ids) for group in groups
        }
        successes = [group for group in groups if any("fail" not in event.type for event in group)]
        assert desk.invoice.amount_paid == 700 * len(successes)
        assert {payment.occurred_at for payment in desk.payments if payment.counts} == {
            from_epoch(min(event.created for event in group if "fail" not in event.type)) for group in successes
        }
        assert [link.amount for link in desk.live_links] == [10_000 - 700 * len(successes)]
        assert all(payment.provider_payment_id == min(payment.provider_ids, key=_rank) for payment in desk.payments)


def _rank(name: str) -> int:
    return ["pi", "cs", "in"].index(name.partition("_")[0])
