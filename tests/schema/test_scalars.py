"""Scalars take nothing but what they say."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from graphql import GraphQLError

from schema.scalars import (
    parse_big_int,
    parse_date,
    parse_decimal,
    parse_instant,
    print_decimal,
    print_instant,
)
from tests.world.caller import Caller
from tests.world.rows import Rows


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("19.99", "19.99"),
        ("-0.5", "-0.5"),
        ("12.340", "12.340"),
        (7, "7"),
        ("0.000000000001", "0.000000000001"),
        ("9" * 30, "9" * 30),
    ],
)
def test_a_decimal_keeps_its_digits(value: object, expected: str) -> None:
    """Nothing is rounded and nothing is shortened, in either direction."""
    assert print_decimal(parse_decimal(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        True,
        None,
        "",
        "1e5",
        "NaN",
        "Infinity",
        "1_000",
        "1,5",
        " 1",
        ".5",
        "1.",
        "+1",
        "٣",
        "0.0000000000001",
        "9" * 31,
        10**30,
        pytest.param(10**5000, id="more digits than Python prints"),
    ],
)
def test_a_decimal_is_a_plain_text_or_a_whole_number(value: object) -> None:
    """A float has lost digits before it comes here."""
    with pytest.raises(GraphQLError, match="is not a Decimal"):
        parse_decimal(value)


def test_a_decimal_is_printed_in_plain_notation() -> None:
    """Python would print an exponent."""
    assert print_decimal(Decimal("1E-7")) == "0.0000001"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23T14:00:00Z", "2026-11-23T14:00:00Z"),
        ("2026-11-23t15:00:00.5+01:00", "2026-11-23T14:00:00.500000Z"),
        ("2026-11-23T00:00:00.123456789-05:30", "2026-11-23T05:30:00.123456Z"),
    ],
)
def test_an_instant_is_answered_in_utc(value: str, expected: str) -> None:
    """Whatever its offset was."""
    assert print_instant(parse_instant(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T14:00:00",
        "2026-11-23",
        "2026-11-23 14:00:00Z",
        "20261123T140000Z",
        "2026-02-30T00:00:00Z",
        "2026-11-23T24:00:01Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        1_700_000_000,
        None,
    ],
)
def test_an_instant_has_an_offset(value: object) -> None:
    """Without one nobody knows when it is."""
    with pytest.raises(GraphQLError, match="is not a DateTime"):
        parse_instant(value)


def test_a_date_is_year_month_and_day() -> None:
    """Python would take weeks and ordinals too."""
    assert parse_date("2026-11-23") == date(2026, 11, 23)
    for value in ("20261123", "2026-W01-1", "2026-02-30", "2026-11-23T00:00:00Z", 1):
        with pytest.raises(GraphQLError, match="is not a Date"):
            parse_date(value)


def test_a_big_int_is_of_any_size() -> None:
    """As a text, so that no client rounds it."""
    assert parse_big_int("123456789012345678901234567890") == 123456789012345678901234567890
    assert parse_big_int(-5) == -5
    for value in ("1.5", "", "0x10", 1.5, True, "9" * 5000):
        with pytest.raises(GraphQLError, match="is not a BigInt"):
            parse_big_int(value)


_CREATE = """
mutation ($customer: ID!, $amount: Decimal!) {
  createInvoice(input: {
    customerId: $customer, currency: "USD", lineItems: [{description: "Paper", unitAmount: $amount}]
  }) {
    ... on CreateInvoiceSuccess { invoice { total { amount minorUnits } createdAt } }
  }
}
"""


async def test_a_decimal_of_a_variable_is_taken_exactly(admin: Caller, rows: Rows) -> None:
    """And answered with the currency's digits."""
    customer = await rows.customer()

    answer = await admin.query(_CREATE, customer=customer.id, amount="0.105")

    assert answer["createInvoice"]["invoice"]["total"] == {"amount": "0.11", "minorUnits": "11"}


async def test_a_float_is_refused_with_an_explanation(admin: Caller) -> None:
    """As a variable and as a literal: of the request, not of a field."""
    of_a_variable = await admin.refusal(_CREATE, customer="cust_1", amount=1.5)
    of_a_literal = await admin.refusal(
        _CREATE.replace("$amount}", "1.5}").replace(", $amount: Decimal!", ""), customer="x"
    )

    assert "1.5 is not a Decimal" in of_a_variable["message"]
    assert "1.5 is not a Decimal" in of_a_literal["message"]
    assert "path" not in of_a_variable


def test_an_instant_is_aware() -> None:
    """Always in UTC, whatever the machine's clock says."""
    assert parse_instant("2026-11-23T15:00:00+01:00") == datetime(2026, 11, 23, 14, tzinfo=UTC)
