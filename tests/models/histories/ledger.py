"""The little model: what the books must say, counted from sets of facts. It knows no order of arrival and shares no
code with the product.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.models.histories.facts import (
    FAILED,
    MONEY,
    PAID,
    PENDING,
    PROOFS,
    REFUND,
    REFUND_FAILED,
    REFUNDED,
    Fact,
)

BY_HAND: Final = 0
"""When it was paid by hand or by nothing: no instant of Stripe's clock."""

WAYS: Final = {
    "DRAFT": {"OPEN"},
    "OPEN": {"PAID", "VOID", "UNCOLLECTIBLE"},
    "UNCOLLECTIBLE": {"PAID", "VOID"},
    "PAID": set[str](),
    "VOID": set[str](),
}
OWING: Final = {"OPEN", "UNCOLLECTIBLE"}


@dataclass
class Bill:
    """An invoice. `link` is the first that was made for it."""

    id: str
    customer: str
    currency: str
    total: int
    status: str = "DRAFT"
    out_of_band: int = 0
    paid_at: int | None = None
    link: str | None = None


@dataclass
class Account:
    """A payment: the facts that were taken, and which invoice it is for."""

    name: str
    facts: list[Fact] = field(default_factory=list)
    invoice: str | None = None
    customer: str | None = None
    misfit: str | None = None

    @property
    def status(self) -> str:
        """Money is final; before it the latest word by Stripe's clock."""
        if any(fact.kind in MONEY for fact in self.facts):
            return "SUCCEEDED"
        return "FAILED" if self.latest.kind == FAILED else "PENDING"

    @property
    def deciding(self) -> list[Fact]:
        """The facts that prove it."""
        if self.status == "SUCCEEDED":
            return [fact for fact in self.facts if fact.kind in MONEY]
        return [self.latest]

    @property
    def amount(self) -> int:
        """The largest that came; until then the latest that was told."""
        return max(fact.amount for fact in self.deciding)

    @property
    def at(self) -> int:
        """When the money came first, by a charge only where nothing else tells; until then when the latest happened."""
        paid = [fact for fact in self.deciding if fact.kind == PAID]
        return min(fact.at for fact in paid or self.deciding)

    @property
    def latest(self) -> Fact:
        """The latest word on a payment that did not come, or not yet."""
        return max((fact for fact in self.facts if fact.kind in {PENDING, FAILED}), key=lambda fact: fact.order)

    @property
    def counts(self) -> bool:
        """Whether it is money of its invoice."""
        return self.status == "SUCCEEDED" and self.misfit is None

    @property
    def refunded(self) -> int:
        """Stripe's latest total, with the refunds made since and without those of it that failed since; at least what
        is known one by one, at most what came.
        """
        total = max((fact for fact in self.facts if fact.kind == REFUNDED), key=lambda fact: fact.order, default=None)
        until = total.created if total else -1
        latest: dict[str | None, Fact] = {}
        for fact in sorted(self.facts, key=lambda fact: fact.order):
            if fact.kind in {REFUND, REFUND_FAILED}:
                latest[fact.refund] = fact
        stand = [fact for fact in latest.values() if fact.kind == REFUND]
        gone = [fact for fact in latest.values() if fact.kind == REFUND_FAILED and fact.refunded_at <= until]
        counted = total.refunded if total else 0
        counted += sum(fact.amount for fact in stand if fact.refunded_at > until)
        counted -= sum(fact.amount for fact in gone if total is None or fact.order > total.order)
        return min(self.amount, max(0, counted, sum(fact.amount for fact in stand)))

    @property
    def dispute(self) -> tuple[str, str, int, int | None] | None:
        """The latest word on each; one that is open before those that are decided."""
        latest: dict[str, Fact] = {}
        for fact in sorted(self.facts, key=lambda fact: fact.order):
            if fact.dispute is not None:
                latest[fact.dispute[0]] = fact
        told = sorted(latest.values(), key=lambda fact: (fact.dispute is not None and not fact.dispute[3], fact.order))
        return told[-1].dispute if told else None


class Ledger:
    """The whole model: bills, payments, and what waits or was nobody's."""

    def __init__(self, bills: Iterable[Bill], customers: Iterable[str]) -> None:
        self.bills = {bill.id: bill for bill in bills}
        self.accounts: dict[str, Account] = {}
        self.active = True
        self.money: dict[str, int] = {}
        self._customers = set(customers)
        self._held: list[Fact] = []
        self._waiting: list[Fact] = []
        self._ignored: list[Fact] = []

    # --- What Stripe tells -------------------------------------------------------------------------------------

    def take(self, facts: Iterable[Fact]) -> None:
        """What was told between two actions of the user, all at once."""
        if not self.active:
            self._held += facts
            return
        told: dict[str, list[Fact]] = defaultdict(list)
        for fact in [*self._waiting, *facts]:
            told[fact.payment].append(fact)
        self._waiting = []
        for name in sorted(told):
            self._learn(name, told[name])
        self._count()

    def _learn(self, name: str, told: list[Fact]) -> None:
        proofs = [fact for fact in told if fact.kind in PROOFS and not self.is_foreign(fact)]
        named = [fact for fact in proofs if self._names(fact)]
        if name not in self.accounts and not self._opens(name, named):
            self._ignored += [fact for fact in proofs if fact in named or fact.kind != REFUNDED]
            self._waiting += [fact for fact in told if fact.kind not in PROOFS or self._is_bare_refund(fact)]
            return
        account = self.accounts.setdefault(name, Account(name))
        money = [fact for fact in proofs if fact.kind in MONEY]
        if money:
            self.money[name] = max(self.money.get(name, 0), *(fact.amount for fact in money))
        look = [fact for fact in money if fact in named] or ([] if account.misfit == "METADATA_MISMATCH" else money)
        look = look if account.facts else named
        if look and not (account.facts and account.counts):
            self._allot(account, look[0])
        account.facts += [fact for fact in told if not self.is_foreign(fact) or fact.kind not in PROOFS]

    def _is_bare_refund(self, fact: Fact) -> bool:
        return fact.kind == REFUNDED and not self._names(fact)

    def is_foreign(self, fact: Fact) -> bool:
        """Whether a fact is another's by its metadata, and not ours by its link."""
        return fact.foreign and fact.kind != REFUNDED and self._owner(fact) is None

    def _owner(self, fact: Fact) -> str | None:
        """The invoice whose link a fact names."""
        return next((bill.id for bill in self.bills.values() if bill.link and bill.link == fact.link), None)

    def _opens(self, name: str, named: list[Fact]) -> bool:
        """Whether a payment begins to be known: any that fits, and all money."""
        if not named:
            return False
        return any(fact.kind in MONEY for fact in named) or self._misfit(named[0], self._names(named[0])) is None

    def _names(self, fact: Fact) -> str | None:
        """The invoice that a fact names by itself: its metadata's, else that of the link."""
        if fact.kind == REFUNDED and fact.foreign:
            return None
        if fact.invoice is not None:
            return fact.invoice
        return self._owner(fact)

    def _allot(self, account: Account, fact: Fact) -> None:
        applied = account.invoice if account.facts and account.misfit is None else None
        target = applied or self._names(fact) or account.invoice
        bill = self.bills.get(target or "")
        account.misfit = self._misfit(fact, target)
        if bill is not None:
            account.invoice, account.customer = bill.id, bill.customer
        elif self._names(fact):
            account.invoice, account.customer = None, fact.customer if fact.customer in self._customers else None

    def _misfit(self, fact: Fact, target: str | None) -> str | None:
        bill = self.bills.get(target or "")
        if fact.live:
            return "LIVEMODE_MISMATCH"
        if fact.foreign:
            return "METADATA_MISMATCH"
        if bill is None:
            return "INVOICE_NOT_FOUND"
        if self._owner(fact) not in {None, bill.id}:
            return "METADATA_MISMATCH"
        if bill.currency != fact.currency:
            return "CURRENCY_MISMATCH"
        return {"DRAFT": "INVOICE_DRAFT", "VOID": "INVOICE_VOID"}.get(bill.status)

    def _count(self) -> None:
        for bill in self.bills.values():
            if bill.status in OWING and self.paid(bill) + bill.out_of_band >= bill.total:
                bill.status = "PAID"
            if bill.status == "PAID" and not bill.out_of_band and bill.total:
                bill.paid_at = self._covering(bill)

    # --- What the user does ------------------------------------------------------------------------------------

    def finalize(self, bill: Bill, link: str | None) -> None:
        """OPEN, and with a link if there is an integration; nothing to pay is PAID."""
        bill.status, bill.link = "OPEN", link if bill.total else None
        if bill.total == 0:
            bill.status, bill.paid_at = "PAID", BY_HAND

    def end(self, bill: Bill, status: str) -> None:
        """Void it, write it off, or have it paid by hand."""
        if status == "PAID":
            bill.out_of_band, bill.paid_at = bill.total - self.paid(bill), BY_HAND
        bill.status = status

    def switch(self) -> None:
        """Disable the integration, or enable it again: what was held is taken then."""
        self.active = not self.active
        if self.active:
            held, self._held = self._held, []
            self.take(held)

    def replay(self) -> None:
        """Look again at what was not applied and at what was nobody's."""
        ignored, self._ignored = self._ignored, []
        unapplied = [account for account in self.accounts.values() if account.misfit is not None]
        for account in unapplied:
            named = [fact for fact in account.facts if fact.kind in MONEY and self._names(fact)]
            if named:
                self._allot(account, named[0])
        self.take(ignored)

    def why_not_applied(self, account: Account, bill: Bill) -> str | None:
        """Why an account can't be applied to a bill by hand."""
        if account.status != "SUCCEEDED":
            return "PAYMENT_NOT_SUCCEEDED"
        if account.misfit is None:
            return "ALREADY_APPLIED"
        if account.misfit == "LIVEMODE_MISMATCH":
            return "LIVEMODE_MISMATCH"
        if account.refunded >= account.amount > 0:
            return "PAYMENT_REFUNDED"
        return None if account.deciding[0].currency == bill.currency else "CURRENCY_MISMATCH"

    def apply(self, account: Account, bill: Bill) -> None:
        """Apply unapplied money to a bill by hand."""
        account.invoice, account.customer, account.misfit = bill.id, bill.customer, None
        self._count()

    # --- What it comes to --------------------------------------------------------------------------------------

    def paid(self, bill: Bill) -> int:
        """What was paid of a bill at Stripe."""
        return sum(account.amount for account in self._members(bill))

    def refunded(self, bill: Bill) -> int:
        """What went back of it."""
        return sum(account.refunded for account in self._members(bill))

    def overpaid(self, bill: Bill) -> dict[str, int]:
        """Filled up in the order of Stripe's clock, what runs over is excess."""
        room = bill.total - bill.out_of_band
        excess = {}
        for account in self._members(bill):
            taken = min(account.amount, room)
            excess[account.name] = account.amount - taken
            room -= taken
        return excess

    def link_amount(self, bill: Bill) -> int | None:
        """What a live link asks for, None when there is none."""
        remaining = bill.total - self.paid(bill)
        under_way = sum(
            account.amount
            for account in self.accounts.values()
            if account.invoice == bill.id and account.status == "PENDING"
        )
        return remaining if bill.link and bill.status == "OPEN" and under_way < remaining else None

    def used_links(self) -> set[str]:
        """Links that a session named which belongs to their bill."""
        return {
            fact.link
            for account in self.accounts.values()
            for fact in account.facts
            if fact.link is not None and account.misfit is None and self._names(fact) == account.invoice
            if fact.link == self.bills[account.invoice or ""].link
        }

    def _members(self, bill: Bill) -> list[Account]:
        members = [account for account in self.accounts.values() if account.invoice == bill.id and account.counts]
        return sorted(members, key=lambda account: (account.at, account.name))

    def _covering(self, bill: Bill) -> int:
        paid = 0
        for account in self._members(bill):
            paid += account.amount
            if paid >= bill.total:
                return account.at
        raise AssertionError("nothing covers it")
