"""Money: exact, in the currency's own digits."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidInputError
from models.money import (
    CURRENCIES,
    CURRENCY_EXPONENT,
    MAX_DECIMAL_PLACES,
    MAX_MINOR_UNITS,
    canonical_decimal,
    currency_exponent,
    line_amount,
    parse_currency,
    to_major,
    unit_minor_units,
)

EXPONENTS = {
    0: "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF",
    2: "AUD CAD CHF EUR GBP HUF INR ISK MXN TWD UGX USD",
    3: "BHD JOD KWD OMR TND",
}
"""Stripe's, written down a second time."""

BY_CURRENCY = [(currency, exponent) for exponent, codes in EXPONENTS.items() for currency in codes.split()]
AMOUNTS = st.integers(-MAX_MINOR_UNITS, MAX_MINOR_UNITS)
DECIMALS = st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=MAX_DECIMAL_PLACES)


@pytest.mark.parametrize(("currency", "exponent"), BY_CURRENCY)
def test_a_currency_has_stripes_exponent(currency: str, exponent: int) -> None:
    assert currency_exponent(currency) == exponent
    assert currency in CURRENCIES


def test_every_other_currency_has_two_digits() -> None:
    known = {currency for currency, exponent in BY_CURRENCY if exponent != 2}

    assert {currency for currency in CURRENCIES if currency_exponent(currency) != 2} == known == set(CURRENCY_EXPONENT)


@pytest.mark.parametrize(
    ("minor_units", "currency", "major"),
    [
        (1999, "USD", "19.99"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (-5, "USD", "-0.05"),
        (100, "ISK", "1.00"),
        (800, "JPY", "800"),
        (0, "JPY", "0"),
        (-800, "JPY", "-800"),
        (12340, "KWD", "12.340"),
        (5, "KWD", "0.005"),
        (-12345, "KWD", "-12.345"),
    ],
)
def test_minor_units_are_written_with_exactly_the_currencys_digits(minor_units: int, currency: str, major: str) -> None:
    assert to_major(minor_units, currency) == major


@given(AMOUNTS, st.sampled_from(sorted(CURRENCIES)))
def test_major_units_lead_back_to_the_same_minor_units(minor_units: int, currency: str) -> None:
    major = to_major(minor_units, currency)

    assert Decimal(major).scaleb(currency_exponent(currency)) == minor_units
    assert len(major.partition(".")[2]) == currency_exponent(currency)
    assert unit_minor_units(Decimal(major), currency) == minor_units
    if minor_units >= 0:
        assert line_amount(Decimal(1), Decimal(major), currency) == minor_units


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "currency", "amount"),
    [
        ("3", "19.99", "USD", 5997),
        ("1", "0.005", "USD", 1),
        ("1", "0.004999999999", "USD", 0),
        ("1", "0.015", "USD", 2),
        ("1", "0.025", "USD", 3),
        ("3", "0.333333333333", "USD", 100),
        ("0.5", "0.01", "USD", 1),
        ("1", "0.5", "JPY", 1),
        ("1", "1.5", "JPY", 2),
        ("1", "2.499999999999", "JPY", 2),
        ("1", "0.0005", "KWD", 1),
        ("1", "0.000499999999", "KWD", 0),
        ("0.000000000001", "0.000000000001", "USD", 0),
        ("999999.999999999999", "999999999.999999999999", "USD", 100000000000000000),
        ("0", "19.99", "USD", 0),
    ],
)
def test_a_line_is_rounded_half_up_to_the_minor_unit(
    quantity: str, unit_amount: str, currency: str, amount: int
) -> None:
    assert line_amount(Decimal(quantity), Decimal(unit_amount), currency) == amount


@given(DECIMALS, DECIMALS, st.sampled_from(["JPY", "USD", "KWD"]))
def test_a_line_is_what_fractions_say_whatever_its_digits(
    quantity: Decimal, unit_amount: Decimal, currency: str
) -> None:
    exact = Fraction(quantity) * Fraction(unit_amount) * 10 ** currency_exponent(currency)

    amount = line_amount(quantity, unit_amount, currency)

    assert amount == (exact + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("unit_amount", "currency", "minor_units"),
    [
        ("19.99", "USD", 1999),
        ("19.990", "USD", 1999),
        ("19.995", "USD", None),
        ("800", "JPY", 800),
        ("0.5", "JPY", None),
        ("12.345", "KWD", 12345),
        ("0.0005", "KWD", None),
        ("0", "USD", 0),
    ],
)
def test_a_unit_amount_below_the_minor_unit_has_no_whole_number_of_them(
    unit_amount: str, currency: str, minor_units: int | None
) -> None:
    assert unit_minor_units(Decimal(unit_amount), currency) == minor_units


@pytest.mark.parametrize(
    ("value", "least_places", "text"),
    [
        ("1", 0, "1"),
        ("1.500", 0, "1.5"),
        ("1.000", 0, "1"),
        ("1E+3", 0, "1000"),
        ("0E+3", 0, "0"),
        ("1E-12", 0, "0.000000000001"),
        ("100", 0, "100"),
        ("19.9", 2, "19.90"),
        ("19", 2, "19.00"),
        ("19.995", 2, "19.995"),
        ("0", 3, "0.000"),
    ],
)
def test_a_decimal_is_written_in_one_way_only(value: str, least_places: int, text: str) -> None:
    assert canonical_decimal(Decimal(value), least_places) == text


@given(DECIMALS, st.integers(0, 3))
def test_a_decimal_written_canonically_keeps_its_value(value: Decimal, least_places: int) -> None:
    text = canonical_decimal(value, least_places)

    assert Decimal(text) == value
    assert canonical_decimal(Decimal(text), least_places) == text
    assert len(text.partition(".")[2]) >= least_places


@pytest.mark.parametrize("text", ["usd", "USD", " Usd "])
def test_a_currency_is_taken_in_any_case(text: str) -> None:
    assert parse_currency(text, ["currency"]) == "USD"


@pytest.mark.parametrize("text", ["", "US", "USDT", "XXX", "US\u017f", "\uff35\uff33\uff24", "$", "BTC", "U S D"])
def test_what_stripe_cannot_charge_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="ISO 4217") as refusal:
        parse_currency(text, ["input", "currency"])

    assert (refusal.value.code, refusal.value.path) == ("UNKNOWN_CURRENCY", ["input", "currency"])
