"""Totals of lists, per currency."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import strawberry

from resolvers.reading.tallies import Sums, Tally
from schema.enums import CountPrecision
from schema.types.money import Money

_PRECISION = strawberry.field(
    description=(
        "Whether these sums are exact or lower bounds. If the database keeps no such sums, at most 10,000 rows are"
        " added up."
    )
)


class _Totals:
    """The totals of rows in one currency: their number, and some sums."""

    @classmethod
    @abstractmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        """Compute the amount for each field."""

    @classmethod
    def all_of(cls, found: Tally) -> list[Self]:
        """Make the totals of each currency."""
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
    count: int = strawberry.field(description="How many invoices.")
    total: Money = strawberry.field(description="The sum of their totals.")
    amount_paid: Money = strawberry.field(description="The sum of `amountPaid`.")
    amount_remaining: Money = strawberry.field(
        description="The sum of `amountRemaining`, including that of drafts, VOID and UNCOLLECTIBLE invoices."
    )
    open: Money = strawberry.field(description="The sum of `amountRemaining` of the OPEN invoices.")
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
    count: int = strawberry.field(description="How many payments, including failed attempts.")
    received: Money = strawberry.field(description="The sum of the payments that SUCCEEDED, gross of refunds.")
    refunded: Money = strawberry.field(description="The refunded part of `received`.")
    net: Money = strawberry.field(description="`received` minus `refunded`.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        received, refunded = sums["received"], sums["refunded"]
        return {"received": received, "refunded": refunded, "net": received - refunded}


@strawberry.type(description="The sums of a customer's invoices in one currency.")
class CustomerTotals(_Totals):
    currency: str = strawberry.field(description="ISO 4217, in upper case.")
    count: int = strawberry.field(description="How many invoices, including drafts and VOID ones.")
    invoiced: Money = strawberry.field(description="The sum of the totals of OPEN, PAID and UNCOLLECTIBLE invoices.")
    paid: Money = strawberry.field(description="What was paid for the customer's invoices, gross of refunds.")
    open: Money = strawberry.field(description="What is still to pay on the OPEN invoices.")
    overdue: Money = strawberry.field(description="The part of `open` whose due date is past, in UTC.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        return {name: sums[name] for name in ("invoiced", "paid", "open", "overdue")}
