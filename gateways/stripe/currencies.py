"""Which amounts of a currency Stripe can charge."""

from typing import Final

from models.money import currency_exponent

_STEP_BY_EXPONENT: Final = {3: 10}


_STEP: Final = {"ISK": 100, "UGX": 100}


def step_of(currency: str) -> int:
    """Return the number of minor units that an amount must be a multiple of. Source: Stripe, "Supported currencies"."""
    return _STEP.get(currency, _STEP_BY_EXPONENT.get(currency_exponent(currency), 1))


def is_chargeable(amount: int, currency: str) -> bool:
    """Whether Stripe can charge an amount: the last of three digits must be 0, and amounts in ISK and UGX whole."""
    return amount % step_of(currency) == 0
