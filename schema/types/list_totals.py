"""What a list comes to, currency by currency."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import strawberry

from resolvers.reading.tallies import Sums, Tally
from schema.enums import CountPrecision
from schema.types.money import Money

_PRECISION = strawberry.field(
    description="Whether these sums are exact or lower bounds: with some filters 10,000 rows are added up at most."
)


class _Totals:
    """What rows of one currency come to: their number, and some sums."""

    @classmethod
    @abstractmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        """The sum that each field shows."""

    @classmethod
    def all_of(cls, found: Tally) -> list[Self]:
        """A tally, currency by currency."""
        make: Any = cls
        precision = CountPrecision.EXACT if found.is_exact else CountPrecision.AT_LEAST
        return [
            make(
                currency=currency,
                count=sums["number"],
                precision=precision,
                **{name: Money.of(amount, currency) for name, amount in cls.amounts(sums).items()},
            )
            for currency, sums in found.by_currency.items()
        ]


@strawberry.type(description="The sums of a list of invoices in one currency.")
class InvoiceTotals(_Totals):
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
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        return {
            "total": sums["total"],
            "amount_paid": sums["paid"],
            "amount_remaining": sums["unpaid"],
            "open": sums["open"],
        }


@strawberry.type(description="The sums of a list of payments in one currency.")
class PaymentTotals(_Totals):
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many they are, attempts that failed among them.")
    received: Money = strawberry.field(description="What came in by those that SUCCEEDED, gross of refunds.")
    refunded: Money = strawberry.field(description="The refunded part of `received`.")
    net: Money = strawberry.field(description="`received` without `refunded`.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        received, refunded = sums["received"], sums["refunded"]
        return {"received": received, "refunded": refunded, "net": received - refunded}


@strawberry.type(description="The sums of a customer's invoices in one currency.")
class CustomerTotals(_Totals):
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many invoices, drafts and VOID ones among them.")
    invoiced: Money = strawberry.field(description="The sum of the totals of what is OPEN, PAID or UNCOLLECTIBLE.")
    paid: Money = strawberry.field(description="What came in for them, gross of refunds.")
    open: Money = strawberry.field(description="What remains of OPEN ones.")
    overdue: Money = strawberry.field(description="The part of `open` whose due date is past, in UTC.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        return {name: sums[name] for name in ("invoiced", "paid", "open", "overdue")}
