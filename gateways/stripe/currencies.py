"""What amounts Stripe takes of a currency."""

from typing import Final

from models.money import currency_exponent

_STEP_BY_EXPONENT: Final = {3: 10}


_STEP: Final = {"ISK": 100, "UGX": 100}


def step_of(currency: str) -> int:
    """The minor units that Stripe charges multiples of alone. Source: Stripe, "Supported currencies", special cases."""
    return _STEP.get(currency, _STEP_BY_EXPONENT.get(currency_exponent(currency), 1))


def is_chargeable(amount: int, currency: str) -> bool:
    """Whether Stripe takes an amount of a currency: the last digit of three has to be 0, ISK and UGX to be whole."""
    return amount % step_of(currency) == 0
