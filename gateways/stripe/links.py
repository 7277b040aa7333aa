"""Makes Stripe's parameters of a Payment Link: its lines, and the metadata that leads back to the invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from gateways.base import LinkRequest
from gateways.stripe.currencies import is_chargeable
from models.invoice import Invoice, LineItem
from models.money import unit_minor_units

if TYPE_CHECKING:
    from stripe.params import PaymentLinkCreateParams

MAX_LINES: Final = 20
"""How many lines a Payment Link may have. Source: Stripe, "Create a payment link"."""

LINK_ID: Final = "payment_link_id"
"""The metadata's key for our link's id. Links made before 2026-11-28 don't have it."""

_MAX_QUANTITY: Final = 999_999
_NAME_LENGTH: Final = 250


def params_of(request: LinkRequest) -> "PaymentLinkCreateParams":
    """Make the parameters with which Stripe makes a link."""
    invoice, metadata = request.invoice, metadata_of(request.invoice)
    return {
        "line_items": [
            {
                "price_data": {
                    "currency": invoice.currency.lower(),
                    "unit_amount": line.unit_amount,
                    "product_data": {"name": line.name},
                },
                "quantity": line.quantity,
            }
            for line in charge_lines(invoice, request.lines, request.amount)
        ],
        "metadata": {**metadata, LINK_ID: request.link_id},
        "payment_intent_data": {"metadata": metadata, "description": f"Invoice {invoice.number}"},
        "restrictions": {"completed_sessions": {"limit": 1}},
        "inactive_message": f"Invoice {invoice.number} can no longer be paid with this link.",
    }


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """A line that Stripe accepts: a whole quantity of whole minor units."""

    name: str
    unit_amount: int
    quantity: int


def charge_lines(invoice: Invoice, lines: Sequence[LineItem], amount: int) -> list[ChargeLine]:
    """Make the lines of a Payment Link over an amount in minor units.

    They are the invoice's own if Stripe accepts each and they add up to the amount; otherwise one line over it.
    """
    own = [charge for line in lines if (charge := _whole(line, invoice.currency)) is not None]
    fits = 0 < len(own) == len(lines) <= MAX_LINES
    if fits and sum(line.unit_amount * line.quantity for line in own) == amount:
        return own
    return [ChargeLine(f"Invoice {invoice.number}", amount, 1)]


def _whole(line: LineItem, currency: str) -> ChargeLine | None:
    quantity, unit_amount = Decimal(line.quantity), unit_minor_units(Decimal(line.unit_amount), currency)
    if unit_amount is None or not is_chargeable(unit_amount, currency):
        return None
    if quantity != quantity.to_integral_value() or not 0 < quantity <= _MAX_QUANTITY:
        return None
    return ChargeLine(line.description[:_NAME_LENGTH], unit_amount, int(quantity))


def metadata_of(invoice: Invoice) -> dict[str, str]:
    """Make the metadata that leads from a payment back to its invoice."""
    return {
        "invoice_id": invoice.id,
        "customer_id": invoice.customer_id,
        "workspace_id": invoice.workspace_id,
    }
