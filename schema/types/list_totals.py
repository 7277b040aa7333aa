"""What a list comes to, currency by currency."""

from typing import Self

import strawberry

from resolvers.reading.tallies import Tally
from schema.enums import CountPrecision
from schema.types.money import Money

_PRECISION = strawberry.field(
    description="Whether these are the sums of all, or there is at least so much: what no sum is kept of is added up"
    " to 10,000 rows."
)


def _precision(found: Tally) -> CountPrecision:
    return CountPrecision.EXACT if found.is_exact else CountPrecision.AT_LEAST


@strawberry.type(description="What the invoices of a list come to, of one currency.")
class InvoiceTotals:
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many they are.")
    total: Money = strawberry.field(description="The sum of their totals.")
    amount_paid: Money = strawberry.field(description="What came in for them: the sum of `amountPaid`.")
    amount_remaining: Money = strawberry.field(
        description="The sum of `amountRemaining`: of drafts and of what is VOID or UNCOLLECTIBLE, too."
    )
    open: Money = strawberry.field(description="What remains of those that are OPEN.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def all_of(cls, found: Tally) -> list[Self]:
        return [
            cls(
                currency=currency,
                count=sums["number"],
                total=Money.of(sums["total"], currency),
                amount_paid=Money.of(sums["paid"], currency),
                amount_remaining=Money.of(sums["unpaid"], currency),
                open=Money.of(sums["open"], currency),
                precision=_precision(found),
            )
            for currency, sums in found.by_currency.items()
        ]


@strawberry.type(description="What the payments of a list come to, of one currency.")
class PaymentTotals:
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many they are, attempts that failed among them.")
    received: Money = strawberry.field(description="What came in by those that SUCCEEDED, gross of refunds.")
    refunded: Money = strawberry.field(description="What of `received` was given back.")
    net: Money = strawberry.field(description="`received` without `refunded`.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def all_of(cls, found: Tally) -> list[Self]:
        return [
            cls(
                currency=currency,
                count=sums["number"],
                received=Money.of(sums["received"], currency),
                refunded=Money.of(sums["refunded"], currency),
                net=Money.of(sums["received"] - sums["refunded"], currency),
                precision=_precision(found),
            )
            for currency, sums in found.by_currency.items()
        ]


@strawberry.type(description="What the invoices of a customer come to, of one currency.")
class CustomerTotals:
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many invoices, drafts and VOID ones among them.")
    invoiced: Money = strawberry.field(description="The sum of the totals of what is OPEN, PAID or UNCOLLECTIBLE.")
    paid: Money = strawberry.field(description="What came in for them, gross of refunds.")
    open: Money = strawberry.field(description="What remains of OPEN ones.")
    overdue: Money = strawberry.field(description="The part of `open` whose due date is past, in UTC.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def all_of(cls, found: Tally) -> list[Self]:
        return [
            cls(
                currency=currency,
                count=sums["number"],
                invoiced=Money.of(sums["invoiced"], currency),
                paid=Money.of(sums["paid"], currency),
                open=Money.of(sums["open"], currency),
                overdue=Money.of(sums["overdue"], currency),
                precision=_precision(found),
            )
            for currency, sums in found.by_currency.items()
        ]
