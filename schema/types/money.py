"""Amounts with their currency."""

from decimal import Decimal

import strawberry

from models.money import to_major
from schema.scalars import BigInt


@strawberry.type(description="An amount of money.")
class Money:
    amount: Decimal = strawberry.field(
        description="In the currency's major unit, with exactly the currency's digits: 19.99 USD, 800 JPY."
    )
    minor_units: BigInt = strawberry.field(description="In the currency's smallest unit: 1999 for 19.99 USD.")
    currency: str = strawberry.field(description="ISO 4217, in upper case.")

    @classmethod
    def of(cls, minor_units: int, currency: str) -> "Money":
        return cls(
            amount=Decimal(to_major(minor_units, currency)),
            minor_units=BigInt(minor_units),
            currency=currency,
        )
