"""Scalars that refuse inexact values: no floats for money, no instants without an offset."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError, GraphQLID, GraphQLNamedType, GraphQLScalarType, Undefined
from graphql.language import ConstValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from models.ids import MAX_ID_LENGTH

BigInt = NewType("BigInt", int)
"""An integer that may exceed GraphQL's 32 bits."""

_DECIMAL_FORM: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]{1,12}))?")
_DECIMAL_DIGITS: Final = 30
_INTEGER_FORM: Final = re.compile(r"-?[0-9]{1,1000}")
_HUGE: Final = 10**1000
_DATE_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_decimal(value: object) -> Decimal:
    """Read an exact decimal from a string or a whole number."""
    text = _text_or_integer(value)
    form = _DECIMAL_FORM.fullmatch(text) if text is not None else None
    if form is None or text is None or len(form[1] + (form[2] or "")) > _DECIMAL_DIGITS:
        raise GraphQLError(
            f"{_shown(value)} is not a Decimal: give a string in plain notation, like"
            ' "19.99", with at most 12 digits after the point and 30 in all.'
        )
    return Decimal(text)


def print_decimal(value: Decimal) -> str:
    """Write a decimal in plain notation, with the digits that it has."""
    return format(value, "f")


def parse_big_int(value: object) -> int:
    """Read an integer of any size from a string or a whole number."""
    text = _text_or_integer(value)
    if text is None or not _INTEGER_FORM.fullmatch(text):
        raise GraphQLError(f'{_shown(value)} is not a BigInt: give a string of digits, like "1999".')
    return int(text)


def parse_instant(value: object) -> datetime:
    """Read an instant; return it in UTC."""
    if isinstance(value, str) and _INSTANT_FORM.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError(
        f"{_shown(value)} is not a DateTime: give RFC 3339 with an offset, like"
        ' "2026-11-23T14:00:00Z" or "2026-11-23T15:00:00+01:00".'
    )


def print_instant(value: datetime) -> str:
    """Write an instant as RFC 3339 in UTC."""
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def parse_date(value: object) -> date:
    """Read a day of the calendar."""
    if isinstance(value, str) and _DATE_FORM.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise GraphQLError(f'{_shown(value)} is not a Date: give year, month and day, like "2026-11-23".')


class _BoundedID(GraphQLScalarType):
    """ID, which refuses texts that are longer than any id.

    graphql-core allows no other scalar named ID, so it is changed here.
    """

    reserved_types: Mapping[str, GraphQLNamedType] = {}


def _bounded_id() -> ScalarDefinition:
    parse_literal = GraphQLID.coerce_input_literal
    assert parse_literal is not None  # noqa: S101  (graphql-core gives its own scalars one)

    def bounded_value(value: Any) -> Any:
        return _not_too_long(GraphQLID.coerce_input_value(value))

    def bounded_literal(node: ConstValueNode) -> Any:
        id_ = parse_literal(node)
        return id_ if id_ is Undefined else _not_too_long(id_)

    return ScalarDefinition(
        name="ID",
        description=GraphQLID.description,
        specified_by_url=None,
        serialize=None,
        parse_value=None,
        parse_literal=None,
        implementation=_BoundedID(
            "ID",
            description=GraphQLID.description,
            coerce_output_value=GraphQLID.coerce_output_value,
            coerce_input_value=bounded_value,
            coerce_input_literal=bounded_literal,
            value_to_literal=GraphQLID.value_to_literal,
        ),
    )


def _not_too_long(id_: str) -> str:
    if len(id_) > MAX_ID_LENGTH:
        raise GraphQLError(f"{_shown(id_)} is not an ID: an ID has at most {MAX_ID_LENGTH} characters.")
    return id_


def _text_or_integer(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _HUGE else None
    return value if isinstance(value, str) else None


def _shown(value: object) -> str:
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) < _HUGE):
        return f"{value!r:.60}"
    return "This"


SCALARS: Final[dict[object, ScalarDefinition]] = {
    strawberry.ID: _bounded_id(),
    Decimal: strawberry.scalar(
        name="Decimal",
        description=(
            "An exact decimal, as a string without an exponent. Amounts of money are in the"
            " currency's major unit. Such amounts have exactly as many digits after the point as the"
            ' currency has: "19.99" USD, "800" JPY, "12.340" KWD. An input may be a string or a whole'
            " number. An input may have at most 30 digits, of which at most 12 are after the point."
        ),
        serialize=print_decimal,
        parse_value=parse_decimal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of any size, as a string.",
        serialize=str,
        parse_value=parse_big_int,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "An instant in the format of RFC 3339. Results are in UTC, such as 2026-11-23T14:00:00Z."
            " An input must state its offset from UTC, such as Z or +01:00."
        ),
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=print_instant,
        parse_value=parse_instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar day, such as 2026-11-23.",
        serialize=date.isoformat,
        parse_value=parse_date,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, unchanged.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
    ),
}
"""The scalar for each Python type."""
