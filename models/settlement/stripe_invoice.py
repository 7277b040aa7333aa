"""A Stripe invoice and its payments: the known ones, and the rest, which stands for those that aren't known yet.

Some of Stripe's events list a Stripe invoice's payments, others report only the total paid. In whatever order they
come, each known payment counts with its own amount, and the rest with what they leave of the total.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from models.kinds import PaymentStatus
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact


class StripeInvoice(NamedTuple):
    """A Stripe invoice's known payments (`parts`), each with a name of its own, and the `rest`."""

    parts: tuple[PaymentState, ...] = ()
    rest: PaymentState | None = None

    @classmethod
    def among(cls, payments: Iterable[PaymentState], order_id: str | None) -> "StripeInvoice":
        """Find the payments of the Stripe invoice with this id; without an id there are none.

        If events name two Stripe invoices for one payment, the second one's id is among the payment's names.
        """
        if order_id is None:
            return cls()
        members = [each for each in payments if each.order_id == order_id or order_id in each.provider_ids]
        parts = sorted((each for each in members if not each.is_whole), key=lambda each: each.provider_payment_id)
        return cls(tuple(parts), next((each for each in members if each.is_whole), None))

    def news(self, event: PaymentFact, wanted_currency: str | None) -> "News | None":
        """Find what an event about the total adds, and to which payments; None if it adds nothing.

        The largest total includes the smaller ones. If totals have two currencies, the wanted one decides, or else the
        first code in the alphabet. A failed total adds nothing if parts are known, whose own events say more.
        """
        rest = [] if self.rest is None else [self.rest]
        if event.evidence is not Evidence.PAID:
            return None if self.parts else News(event, rest)
        paid = _paid(self.parts, event.currency)
        left = event.amount - _sum(paid)
        if self.rest is not None and self.rest.status is PaymentStatus.SUCCEEDED:
            if self.rest.currency == event.currency and left < self.rest.amount:
                return None
            if (
                min(event.currency, self.rest.currency, key=lambda code: (code != wanted_currency, code))
                != event.currency
            ):
                return None
        if left > 0 or not paid:
            return News(event._replace(amount=max(0, left)), rest)
        return News(event, paid[:1])

    @property
    def foremost(self) -> PaymentState:
        """The payment that stands for the Stripe invoice."""
        return self.rest or self.parts[0]

    def left(self, before: Collection[PaymentState], now: PaymentState) -> int:
        """Compute the amount of the rest after the parts `before` have become the payment `now`."""
        assert self.rest is not None  # noqa: S101  (asked for the rest alone)
        others = [part for part in self.parts if part not in before]
        whole = self.rest.amount + _sum(_paid(self.parts, self.rest.currency))
        return whole - _sum(_paid([*others, now], self.rest.currency))

    def replaces_rest(self, before: Collection[PaymentState], now: PaymentState) -> bool:
        """Whether the payment `now` turned out to be the rest."""
        if self.rest is None or self.rest in before:
            return False
        if self.rest.status is not PaymentStatus.SUCCEEDED:
            return True
        return now.status is PaymentStatus.SUCCEEDED and self.left(before, now) <= 0


class News(NamedTuple):
    """An event about the total, reduced to what it adds, and the payments `known` that it adds to."""

    event: PaymentFact
    known: Sequence[PaymentState]


def _paid(payments: Iterable[PaymentState], currency: str) -> list[PaymentState]:
    return [each for each in payments if each.status is PaymentStatus.SUCCEEDED and each.currency == currency]


def _sum(payments: Iterable[PaymentState]) -> int:
    return sum(payment.amount for payment in payments)
