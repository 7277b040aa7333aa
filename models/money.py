"""Money: integers in minor units inside, exact decimals in the major unit outside."""

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Final

from errors import InvalidInputError

CURRENCY_EXPONENT: Final[dict[str, int]] = dict.fromkeys(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD JOD KWD OMR TND".split(), 3)
"""Digits after the point, where Stripe's differ from 2. Source: Stripe, "Supported currencies".

ISK and UGX have no minor unit in ISO 4217, but Stripe takes amounts times 100, so they count as 2 here.
"""

CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR
    MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG
    XOF XPF YER ZAR ZMW
    """.split()
)
"""The currencies that Stripe can charge. Source: Stripe, "Supported currencies"."""

MAX_DECIMAL_PLACES: Final = 12
"""The most digits after the point of a unit amount or a quantity. Source: Stripe, `unit_amount_decimal`."""

MAX_MINOR_UNITS: Final = 10**15
"""The largest total of an invoice, in minor units: far above what Stripe charges, far below what a BIGINT holds."""

_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_UP)
_CURRENCY_FORM: Final = re.compile(r"[A-Za-z]{3}")


def currency_exponent(currency: str) -> int:
    """Return the number of a currency's digits after the point."""
    return CURRENCY_EXPONENT.get(currency, 2)


def parse_currency(value: str, path: list[str]) -> str:
    """Read an ISO 4217 code; return it in upper case.

    Raises:
        InvalidInputError: Stripe can't charge in it.
    """
    code = value.strip()
    if _CURRENCY_FORM.fullmatch(code) and code.upper() in CURRENCIES:
        return code.upper()
    raise InvalidInputError(
        'This is not a currency that Stripe can charge: give its three-letter ISO 4217 code, like "USD".',
        code="UNKNOWN_CURRENCY",
        path=path,
    )


def to_major(minor_units: int, currency: str) -> str:
    """Convert minor units to a decimal string with exactly the currency's digits: 1999 USD is "19.99"."""
    return to_majors([(minor_units, currency)])[0]


def to_majors(amounts: Iterable[tuple[int, str]]) -> list[str]:
    """Convert many amounts, each in minor units with its currency, as `to_major` does."""
    return [
        "%d.%02d" % divmod(minor_units, 100)  # noqa: UP031  (the fastest way for the usual case)
        if minor_units >= 0 and currency not in CURRENCY_EXPONENT
        else _to_unusual_major(minor_units, currency)
        for minor_units, currency in amounts
    ]


def _to_unusual_major(minor_units: int, currency: str) -> str:
    exponent = currency_exponent(currency)
    if exponent == 0:
        return str(minor_units)
    sign = "-" if minor_units < 0 else ""
    digits = str(abs(minor_units)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def line_amount(quantity: Decimal, unit_amount: Decimal, currency: str) -> int:
    """Compute a line's amount in minor units: quantity times unit amount, rounded half up."""
    step = Decimal(1).scaleb(-currency_exponent(currency))
    with localcontext(_EXACT):
        return int((quantity * unit_amount).quantize(step).scaleb(currency_exponent(currency)))


def unit_minor_units(unit_amount: Decimal, currency: str) -> int | None:
    """Convert a unit amount to minor units; None if it is not a whole number of them."""
    with localcontext(_EXACT):
        scaled = unit_amount.scaleb(currency_exponent(currency))
        return int(scaled) if scaled == scaled.to_integral_value() else None


def canonical_decimal(value: Decimal, least_places: int = 0) -> str:
    """Write a decimal in plain notation without trailing zeros, but with at least this many digits after the point."""
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(least_places, "0")
    return f"{whole}.{fraction}" if fraction else whole
