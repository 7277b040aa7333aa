"""Open and received amounts, as totals and over time."""

from datetime import datetime

import strawberry

from resolvers import revenue, totals
from schema.types.money import Money


@strawberry.type(description="The OPEN invoices that are overdue by a certain number of days. Days are counted in UTC.")
class OverdueBucket:
    from_days: int = strawberry.field(description="The lowest number of days by which these invoices are overdue.")
    to_days: int | None = strawberry.field(
        description="The highest number of days by which these invoices are overdue. Null if there is no upper bound."
    )
    count: int = strawberry.field(description="How many invoices are in this bucket.")
    amount: Money = strawberry.field(description="What remains to pay on these invoices.")

    @classmethod
    def of(cls, found: totals.Bucket, currency: str) -> "OverdueBucket":
        return cls(
            from_days=found.from_days,
            to_days=found.to_days,
            count=found.count,
            amount=Money.of(found.amount, currency),
        )


@strawberry.type(description="Open and received amounts in one currency.")
class CurrencyTotals:
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    open: Money = strawberry.field(description="What remains to pay on OPEN invoices at present.")
    overdue: Money = strawberry.field(
        description="The part of `open` that belongs to invoices whose due date is past. Days are counted in UTC."
    )
    overdue_by_age: list[OverdueBucket] = strawberry.field(
        description=(
            "The amount `overdue`, split into four buckets by the number of days since the due"
            " date: 1–30, 31–60, 61–90, and 91 or more."
        )
    )
    paid: Money = strawberry.field(
        description=(
            "Money received for invoices, gross of refunds. If the query `totals` has `since` or `until`, a"
            " payment is included if its `occurredAt` lies in that range. An amount that was marked as paid by"
            " hand is included if the invoice's `paidAt` lies in that range."
        )
    )
    refunded: Money = strawberry.field(description="The refunds of the payments in `paid`.")
    overpaid: Money = strawberry.field(
        description="The amount by which the payments in `paid` exceeded what remained to pay on their invoices."
    )
    unapplied: Money = strawberry.field(
        description="Received money that fits no invoice, net of refunds. No other field includes this money."
    )

    @classmethod
    def of(cls, found: totals.CurrencyTotals) -> "CurrencyTotals":
        currency, received = found.currency, found.received
        return cls(
            currency=currency,
            open=Money.of(found.open, currency),
            overdue=Money.of(found.overdue, currency),
            overdue_by_age=[OverdueBucket.of(bucket, currency) for bucket in found.overdue_by_age],
            paid=Money.of(received.paid, currency),
            refunded=Money.of(received.refunded, currency),
            overpaid=Money.of(received.overpaid, currency),
            unapplied=Money.of(received.unapplied, currency),
        )


@strawberry.type(description="Money received in one interval of a series.")
class RevenuePoint:
    start: datetime = strawberry.field(
        description="When the point's interval begins. The first point begins at `since`."
    )
    end: datetime = strawberry.field(
        description=(
            "When the point's interval ends and the next point's interval begins. The last point ends at `until`."
        )
    )
    received: Money = strawberry.field(
        description=(
            "Money received for invoices, gross of refunds, like `CurrencyTotals.paid`. An applied"
            " payment belongs to the point in whose interval its `occurredAt` lies. An amount that was"
            " marked as paid by hand belongs to the point in whose interval the invoice's `paidAt`"
            " lies."
        )
    )
    refunded: Money = strawberry.field(
        description=(
            "The refunds of the payments in `received`. A refund belongs to the point of the refunded"
            " payment, so a new refund can change an old point."
        )
    )
    net: Money = strawberry.field(description="`received` minus `refunded`.")

    @classmethod
    def of(cls, found: revenue.Point, currency: str) -> "RevenuePoint":
        return cls(
            start=found.span.start,
            end=found.span.end,
            received=Money.of(found.received, currency),
            refunded=Money.of(found.refunded, currency),
            net=Money.of(found.received - found.refunded, currency),
        )


@strawberry.type(description="Money received over time, in one currency.")
class RevenueSeries:
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    points: list[RevenuePoint] = strawberry.field(
        description=(
            "The points in order, without gaps. If no money came in during a point's interval, the"
            " point's amounts are 0."
        )
    )

    @classmethod
    def of(cls, found: revenue.RevenueSeries) -> "RevenueSeries":
        points = [RevenuePoint.of(point, found.currency) for point in found.points]
        return cls(currency=found.currency, points=points)
