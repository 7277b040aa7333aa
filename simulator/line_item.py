"""What a payment link sells, one line each."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from simulator.errors import ExecutionError, Payload, StripeError, no_such
from simulator.ids import new_id
from simulator.money import check_last_digit, check_total, currency, decimal_amount, line_amount
from simulator.parameters import (
    anything,
    fields,
    flag,
    integer,
    list_of,
    metadata,
    missing,
    one_of,
    text,
    unsupported,
)

MAX_LINE_ITEMS: Final = 20

PRODUCT_DATA: Final = fields(
    {
        "description": text(),
        "images": list_of(text(), most=8),
        "metadata": metadata,
        "name": text(),
        "tax_code": text(),
        "tax_details": anything,
        "unit_label": text(),
    },
    required=("name",),
)
PRICE_DATA: Final = fields(
    {
        "currency": currency,
        "product": text(),
        "product_data": PRODUCT_DATA,
        "recurring": unsupported,
        "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
        "unit_amount": integer(),
        "unit_amount_decimal": decimal_amount,
    },
    required=("currency",),
)
LINE_ITEM: Final = fields(
    {
        "adjustable_quantity": fields({"enabled": flag, "maximum": integer(), "minimum": integer()}),
        "price": text(),
        "price_data": PRICE_DATA,
        "quantity": integer(least=1),
    },
    required=("quantity",),
)
LINE_ITEMS: Final = list_of(LINE_ITEM, most=MAX_LINE_ITEMS)


def sell(lines: Sequence[dict[str, Any]]) -> list[Payload]:
    """Price the lines of a new link.

    Raises:
        StripeError: A line has no price, or two of them.
        ExecutionError: They don't make one payment that Stripe would take.
    """
    items = [_line_item(line, f"line_items[{index}]") for index, line in enumerate(lines)]
    if len({item["currency"] for item in items}) > 1:
        message = "All line items must have the same currency."
        raise ExecutionError(message, param="line_items")
    check_total(total(items), "line_items")
    return items


def total(items: Sequence[Payload]) -> int:
    """Add the lines up, in minor units."""
    return sum(int(item["amount_total"]) for item in items)


def _line_item(line: dict[str, Any], param: str) -> Payload:
    if ("price" in line) == ("price_data" in line):
        raise StripeError(f"You must specify exactly one of price or price_data in {param}.", param=param)
    if "price" in line:
        raise no_such("price", line["price"], f"{param}[price]", status=400)
    price = line["price_data"]
    unit_amount = _unit_amount(price, f"{param}[price_data]")
    amount = line_amount(unit_amount, line["quantity"])
    check_last_digit(amount, price["currency"], f"{param}[price_data][unit_amount]")
    return {
        "id": new_id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": price["product_data"]["name"],
        "price": _price(price, unit_amount),
        "quantity": line["quantity"],
    }


def _unit_amount(price: dict[str, Any], param: str) -> Decimal:
    if ("unit_amount" in price) == ("unit_amount_decimal" in price):
        message = f"You must specify exactly one of unit_amount or unit_amount_decimal in {param}."
        raise StripeError(message, code="parameter_missing", param=f"{param}[unit_amount]")
    if "product" in price:
        raise no_such("product", price["product"], f"{param}[product]", status=400)
    if "product_data" not in price:
        raise missing(f"{param}[product_data]")
    if "unit_amount" in price:
        check_last_digit(price["unit_amount"], price["currency"], f"{param}[unit_amount]")
        return Decimal(price["unit_amount"])
    return Decimal(price["unit_amount_decimal"])


def _price(price: dict[str, Any], unit_amount: Decimal) -> Payload:
    return {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": int(time.time()),
        "currency": price["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod", 14),
        "recurring": None,
        "tax_behavior": price.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": int(unit_amount) if unit_amount == int(unit_amount) else None,
        "unit_amount_decimal": f"{unit_amount:f}",
    }
