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
        "Whether these sums are exact or lower bounds. If the database has no stored sums for a"
        " query, Fluxrate adds up at most 10,000 rows."
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
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    count: int = strawberry.field(description="How many invoices the list has in this currency.")
    total: Money = strawberry.field(description="The sum of the invoices' `total`.")
    amount_paid: Money = strawberry.field(description="The sum of the invoices' `amountPaid`.")
    amount_remaining: Money = strawberry.field(
        description=(
            "The sum of the invoices' `amountRemaining`. This sum includes drafts, VOID invoices and"
            " UNCOLLECTIBLE invoices."
        )
    )
    open: Money = strawberry.field(description="The sum of `amountRemaining` of the OPEN invoices only.")
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
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    count: int = strawberry.field(
        description="How many payments the list has in this currency, including failed attempts to pay."
    )
    received: Money = strawberry.field(
        description="The sum of the payments with the status SUCCEEDED, gross of refunds."
    )
    refunded: Money = strawberry.field(description="The refunded part of `received`.")
    net: Money = strawberry.field(description="`received` minus `refunded`.")
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        received, refunded = sums["received"], sums["refunded"]
        return {"received": received, "refunded": refunded, "net": received - refunded}


@strawberry.type(description="The sums of a customer's invoices in one currency.")
class CustomerTotals(_Totals):
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    count: int = strawberry.field(
        description="How many invoices the customer has in this currency, including drafts and VOID invoices."
    )
    invoiced: Money = strawberry.field(description="The sum of the totals of OPEN, PAID and UNCOLLECTIBLE invoices.")
    paid: Money = strawberry.field(description="What was paid for the customer's invoices, gross of refunds.")
    open: Money = strawberry.field(description="What is still to pay on the customer's OPEN invoices.")
    overdue: Money = strawberry.field(
        description="The part of `open` that belongs to invoices whose due date is past. Days are counted in UTC."
    )
    precision: CountPrecision = _PRECISION

    @classmethod
    def amounts(cls, sums: Sums) -> Mapping[str, int]:
        return {name: sums[name] for name in ("invoiced", "paid", "open", "overdue")}
