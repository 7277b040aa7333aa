"""An invoice's Payment Links, once its money is counted."""

from collections.abc import Iterable, Sequence

from models.invoice import Invoice, InvoiceState
from models.kinds import InvoiceStatus, PaymentLinkStatus, PaymentStatus
from models.payment import Payment, PaymentState
from models.payment_link import LIVE, LinkState


def links_after(
    before: Sequence[LinkState],
    invoice: InvoiceState,
    payments: Sequence[PaymentState],
    new_link_id: str,
    *,
    used: str | None,
) -> Sequence[LinkState]:
    """Close links that no longer fit, and add one for what remains if none is live.

    `used` is Stripe's id of the link that was paid. While pending payments may cover what remains, no link is live.
    """
    payable = invoice.status is InvoiceStatus.OPEN and not is_covered_by_what_is_under_way(invoice, payments)
    after = [_link_after(link, used, invoice, payable=payable) for link in before]
    is_wanted = bool(after) and payable and not any(link.status in LIVE for link in after)
    if is_wanted and invoice.integration_id is not None:
        after.append(_new_link(new_link_id, invoice, invoice.integration_id))
    return after


def is_covered_by_what_is_under_way(
    invoice: InvoiceState | Invoice, payments: Iterable[PaymentState | Payment]
) -> bool:
    """Whether pending payments may cover what remains; one in another currency always may."""
    under_way = [each for each in payments if each.status is PaymentStatus.PENDING and each.invoice_id == invoice.id]
    if any(payment.currency != invoice.currency for payment in under_way):
        return True
    return sum(payment.amount for payment in under_way) >= invoice.amount_remaining


def _new_link(id_: str, invoice: InvoiceState, integration_id: str) -> LinkState:
    return LinkState(
        id=id_,
        integration_id=integration_id,
        status=PaymentLinkStatus.PENDING,
        provider_id=None,
        amount=invoice.amount_remaining,
    )


def _link_after(link: LinkState, used: str | None, invoice: InvoiceState, *, payable: bool) -> LinkState:
    if used is not None and used == link.provider_id:
        return link._replace(status=PaymentLinkStatus.COMPLETED, stop=False)  # Stripe deactivates it on its own
    if link.status not in LIVE:
        return link
    if invoice.status is InvoiceStatus.PAID:
        was_active = link.status is PaymentLinkStatus.ACTIVE
        spent = PaymentLinkStatus.COMPLETED if was_active else PaymentLinkStatus.DEACTIVATED
        return link._replace(status=spent, stop=True)
    if not payable or link.amount != invoice.amount_remaining:
        return link._replace(status=PaymentLinkStatus.DEACTIVATED, stop=True)
    return link
