"""Amounts with their currency."""

from decimal import Decimal

import strawberry

from models.money import CURRENCIES, currency_exponent, to_major
from schema.scalars import BigInt


@strawberry.type(description="An amount of money.")
class Money:
    amount: Decimal = strawberry.field(
        description=(
            "The amount in the currency's major unit, with exactly as many digits after the point"
            ' as the currency has: "19.99" USD, "800" JPY.'
        )
    )
    minor_units: BigInt = strawberry.field(
        description=('The amount in the currency\'s smallest unit: "1999" for 19.99 USD.')
    )
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")

    @classmethod
    def of(cls, minor_units: int, currency: str) -> "Money":
        return cls(
            amount=Decimal(to_major(minor_units, currency)),
            minor_units=BigInt(minor_units),
            currency=currency,
        )


@strawberry.type(description="A currency that invoices can have. Stripe can charge in each of these currencies.")
class Currency:
    code: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    exponent: int = strawberry.field(
        description=(
            "The number of digits after the point in amounts of this currency: 2 for USD, 0 for JPY,"
            " 3 for KWD. Stripe uses the same numbers."
        )
    )

    @classmethod
    def all(cls) -> "list[Currency]":
        """List all currencies, in the order of their codes."""
        return [cls(code=code, exponent=currency_exponent(code)) for code in sorted(CURRENCIES)]
