"""Amounts in minor units, and the rules that Stripe has for them."""

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

from simulator.errors import ExecutionError, StripeError

MAX_TOTAL: Final = 99_999_999
"""What one payment may come to, in minor units."""

WITHOUT_DECIMALS: Final = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
WITH_THREE_DECIMALS: Final = "bhd jod kwd omr tnd"
WITH_TWO_DECIMALS: Final = """
usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf
chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr
ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr
mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos
srd std szl thb tjs top try ttd twd tzs uah ugx uyu uzs wst xcd xcg yer zar zmw
"""
WHOLE_ONLY: Final = frozenset({"isk", "ugx"})
EXPONENTS: Final = {
    **dict.fromkeys(WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(WITH_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(WITH_THREE_DECIMALS.split(), 3),
}
"""Digits after the point of what customers can be charged in. Source: Stripe, "Supported currencies"."""


def currency(value: object, param: str) -> str:
    """Read a currency, in lower case."""
    if not isinstance(value, str) or value.lower() not in EXPONENTS:
        message = f"Invalid currency: {str(value)[:10]}. Stripe does not support it."
        raise StripeError(message, param=param)
    return value.lower()


def decimal_amount(value: object, param: str) -> Decimal:
    """Read an amount of minor units with up to 12 decimals."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        message = f"Invalid decimal: {str(value)[:40]}; must be at least 0 and have at most 12 decimal places"
        raise StripeError(message, param=param)
    return Decimal(value)


def line_amount(unit_amount: Decimal, quantity: int) -> int:
    """Multiply, and round half up to the minor unit."""
    with localcontext(prec=60):
        return int((unit_amount * quantity).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def check_last_digit(amount: int, currency: str, param: str) -> None:
    """Refuse an amount of a three-decimal currency that doesn't end in 0, and one of ISK or UGX that isn't whole."""
    if currency in WHOLE_ONLY and amount % 100:
        message = f"Invalid amount: {amount}. An amount in {currency} must be evenly divisible by 100."
        raise ExecutionError(message, code="invalid_charge_amount_no_decimal_compatible", param=param)
    if EXPONENTS[currency] == 3 and amount % 10:
        message = f"Invalid amount: {amount}. An amount in {currency} has three decimals, and the last must be 0."
        raise ExecutionError(message, code="parameter_invalid_integer", param=param)


def check_total(amount: int, param: str) -> None:
    """Refuse a total that Stripe doesn't charge at once."""
    if amount > MAX_TOTAL:
        raise ExecutionError("Amount must be no more than $999,999.99", code="amount_too_large", param=param)


def in_words(amount: int, currency: str) -> str:
    """Write an amount for people: `19.99 USD`."""
    return f"{Decimal(amount).scaleb(-EXPONENTS[currency]):f} {currency.upper()}"
