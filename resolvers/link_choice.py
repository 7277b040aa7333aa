"""Chooses the integration that makes an invoice's link, and checks that it can."""

from errors import InvalidInputError
from gateways.registry import GATEWAY
from models.integration import Integration
from models.invoice import Invoice
from models.money import to_major
from models.reason import Reason
from resolvers.context import Context


async def integration_for(ctx: Context, id_: str | None) -> Integration | None:
    """Choose the integration that makes links: the named one, or the only active one; None if there is none.

    Raises:
        NotFoundError: This workspace has no such integration.
        InvalidInputError: It is not active, or several are and none is named.
    """
    if id_ is not None:
        integration = await ctx.one(Integration, id_, "integration", ["integrationId"])
        if integration.disconnected_at is not None or not integration.is_active:
            gone = integration.disconnected_at is not None
            state, ways = ("disconnected", "") if gone else ("switched off", "switch it on (isActive: true) or ")
            raise InvalidInputError(
                f"The integration {integration.name!r} is {state}: {ways}name another one.",
                code=Reason.INTEGRATION_UNUSABLE,
                path=["integrationId"],
            )
        return integration
    active = await ctx.rows(Integration).filter(is_active=True, disconnected_at=None).order_by("id")
    if len(active) > 1:
        names = ", ".join(f"{integration.id} ({integration.name})" for integration in active)
        raise InvalidInputError(
            f"Several Stripe integrations are active: choose one with integrationId: {names}.",
            code="INTEGRATION_AMBIGUOUS",
            path=["integrationId"],
        )
    return active[0] if active else None


def check_chargeable(invoice: Invoice, path: list[str]) -> None:
    if not GATEWAY.is_chargeable(invoice.amount_remaining, invoice.currency):
        amount = to_major(invoice.amount_remaining, invoice.currency)
        step = to_major(GATEWAY.step_of(invoice.currency), invoice.currency)
        raise InvalidInputError(
            f"Stripe can't charge {amount} {invoice.currency}, only multiples of {step}. Change the line items.",
            code="AMOUNT_NOT_CHARGEABLE",
            path=path,
        )
