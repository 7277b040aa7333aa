"""Random histories as hypothesis makes them: what a customer, Stripe and the user do, and what must hold after each."""

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from errors import InvalidTransitionError
from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.invoice import InvoiceState, check_transition
from models.kinds import Allocation, EventType, InvoiceStatus, PaymentLinkStatus, PaymentStatus, WebhookEventStatus
from models.payment_link import LinkState
from tests.models.histories import facts
from tests.models.histories.facts import CUSTOMERS, INVOICES, MONEY, NO_INVOICE, WORKSPACE, Fact, Payment, Stripe
from tests.models.histories.ledger import BY_HAND, OWING, WAYS, Account, Bill, Ledger
from tests.models.histories.twin import DOORS, NOW, Twin
from tests.world.desk import active_link, open_invoice

ODDITIES: Final = (
    "currency",
    "livemode",
    "unknown invoice",
    "foreign id",
    "foreign workspace",
    "torn",
    "torn",
    "bare",
)
NEWS: Final = (facts.refunded, facts.refunded, facts.refund_told, facts.refund_failed, facts.disputed)
_seeds: Final = st.integers(0, 2**32 - 1)
_bills: Final = st.integers(0, len(INVOICES) - 1)


class Histories(RuleBasedStateMachine):
    """Three invoices, payments for them, and a user; told to a model and to books that hear in orders of their own."""

    @initialize(
        seed=_seeds,
        totals=st.lists(st.sampled_from([2000, 2000, 1000, 1, 0]), min_size=len(INVOICES), max_size=len(INVOICES)),
        currency=st.sampled_from(["USD", "USD", "EUR"]),
        begun=st.lists(st.sampled_from([True, True, False, None]), min_size=len(INVOICES), max_size=len(INVOICES)),
    )
    def open_shop(self, seed: int, totals: list[int], currency: str, begun: list[bool | None]) -> None:
        """Drafts, most of them finalized, with or without a link, and first payments under way. The last invoice may be
        in another currency.
        """
        currencies = ["USD", "USD", currency]
        bills = [
            Bill(id_, CUSTOMERS[number % 2], currencies[number], totals[number]) for number, id_ in enumerate(INVOICES)
        ]
        self.ledger = Ledger(bills, CUSTOMERS)
        self.chance = Random(seed)
        self.stripe = Stripe()
        self.twins = self.make_twins([_draft(bill) for bill in bills], seed)
        self.sound = True
        self.payments: list[Payment] = []
        self.told: list[Fact] = []
        self.fresh: list[Fact] = []
        self.later: list[Fact] = []
        for bill, linked in zip(bills, begun, strict=True):
            if linked is not None:
                self._finalize(bill, linked=linked)
        for _ in range(3):
            self._pay(self.chance.choice(bills), self.chance)
        for _ in range(self.chance.randint(0, 2) if self._by_intent else 0):
            self.fresh.append(self.chance.choice(NEWS)(self.stripe, self.chance.choice(self._by_intent), self.chance))

    def make_twins(self, drafts: Sequence[InvoiceState], seed: int) -> Sequence[Twin]:
        """Books that hear of everything once and in its order, and others that don't."""
        return [Twin(drafts, chance) for chance in (None, Random(seed), Random(seed + 1))]

    # --- What Stripe tells -------------------------------------------------------------------------------------

    @rule(bill=_bills, seed=_seeds)
    def customer_pays(self, bill: int, seed: int) -> None:
        """All that Stripe has to say of a payment, some of it later."""
        self._pay(self.ledger.bills[INVOICES[bill]], Random(seed))

    @property
    def _by_intent(self) -> list[Payment]:
        """Those that Stripe can tell of when money goes back: it names no Stripe invoice then."""
        return [payment for payment in self.payments if not payment.name.startswith("in_")]

    @precondition(lambda self: self._by_intent)
    @rule(
        number=st.integers(0, 7),
        news=st.sampled_from(NEWS),
        seed=_seeds,
    )
    def money_goes_back(self, number: int, news: Any, seed: int) -> None:
        """A refund, one that failed, or a dispute; often of a payment that nobody has heard of yet."""
        payment = self._by_intent[number % len(self._by_intent)]
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

    def _pay(self, bill: Bill, chance: Random) -> None:
        oddity = chance.choice(ODDITIES) if chance.random() < 0.3 else ""
        payment = self._payment(
            bill,
            chance.choice(["card", "card", "debit", "stripe invoice", "nothing to pay", "session alone"]),
            oddity,
            chance,
        )
        self.payments.append(payment)
        for fact in payment.way(self.stripe, payment, chance):
            (self.later if chance.random() < 0.2 else self.fresh).append(fact)

    def _payment(self, bill: Bill, way: str, oddity: str, chance: Random) -> Payment:
        others = [other.link for other in self.ledger.bills.values() if other is not bill and other.link]
        torn = oddity == "torn" and bool(others)
        way = "session alone" if torn else way
        link = chance.choice(others) if torn else chance.choice([bill.link, bill.link, "plink_by_hand", None])
        named = {"unknown invoice": NO_INVOICE, "foreign id": "order_77"}.get(oddity, bill.id)
        customer = chance.choice([bill.customer, "somebody"]) if oddity else bill.customer
        owner = new_id(Prefix.WORKSPACE) if oddity == "foreign workspace" else chance.choice([WORKSPACE, None])
        prefix = {"nothing to pay": "cs", "stripe invoice": chance.choice(["pi", "in"])}.get(way, "pi")
        return Payment(
            name=self.stripe.name(prefix),
            way=facts.WAYS[way],
            amount=0 if way == "nothing to pay" else bill.total * chance.choice([100, 100, 50, 60, 25, 120]) // 100,
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
        if self._may(target, "OPEN"):
            self._finalize(target, linked=linked)

    def _finalize(self, target: Bill, *, linked: bool) -> None:
        link = f"plink_{target.id}" if linked and self.ledger.active else None
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
        if target.status not in OWING:
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
        """Everything comes in the end; unless a history ended early because something was wrong."""
        if not self.sound:
            return
        self.fresh += self.later
        self._settle()
        if not self.ledger.active:
            self.switch()

    def _may(self, bill: Bill, status: str) -> bool:
        allowed = status in WAYS[bill.status]
        try:
            check_transition(InvoiceStatus(bill.status), InvoiceStatus(status))
        except InvalidTransitionError:
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
        self.sound = False
        first, *others = self.twins
        for other in others:
            assert other.state() == first.state()
        for twin in self.twins:
            self._assert_nothing_lost(twin)
        self._assert_as_modelled(first)
        self.sound = True

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
            if fact.kind in MONEY and not self.ledger.is_foreign(fact) and fact.payment in self.ledger.accounts:
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
    return active_link(integration_id=DOORS[0].integration_id, provider_id=bill.link, amount=bill.total)


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
        payment.amount_refunded,
        payment.overpaid,
        dispute and (dispute.id, dispute.status, dispute.opened_at, dispute.closed_at),
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
        account.latest.failure if account.status == "FAILED" else None,
        account.refunded,
        excess,
        dispute and (dispute[0], dispute[1], _instant(dispute[2]), _instant(dispute[3])),
    )
