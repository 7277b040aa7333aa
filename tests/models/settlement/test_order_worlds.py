"""Worlds at random: whatever intents, lists, wholes and marks tell of Stripe invoices, in whatever order and number,
our invoices come to what a model counts from the set of what was told.

There are 100 worlds, always the same; or new ones each time: 2,000 with --long, or as many as FLUXRATE_HISTORIES says.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.stripe.events import read
from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.invoice import InvoiceState
from models.payment import PaymentState
from models.payment_fact import PaymentFact
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE, Desk, active_link, open_invoice
from tests.world.long import asks_for_more, few_or_many

IS_NEW: Final = asks_for_more("FLUXRATE_HISTORIES")
OTHER: Final = new_id(Prefix.INVOICE)
BILLS: Final = (INVOICE, OTHER)

pytestmark = pytest.mark.timeout(0 if IS_NEW else 300)


@dataclass
class Intent:
    """A payment: what its events told. Amounts are cents; yen are another currency's."""

    name: str
    bill: str
    cents: int | None = None
    yen: int | None = None
    pending: bool = False
    paid_at: list[int] = field(default_factory=list)
    charged_at: list[int] = field(default_factory=list)
    order: str | None = None

    @property
    def at(self) -> int:
        """When the money came."""
        return min(self.paid_at or self.charged_at)


@dataclass
class World:
    """What Stripe has told, and what it comes to."""

    totals: dict[str, int]
    intents: list[Intent] = field(default_factory=list)
    wholes: dict[str, tuple[int, int]] = field(default_factory=dict)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    events: list[PaymentFact] = field(default_factory=list)

    def rest(self, order: str) -> int:
        """What the known payments leave of a Stripe invoice."""
        known = sum(each.cents or 0 for each in self.intents if each.order == order)
        return max(0, self.wholes[order][0] - known)

    def came(self, bill: str) -> list[tuple[int, str, int]]:
        """When, by which payment and how much came for one of our invoices."""
        own = [
            (each.at, each.name, each.cents) for each in self.intents if each.bill == bill and each.cents is not None
        ]
        rests = [
            (at, order, left)
            for order, (_, at) in self.wholes.items()
            if self.orders[order] == bill and (left := self.rest(order))
        ]
        return sorted([*own, *rests])

    def outcome(self, bill: str) -> tuple[str, int, int, int | None, dict[str, int]]:
        """Status, paid, out of band, when it was covered, and what each payment overpaid, in Stripe's order."""
        paid, outside, covered, over = 0, 0, None, {}
        marks = [(at, "", amount) for order, (amount, at) in self.marks.items() if self.orders[order] == bill]
        for at, name, amount in sorted([*self.came(bill), *marks], key=lambda each: (each[0], not each[1], each[1])):
            room = max(0, self.totals[bill] - paid - outside)
            if name:
                paid += amount
                over[name] = max(0, amount - room)
            else:
                outside += min(amount, room)
            if covered is None and paid + outside >= self.totals[bill]:
                covered = at
        return ("OPEN" if covered is None else "PAID"), paid, outside, covered, over


class Teller:
    """Tells the world's events, each at a second of its own."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.world = World({bill: chance.choice([2000, 3000, 5000]) for bill in BILLS})
        self._seconds = list(range(1, 200))
        chance.shuffle(self._seconds)

    def tell(self) -> World:
        """One or two Stripe invoices, and perhaps a payment by a link."""
        for number in range(self.chance.randint(1, 2)):
            self._stripe_invoice(f"in_{number}", self.chance.choice(BILLS))
        if self.chance.random() < 0.3:
            bill = self.chance.choice(BILLS)
            intent = Intent("pi_link", bill)
            self.world.intents.append(intent)
            self._paid(intent, 1000, stripe.checkout_session_completed, session="cs_link")
        return self.world

    def _stripe_invoice(self, order: str, bill: str) -> None:
        chance, world = self.chance, self.world
        world.orders[order] = bill
        intents = [Intent(f"pi_{order[3:]}{number}", bill) for number in range(chance.randint(0, 3))]
        world.intents += intents
        amounts = {intent.name: chance.choice([500, 1000, 2000]) for intent in intents}
        for intent in intents:
            self._intent(intent, order, amounts[intent.name])
        if chance.random() < 0.5:
            self._listed(order, {intent.name: amounts[intent.name] for intent in intents if chance.random() < 0.7})
        for _ in range(chance.choice([0, 1, 1, 2])):
            self._whole(order, chance.choice([500, 2000, sum(amounts.values()) or 1000]))
        if chance.random() < 0.25:
            self._marked(order, chance.choice([300, 1000, 5000]))
        if chance.random() < 0.25:
            self._add(stripe.stripe_invoice_failed(invoice=order, created=self._second(), **self._ours(bill)))

    def _intent(self, intent: Intent, order: str, amount: int) -> None:
        chance = self.chance
        fate = chance.choice(["paid", "paid", "paid", "declined", "under way", "yen", "refunded", "nothing"])
        about: dict[str, Any] = {"payment_intent": intent.name, "amount": amount, **self._ours(intent.bill)}
        if fate in {"declined", "paid"} and chance.random() < 0.6:
            self._add(self._of(stripe.payment_intent_failed(created=self._second(), **about), order, intent))
        if fate == "under way":
            intent.pending = True
            self._add(self._of(stripe.payment_intent_processing(created=self._second(), **about), order, intent))
        if fate == "yen":
            intent.yen = amount * 150
            about |= {"amount": intent.yen, "currency": "jpy"}
            intent.paid_at.append(self._second())
            self._add(self._of(stripe.payment_intent_succeeded(created=intent.paid_at[0], **about), order, intent))
        if fate == "paid":
            self._paid(intent, amount, stripe.payment_intent_succeeded, order=order)
            intent.order = order
        if fate == "refunded":
            at = self._second()
            event = stripe.charge_refunded(refunded=100, paid_at=at, created=self._second(), shape=stripe.OLD, **about)
            event["data"]["object"]["invoice"] = order
            intent.cents, intent.order = amount, order
            intent.charged_at.append(at)
            self._add(event)

    def _paid(self, intent: Intent, amount: int, factory: Any, **told: Any) -> None:
        at = self._second()
        intent.cents = amount
        intent.paid_at.append(at)
        about = {"payment_intent": intent.name, "amount": amount, **self._ours(intent.bill)}
        self._add(factory(created=at, **about, **told))

    def _listed(self, order: str, listed: dict[str, int]) -> None:
        outside = self.chance.choice([0, 0, 400])
        if not listed and not outside:
            return
        left_out = self.chance.choice([0, 0, 700])
        at, bill = self._second(), self.world.orders[order]
        total = sum(listed.values()) + outside + left_out
        parts = listed | ({"": outside} if outside else {})
        self._add(
            stripe.stripe_invoice_paid(invoice=order, amount=total, payments=parts, created=at, **self._ours(bill))
        )
        for intent in self.world.intents:
            if intent.name in listed:
                intent.cents, intent.order = listed[intent.name], order
                intent.paid_at.append(at)
        if outside:
            self._note_mark(order, outside, at)
        if left_out:
            self._note_whole(order, total - outside, at)

    def _whole(self, order: str, amount: int) -> None:
        at, bill = self._second(), self.world.orders[order]
        self._add(stripe.stripe_invoice_paid(invoice=order, amount=amount, created=at, **self._ours(bill)))
        self._note_whole(order, amount, at)

    def _marked(self, order: str, amount: int) -> None:
        at, bill = self._second(), self.world.orders[order]
        about: dict[str, Any] = {"amount": amount, "payment_intent": None, "shape": stripe.OLD, "created": at}
        event = stripe.stripe_invoice_paid(invoice=order, **about, **self._ours(bill))
        event["data"]["object"]["paid_out_of_band"] = True
        self._add(event)
        self._note_mark(order, amount, at)

    def _note_mark(self, order: str, amount: int, at: int) -> None:
        before = self.world.marks.get(order, (amount, at))
        self.world.marks[order] = max(before[0], amount), min(before[1], at)

    def _note_whole(self, order: str, amount: int, at: int) -> None:
        before = self.world.wholes.get(order, (amount, at))
        self.world.wholes[order] = max(before, (amount, at), key=lambda told: (told[0], -told[1]))

    def _of(self, event: stripe.Event, order: str, intent: Intent) -> stripe.Event:
        event["data"]["object"]["payment_details"] = {"order_reference": order}
        intent.order = order
        return event

    def _ours(self, bill: str) -> dict[str, Any]:
        return {"invoice_id": bill, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}

    def _second(self) -> int:
        return self._seconds.pop()

    def _add(self, event: stripe.Event) -> None:
        self.world.events.append(read(stripe.body(event)))


HOW: Final = settings(
    max_examples=few_or_many(100, 2000, "FLUXRATE_HISTORIES"),
    derandomize=not IS_NEW,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@HOW
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_whatever_pays_stripe_invoices_comes_to_the_same_in_every_order(seed: int, chance: Random) -> None:
    world = Teller(Random(seed)).tell()
    for _ in range(3):
        desk = Desk(open_invoice(total=world.totals[INVOICE]), [active_link(amount=world.totals[INVOICE])])
        desk.add_invoice(open_invoice(id=OTHER, total=world.totals[OTHER]))
        events = [*world.events, *world.events[::2]]
        chance.shuffle(events)

        for event in events:
            desk.take(event)

        for bill in BILLS:
            assert seen(desk.invoice_named(bill), desk.payments) == world.outcome(bill)
        assert unapplied(desk) == {each.name: each.yen for each in world.intents if each.yen and each.cents is None}
        assert [link.amount for link in desk.live_links] == to_pay(world, desk.invoice)


def seen(invoice: InvoiceState, payments: Any) -> tuple[str, int, int, int | None, dict[str, int]]:
    """What became of an invoice."""
    own: list[PaymentState] = [payment for payment in payments if payment.counts and payment.invoice_id == invoice.id]
    at = None if invoice.paid_at is None else int(invoice.paid_at.timestamp())
    assert at is None or from_epoch(at) == invoice.paid_at
    over = {payment.provider_payment_id: payment.overpaid for payment in own}
    assert sum(payment.amount for payment in own) == invoice.amount_paid
    return invoice.status.value, invoice.amount_paid, invoice.amount_paid_out_of_band, at, over


def unapplied(desk: Desk) -> dict[str, int]:
    """Money in another currency."""
    return {
        payment.provider_payment_id: payment.amount
        for payment in desk.payments
        if payment.status.value == "SUCCEEDED" and not payment.counts
    }


def to_pay(world: World, invoice: InvoiceState) -> list[int]:
    """What the link asks for, unless what is under way covers it."""
    under_way = sum(
        payment_amount(world, intent)
        for intent in world.intents
        if intent.bill == INVOICE and intent.pending and intent.cents is None and intent.yen is None
    )
    left = invoice.amount_remaining
    return [left] if left > under_way else []


def payment_amount(world: World, intent: Intent) -> int:
    """What is told of a payment that is under way."""
    return next(event.amount for event in world.events if intent.name in event.provider_ids)
