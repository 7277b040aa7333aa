"""Checks an invoice's lines, and adds them up."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from errors import InvalidInputError
from models.ids import Prefix, new_id
from models.invoice import Invoice, LineItem
from models.money import MAX_DECIMAL_PLACES, MAX_MINOR_UNITS, canonical_decimal, line_amount, to_major
from models.text import required_text

MAX_LINES: Final = 500


_MAX_QUANTITY: Final = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class LineInput:
    """A line as the caller gives it, in the currency's major unit."""

    description: str
    quantity: Decimal
    unit_amount: Decimal


def lines_of(invoice: Invoice, given: Sequence[LineInput]) -> list[LineItem]:
    """Make an invoice's lines; their sum is its total.

    Raises:
        InvalidInputError: There is none, or one can't be taken as it is.
    """
    path = ["input", "lineItems"]
    if not 1 <= len(given) <= MAX_LINES:
        raise InvalidInputError(f"An invoice has 1 to {MAX_LINES} line items, not {len(given)}.", path=path)
    lines = [_line(invoice, position, line, [*path, str(position)]) for position, line in enumerate(given)]
    invoice.total = sum(line.amount for line in lines)
    if invoice.total > MAX_MINOR_UNITS:
        largest = to_major(MAX_MINOR_UNITS, invoice.currency)
        raise InvalidInputError(f"The total is too large: at most {largest} {invoice.currency}.", path=path)
    return lines


def _line(invoice: Invoice, position: int, given: LineInput, path: list[str]) -> LineItem:
    for name, value in (("quantity", given.quantity), ("unitAmount", given.unit_amount)):
        if value.is_signed():
            raise InvalidInputError("A line can't be negative: lower another line instead.", path=[*path, name])
        exponent = value.as_tuple().exponent
        if value > _MAX_QUANTITY or (isinstance(exponent, int) and -exponent > MAX_DECIMAL_PLACES):
            raise InvalidInputError(
                f"At most {_MAX_QUANTITY:f} with up to {MAX_DECIMAL_PLACES} digits after the point.",
                path=[*path, name],
            )
    return LineItem(
        id=new_id(Prefix.LINE_ITEM),
        workspace_id=invoice.workspace_id,
        invoice_id=invoice.id,
        position=position,
        description=required_text(given.description, "The description", [*path, "description"], 1000),
        quantity=canonical_decimal(given.quantity),
        unit_amount=canonical_decimal(given.unit_amount),
        amount=line_amount(given.quantity, given.unit_amount, invoice.currency),
    )


def inputs_of(lines: Sequence[LineItem]) -> list[LineInput]:
    return [LineInput(line.description, Decimal(line.quantity), Decimal(line.unit_amount)) for line in lines]


def as_given(line: LineItem) -> list[str]:
    return [line.description, line.quantity, line.unit_amount]
