"""A Stripe invoice and its payments: those that are known, and the rest, which stands for the others.

Stripe's events list a Stripe invoice's payments one by one, or say only what was paid in all. Whichever comes first,
each payment counts with its own amount, and what the known ones leave of the whole counts once besides.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from models.kinds import PaymentStatus
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact


class StripeInvoice(NamedTuple):
    """What is known of a Stripe invoice: its `parts`, which go by names of their own, and the `rest`."""

    parts: tuple[PaymentState, ...] = ()
    rest: PaymentState | None = None

    @classmethod
    def among(cls, payments: Iterable[PaymentState], order_id: str | None) -> "StripeInvoice":
        """Find the payments of the Stripe invoice with this id; without an id there are none."""
        if order_id is None:
            return cls()
        members = [payment for payment in payments if payment.order_id == order_id]
        parts = sorted((each for each in members if not each.is_whole), key=lambda each: each.provider_payment_id)
        return cls(tuple(parts), next((each for each in members if each.is_whole), None))

    def news(self, event: PaymentFact, wanted_currency: str | None) -> "News | None":
        """Find what an event about the whole adds, and to which payments; None when it adds nothing.

        The largest whole holds the others; of two currencies the wanted one decides, else the first in the alphabet.
        Of a failed attempt the known parts' own events are the better source.
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
        """The payment that it is shown by."""
        return self.rest or self.parts[0]

    def left(self, before: Collection[PaymentState], now: PaymentState) -> int:
        """Compute what is left for the rest once `now` is what is known of the parts that were `before`."""
        assert self.rest is not None  # noqa: S101  (asked for the rest alone)
        others = [part for part in self.parts if part not in before]
        whole = self.rest.amount + _sum(_paid(self.parts, self.rest.currency))
        return whole - _sum(_paid([*others, now], self.rest.currency))

    def replaces_rest(self, before: Collection[PaymentState], now: PaymentState) -> bool:
        """Whether the rest turned out to be that payment."""
        if self.rest is None or self.rest in before:
            return False
        if self.rest.status is not PaymentStatus.SUCCEEDED:
            return True
        return now.status is PaymentStatus.SUCCEEDED and self.left(before, now) <= 0


class News(NamedTuple):
    """What an event about the whole adds, as an event of the payments `known`."""

    event: PaymentFact
    known: Sequence[PaymentState]


def _paid(payments: Iterable[PaymentState], currency: str) -> list[PaymentState]:
    return [each for each in payments if each.status is PaymentStatus.SUCCEEDED and each.currency == currency]


def _sum(payments: Iterable[PaymentState]) -> int:
    return sum(payment.amount for payment in payments)
