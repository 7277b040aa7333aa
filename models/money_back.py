"""Refunds and disputes of a payment, as far as Stripe's events have reported them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson


class Refund(NamedTuple):
    """A refund, as Stripe's latest event about it says. `amount` is minor units, `created` Unix seconds, 0 if unknown.

    `is_gone`: it failed or was canceled, so the money stayed here. `order` sorts the events about it.
    """

    id: str
    amount: int
    created: int
    is_gone: bool
    order: str


class Refunds(NamedTuple):
    """All known refunds of a payment.

    Stripe sends an account totals (`charge.refunded`), single refunds (`refund.*`) or both. `total` is the latest
    total, which includes every refund created until then; `decided_by` orders totals. `each` are the refunds that are
    known by id.
    """

    total: int = 0
    decided_by: str | None = None
    each: tuple[Refund, ...] = ()

    @property
    def amount(self) -> int:
        """Compute the refunded amount in minor units; each refund counts once, whichever events reported it."""
        if not self.each:
            return self.total
        total_until = int(self.decided_by[:12]) if self.decided_by else -1
        standing = [refund for refund in self.each if not refund.is_gone]
        since = sum(refund.amount for refund in standing if refund.created > total_until)
        gone = sum(refund.amount for refund in self.each if refund.is_gone and self._is_in_total(refund, total_until))
        return max(0, self.total + since - gone, sum(refund.amount for refund in standing))

    def _is_in_total(self, refund: Refund, total_until: int) -> bool:
        return refund.created <= total_until and refund.order > (self.decided_by or "")

    @property
    def gone(self) -> frozenset[str]:
        """Return the ids of refunds that did not reach the customer."""
        return frozenset(refund.id for refund in self.each if refund.is_gone)

    def merged(self, other: "Refunds") -> "Refunds":
        """Combine what two payments know of their refunds, in either order."""
        latest = max(self, other, key=lambda refunds: refunds.decided_by or "")
        if not other.each:
            return latest._replace(each=self.each)
        each = {refund.id: refund for refund in sorted({*self.each, *other.each}, key=lambda refund: refund.order)}
        return latest._replace(each=tuple(sorted(each.values())))


class Dispute(NamedTuple):
    """A dispute, as Stripe's latest event about it says. `amount` is minor units of the payment's currency.

    `id` is empty if the dispute was stored before ids were.
    """

    decided_by: str
    status: str
    reason: str
    amount: int
    opened_at: datetime
    closed_at: datetime | None
    id: str = ""


def foremost(disputes: Iterable[Dispute]) -> Dispute | None:
    """Choose the dispute to show for a payment: an open one before decided ones, then the latest."""
    return max(disputes, key=lambda dispute: (dispute.closed_at is None, dispute.decided_by), default=None)


def disputes_of_both(some: Iterable[Dispute], others: Iterable[Dispute]) -> tuple[Dispute, ...]:
    """Combine the disputes that two payments know, each by its latest event, in the order of ids."""
    known = {dispute.id: dispute for dispute in sorted({*some, *others}, key=lambda dispute: dispute.decided_by)}
    nameless = known.get("")
    if nameless and any(dispute.opened_at == nameless.opened_at for id_, dispute in known.items() if id_):
        del known[""]
    return tuple(known[id_] for id_ in sorted(known))


def disputes_json(disputes: Sequence[Dispute]) -> str | None:
    """Write disputes as JSON for a payment's row; None if there are none."""
    if not disputes:
        return None
    return orjson.dumps([list(dispute) for dispute in disputes], option=orjson.OPT_UTC_Z).decode()


def disputes_in(json: str) -> tuple[Dispute, ...]:
    """Read disputes from the JSON of a payment's row."""
    return tuple(
        Dispute(
            decided_by,
            status,
            reason,
            amount,
            datetime.fromisoformat(opened_at),
            None if closed_at is None else datetime.fromisoformat(closed_at),
            id_,
        )
        for decided_by, status, reason, amount, opened_at, closed_at, id_ in orjson.loads(json)
    )
