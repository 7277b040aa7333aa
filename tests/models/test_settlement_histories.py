"""Histories at random: in whatever order and number the events between two actions of the user arrive, the books end
the same, and as a model says that counts sets of events and knows no order.

There are 2,000 unless FLUXRATE_HISTORIES says how many; those are new ones each time.
"""

import os
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from models.errors import InvalidTransition
from models.event import EventType
from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.invoice import InvoiceStatus, check_transition
from models.payment import Allocation, PaymentStatus
from models.payment_link import PaymentLinkStatus
from models.settlement import InvoiceState, LinkState
from models.stripe_event import StripeEvent, read
from models.webhook_event import WebhookEventStatus
from tests.models.histories import facts
from tests.models.histories.facts import CUSTOMERS, INVOICES, MONEY, NO_INVOICE, WORKSPACE, Fact, Payment, Stripe
from tests.models.histories.ledger import BY_HAND, OWING, WAYS, Account, Bill, Ledger
from tests.models.histories.twin import DOORS, NOW, Twin
from tests.support import stripe_payloads as stripe
from tests.support.desk import CUSTOMER, INVOICE, Desk, active_link, open_invoice
from tests.support.desk import WORKSPACE as DESKS

ASKED: Final = os.environ.get("FLUXRATE_HISTORIES")
HISTORIES: Final = int(ASKED or "2000")
PARTS: Final = 4
"""Tests that the histories are shared out to, so that several can run at once."""

HOW: Final = settings(
    max_examples=max(1, HISTORIES // PARTS),
    stateful_step_count=14,
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

ODDITIES: Final = (
    "currency",
    "livemode",
    "unknown invoice",
    "foreign id",
    "foreign workspace",
    "torn",
    "bare",
)
_seeds: Final = st.integers(0, 2**32 - 1)
_bills: Final = st.integers(0, len(INVOICES) - 1)


class Histories(RuleBasedStateMachine):
    """Three invoices, payments for them, and a user; told to a model and to books that hear in orders of their own."""

    @initialize(
        seed=_seeds,
        totals=st.lists(st.sampled_from([2000, 2000, 1000, 1, 0]), min_size=len(INVOICES), max_size=len(INVOICES)),
        currency=st.sampled_from(["USD", "USD", "EUR"]),
    )
    def open_shop(self, seed: int, totals: list[int], currency: str) -> None:
        """Drafts, nothing paid yet. The last invoice may be in another currency."""
        currencies = ["USD", "USD", currency]
        bills = [
            Bill(id_, CUSTOMERS[number % 2], currencies[number], totals[number]) for number, id_ in enumerate(INVOICES)
        ]
        self.ledger = Ledger(bills, CUSTOMERS)
        self.chance = Random(seed)
        self.stripe = Stripe()
        self.twins = [
            Twin([_draft(bill) for bill in bills], chance) for chance in (None, *map(Random, (seed, seed + 1)))
        ]
        self.payments: list[Payment] = []
        self.told: list[Fact] = []
        self.fresh: list[Fact] = []
        self.later: list[Fact] = []

    # --- What Stripe tells -------------------------------------------------------------------------------------

    @rule(
        bill=_bills,
        way=st.sampled_from(["card", "card", "debit", "stripe invoice", "nothing to pay"]),
        share=st.sampled_from([100, 100, 50, 60, 25, 120]),
        oddity=st.sampled_from([*[""] * 6, *ODDITIES]),
        seed=_seeds,
    )
    def customer_pays(self, bill: int, way: str, share: int, oddity: str, seed: int) -> None:
        """All that Stripe has to say of a payment, some of it later."""
        chance = Random(seed)
        payment = self._payment(self.ledger.bills[INVOICES[bill]], way, share, oddity, chance)
        told = (facts.by_session_alone if payment.torn else facts.WAYS[way])(self.stripe, payment, chance)
        self.payments.append(payment)
        for fact in told:
            (self.later if chance.random() < 0.2 else self.fresh).append(fact)

    @precondition(lambda self: self.payments)
    @rule(
        number=st.integers(0, 7),
        news=st.sampled_from([facts.refunded, facts.refunded, facts.refund_failed, facts.disputed]),
        seed=_seeds,
    )
    def money_goes_back(self, number: int, news: Any, seed: int) -> None:
        """A refund, one that failed, or a dispute; often of a payment that nobody has heard of yet."""
        payment = self.payments[number % len(self.payments)]
        chance = Random(seed)
        self.fresh.append(news(self.stripe, payment, chance))
        if payment.name in self.ledger.accounts and chance.random() < 0.3:
            self.fresh.append(facts.paid_without_metadata(self.stripe, payment, chance))

    @precondition(lambda self: self.later)
    @rule()
    def late_news(self) -> None:
        """What was to come later comes."""
        self.fresh += self.later
        self.later = []

    def _payment(self, bill: Bill, way: str, share: int, oddity: str, chance: Random) -> Payment:
        prefix = {"nothing to pay": "cs", "stripe invoice": chance.choice(["pi", "in"])}.get(way, "pi")
        others = [other.link for other in self.ledger.bills.values() if other is not bill and other.link]
        torn = oddity == "torn" and bool(others)
        named = {"unknown invoice": NO_INVOICE, "foreign id": "order_77"}.get(oddity, bill.id)
        customer = chance.choice([bill.customer, "somebody"]) if oddity else bill.customer
        owner = new_id(Prefix.WORKSPACE) if oddity == "foreign workspace" else chance.choice([WORKSPACE, None])
        link = chance.choice(others) if torn else chance.choice([bill.link, bill.link, "plink_by_hand", None])
        return Payment(
            name=self.stripe.name("pi" if torn else prefix),
            amount=0 if way == "nothing to pay" and not torn else bill.total * share // 100,
            currency="jpy" if oddity == "currency" else bill.currency.lower(),
            metadata={"invoice_id": named, "customer_id": customer, "workspace_id": owner},
            link=link,
            live=oddity == "livemode",
            foreign=oddity.startswith("foreign"),
            bare=oddity == "bare" and link is not None and link == bill.link,
            torn=torn,
        )

    # --- What the user does ------------------------------------------------------------------------------------

    @rule(bill=_bills, linked=st.booleans())
    def finalize(self, bill: int, linked: bool) -> None:
        """A draft becomes OPEN, with a link if there is an active integration."""
        self._settle()
        target = self.ledger.bills[INVOICES[bill]]
        if not self._may(target, "OPEN"):
            return
        link = f"plink_{bill}" if linked and self.ledger.active else None
        self.ledger.finalize(target, link)
        for twin in self.twins:
            state = twin.invoice(target.id)._replace(
                status=InvoiceStatus(target.status),
                paid_at=NOW if target.status == "PAID" else None,
                integration_id=DOORS[0].integration_id if link else None,
            )
            twin.change(state, _link(target) if target.link else None)
        self._compare()

    @rule(bill=_bills, status=st.sampled_from(["PAID", "VOID", "UNCOLLECTIBLE"]))
    def end(self, bill: int, status: str) -> None:
        """Paid by hand, void, or written off."""
        self._settle()
        target = self.ledger.bills[INVOICES[bill]]
        if not self._may(target, status):
            return
        self.ledger.end(target, status)
        for twin in self.twins:
            state = twin.invoice(target.id)
            twin.change(
                state._replace(
                    status=InvoiceStatus(status),
                    amount_paid_out_of_band=state.amount_remaining if status == "PAID" else 0,
                    paid_at=NOW if status == "PAID" else None,
                )
            )
        self._compare()

    @rule()
    def switch(self) -> None:
        """The integration is disabled, or enabled again."""
        self._settle()
        self.ledger.switch()
        for twin in self.twins:
            twin.switch()
        self._compare()

    @precondition(lambda self: self.ledger.accounts)
    @rule(number=st.integers(0, 7), bill=_bills)
    def apply_payment(self, number: int, bill: int) -> None:
        """Unapplied money is applied by hand, if it may be; rather that than any other payment."""
        self._settle()
        target = self.ledger.bills[INVOICES[bill]]
        accounts = sorted(self.ledger.accounts.values(), key=lambda account: (account.misfit is None, account.name))
        unapplied = [account for account in accounts if account.misfit]
        account = (unapplied or accounts)[number % len(unapplied or accounts)]
        if target.status in {"DRAFT", "VOID"}:
            return
        expected = self.ledger.why_not_applied(account, target)
        assert {twin.apply(account.name, target.id) for twin in self.twins} == {expected}
        if expected is None:
            self.ledger.apply(account, target)
        self._compare()

    @rule()
    def replay(self) -> None:
        """What was not applied, or was nobody's, is decided anew."""
        self._settle()
        if self.ledger.active:
            self.ledger.replay()
            for twin in self.twins:
                twin.replay()
            self._compare()

    @rule()
    def crash(self) -> None:
        """Batches are lost before their commit, and come again."""
        self._settle(crash=True)

    def teardown(self) -> None:
        """Everything comes in the end."""
        self.fresh += self.later
        self._settle()
        if not self.ledger.active:
            self.switch()

    def _may(self, bill: Bill, status: str) -> bool:
        allowed = status in WAYS[bill.status]
        try:
            check_transition(InvoiceStatus(bill.status), InvoiceStatus(status))
        except InvalidTransition:
            assert not allowed
        else:
            assert allowed
        return allowed

    # --- Comparing ---------------------------------------------------------------------------------------------

    def _settle(self, *, crash: bool = False) -> None:
        """Tell what there is to tell; some of what was told before comes once more."""
        if not self.fresh:
            return
        before = self.chance.sample(self.told, min(len(self.told), self.chance.randint(0, 3)))
        self.ledger.take(self.fresh)
        for twin in self.twins:
            twin.hear([*self.fresh, *before], crash=crash)
        self.told += self.fresh
        self.fresh = []
        self._compare()

    def _compare(self) -> None:
        first, *others = self.twins
        for other in others:
            assert other.state() == first.state()
        for twin in self.twins:
            self._assert_nothing_lost(twin)
        self._assert_as_modelled(first)

    def _assert_as_modelled(self, twin: Twin) -> None:
        excess = {
            name: over for bill in self.ledger.bills.values() for name, over in self.ledger.overpaid(bill).items()
        }
        assert {payment.provider_payment_id: _told(payment) for payment in twin.payments} == {
            name: _expected(account, excess.get(name, 0)) for name, account in self.ledger.accounts.items()
        }
        for bill in self.ledger.bills.values():
            invoice = twin.invoice(bill.id)
            assert (invoice.status, invoice.amount_paid, invoice.amount_paid_out_of_band, invoice.amount_refunded) == (
                bill.status,
                self.ledger.paid(bill),
                bill.out_of_band,
                self.ledger.refunded(bill),
            )
            assert invoice.paid_at == _instant(bill.paid_at)
            amount = self.ledger.link_amount(bill)
            assert twin.live_links(bill.id) == ([] if amount is None else [amount])
        assert {twin.link_status(link) for link in self.ledger.used_links()} <= {PaymentLinkStatus.COMPLETED}

    def _assert_nothing_lost(self, twin: Twin) -> None:
        money = [payment for payment in twin.payments if payment.status is PaymentStatus.SUCCEEDED]
        applied = sum(payment.amount for payment in money if payment.allocation is Allocation.APPLIED)
        unapplied = sum(payment.amount for payment in money if payment.allocation is Allocation.UNAPPLIED)
        assert sum(self.ledger.money.values()) == applied + unapplied
        assert sum(twin.invoice(id_).amount_paid for id_ in INVOICES) == applied
        for fact in self.told:
            statuses = twin.statuses(fact)
            assert statuses
            if fact.kind in MONEY and not fact.foreign and fact.payment in self.ledger.accounts:
                assert WebhookEventStatus.IGNORED not in statuses
        bills = [bill for bill in self.ledger.bills.values() if bill.status == "PAID"]
        assert twin.log[EventType.INVOICE_PAID] == sum(bill.paid_at != BY_HAND for bill in bills)
        entered = twin.log[EventType.PAYMENT_SUCCEEDED] + twin.log[EventType.PAYMENT_APPLIED]
        assert entered == sum(account.counts for account in self.ledger.accounts.values())


def _draft(bill: Bill) -> InvoiceState:
    return open_invoice(
        id=bill.id,
        customer_id=bill.customer,
        integration_id=None,
        status=InvoiceStatus.DRAFT,
        currency=bill.currency,
        total=bill.total,
    )


def _link(bill: Bill) -> LinkState:
    return active_link(integration_id=DOORS[0].integration_id, stripe_id=bill.link, amount=bill.total)


def _instant(at: int | None) -> Any:
    return NOW if at == BY_HAND else None if at is None else from_epoch(at)


def _told(payment: Any) -> tuple[Any, ...]:
    dispute = payment.dispute
    return (
        payment.status,
        payment.amount,
        payment.currency,
        payment.invoice_id,
        payment.customer_id,
        payment.unapplied_code,
        payment.occurred_at,
        payment.failure_code,
        payment.refunds.amount,
        payment.overpaid,
        dispute and (dispute.status, dispute.opened_at, dispute.closed_at),
    )


def _expected(account: Account, excess: int) -> tuple[Any, ...]:
    dispute = account.dispute
    return (
        account.status,
        account.amount,
        account.deciding[0].currency,
        account.invoice,
        account.customer,
        account.misfit,
        _instant(account.at),
        account.failure.failure if account.status == "FAILED" else None,
        account.refunded,
        excess,
        dispute and (dispute[0], _instant(dispute[1]), _instant(dispute[2])),
    )


@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_order_and_number_of_events_between_two_actions_change_nothing(part: int) -> None:
    run_state_machine_as_test(type(f"Histories{part}", (Histories,), {}), settings=HOW)


# --- Payments under several names ------------------------------------------------------------------------------


OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": DESKS}
_seconds: Final = st.integers(1, 30)


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


@settings(HOW, max_examples=max(1, HISTORIES // PARTS))
@given(named_alike(), st.randoms(use_true_random=False))
def test_a_payment_is_counted_once_whatever_its_events_call_it(events: list[StripeEvent], chance: Random) -> None:
    for _ in range(2):
        desk = Desk(open_invoice(total=10_000), [active_link(amount=10_000)])
        chance.shuffle(events)

        for event in [*events, *events[::2]]:
            desk.take(event)

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
