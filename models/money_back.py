"""Money that went back: the refunds and disputes of a payment that Stripe's events have named."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson


class Refund(NamedTuple):
    """One refund by Stripe's latest word. `amount` is minor units, `created` Unix seconds, 0 where it isn't known.

    `is_gone`: it failed or was canceled, so the money stayed here. `order` sorts what was said of it.
    """

    id: str
    amount: int
    created: int
    is_gone: bool
    order: str


class Refunds(NamedTuple):
    """All that is known of a payment's refunds.

    An account is sent totals (`charge.refunded`), single refunds (`refund.*`) or both. `total` is the latest total,
    which holds every refund that was created until then; `decided_by` orders totals. `each` are those known by id.
    """

    total: int = 0
    decided_by: str | None = None
    each: tuple[Refund, ...] = ()

    @property
    def amount(self) -> int:
        """Minor units that are refunded now; each refund counts once, whichever events named it."""
        if not self.each:
            return self.total
        told_until = int(self.decided_by[:12]) if self.decided_by else -1
        standing = [refund for refund in self.each if not refund.is_gone]
        since = sum(refund.amount for refund in standing if refund.created > told_until)
        gone = sum(refund.amount for refund in self.each if refund.is_gone and self._is_in_total(refund, told_until))
        return max(0, self.total + since - gone, sum(refund.amount for refund in standing))

    def _is_in_total(self, refund: Refund, told_until: int) -> bool:
        return refund.created <= told_until and refund.order > (self.decided_by or "")

    @property
    def gone(self) -> frozenset[str]:
        """The ids of those that did not reach the customer."""
        return frozenset(refund.id for refund in self.each if refund.is_gone)

    def merged(self, other: "Refunds") -> "Refunds":
        """What both know together, whichever was first."""
        latest = max(self, other, key=lambda refunds: refunds.decided_by or "")
        if not other.each:
            return latest._replace(each=self.each)
        each = {refund.id: refund for refund in sorted({*self.each, *other.each}, key=lambda refund: refund.order)}
        return latest._replace(each=tuple(sorted(each.values())))


class Dispute(NamedTuple):
    """A dispute by Stripe's latest word. `amount` is minor units of the payment's currency; `id` is empty where it was
    stored before ids were.
    """

    decided_by: str
    status: str
    reason: str
    amount: int
    opened_at: datetime
    closed_at: datetime | None
    id: str = ""


def foremost(disputes: Iterable[Dispute]) -> Dispute | None:
    """The dispute that a payment is shown with: one that is open before those that are decided, then the latest."""
    return max(disputes, key=lambda dispute: (dispute.closed_at is None, dispute.decided_by), default=None)


def disputes_of_both(some: Iterable[Dispute], others: Iterable[Dispute]) -> tuple[Dispute, ...]:
    """The disputes of a payment that are known together, each by the latest word, by id."""
    known = {dispute.id: dispute for dispute in sorted({*some, *others}, key=lambda dispute: dispute.decided_by)}
    nameless = known.get("")
    if nameless and any(dispute.opened_at == nameless.opened_at for id_, dispute in known.items() if id_):
        del known[""]
    return tuple(known[id_] for id_ in sorted(known))


def disputes_json(disputes: Sequence[Dispute]) -> str | None:
    """Disputes as a payment's row keeps them: None when there are none."""
    if not disputes:
        return None
    return orjson.dumps([list(dispute) for dispute in disputes], option=orjson.OPT_UTC_Z).decode()


def disputes_in(json: str) -> tuple[Dispute, ...]:
    """The disputes that a payment's row keeps."""
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
