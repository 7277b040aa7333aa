"""Payment Links that a caller asks for."""

from database.scope import scoped
from errors import InvalidInputError, StripeRefusedError
from models.diagnosis import diagnose
from models.instant import utc_now
from models.integration import Integration
from models.invoice import Invoice, check_open
from models.kinds import PaymentLinkStatus, PaymentStatus, Scope
from models.payment import Payment
from models.payment_link import LIVE, PaymentLink
from models.settlement import is_covered_by_what_is_under_way
from payment_links import lifecycle
from payment_links.maker import Job
from resolvers.context import Context, Write
from resolvers.link_choice import check_chargeable, integration_for


async def create_payment_link(ctx: Context, invoice_id: str, integration_id: str | None) -> Invoice:
    """Return an OPEN invoice's Payment Link for what remains: its live link, or a new one.

    Raises:
        NotFoundError: This workspace has no such invoice or integration.
        InvalidInputError: There is no integration, several could be meant, Stripe can't charge what remains, or a
            payment is under way that may cover it.
        InvalidTransitionError: The invoice is not OPEN.
        StripeRefusedError: Stripe did not make the link.
    """
    ctx.require(Scope.WRITE)
    async with ctx.write() as write:
        invoice = await ctx.one(Invoice, invoice_id, "invoice", ["invoiceId"], lock=True)
        check_open(invoice.status)
        await _check_not_under_way(ctx, invoice)
        wanted = integration_id or invoice.integration_id
        integration = await integration_for(ctx, wanted)
        if integration is None:
            off = await ctx.rows(Integration).filter(disconnected_at=None).order_by("id").first()
            way = f"switch {off.id} on (isActive: true)" if off else "connect Stripe first (connectStripe)"
            raise InvalidInputError(
                f"There is no active integration to make a Payment Link with: {way}.",
                code="NO_INTEGRATION",
                path=["integrationId"],
            )
        check_chargeable(invoice, ["invoiceId"])
        retired = await _retired_of_another(write, invoice, integration)
        job = await _job(ctx, invoice, integration)
        invoice.integration_id = integration.id
        await invoice.save(update_fields=["integration_id"])
    if retired:
        ctx.services.link_maker.wake()
    if job is not None:
        await ctx.services.link_maker.carry_out(job)
        await _check_made(ctx, job.link.id)
    return invoice


async def _check_not_under_way(ctx: Context, invoice: Invoice) -> None:
    under_way = await ctx.rows(Payment).filter(invoice_id=invoice.id, status=PaymentStatus.PENDING)
    if is_covered_by_what_is_under_way(invoice, under_way):
        raise InvalidInputError(
            "A pending payment may cover what remains, and with a link the customer could pay twice. Wait until the"
            " payment has succeeded or failed: if it fails, a link is made automatically.",
            code="PAYMENT_UNDER_WAY",
            path=["invoiceId"],
        )


async def _retired_of_another(write: Write, invoice: Invoice, integration: Integration) -> bool:
    """Retire the invoice's live link of another integration, if there is one; return whether there was."""
    live = scoped(PaymentLink, write.workspace_id).filter(invoice_id=invoice.id, status__in=list(LIVE))
    if not await live.exclude(integration_id=integration.id).exists():
        return False
    write.happenings += await lifecycle.retire(invoice, write.actor)
    return True


async def _job(ctx: Context, invoice: Invoice, integration: Integration) -> Job | None:
    """Claim the request to Stripe for this caller; None if a link works or is being made."""
    live = await ctx.rows(PaymentLink).filter(invoice_id=invoice.id, status__in=list(LIVE)).first()
    if live is None:
        return await ctx.services.link_maker.plan(invoice, integration)
    if live.status is PaymentLinkStatus.ACTIVE or live.is_claimed(utc_now()):
        return None
    return await ctx.services.link_maker.claim(live, invoice, integration)


async def _check_made(ctx: Context, link_id: str) -> None:
    link = await ctx.rows(PaymentLink).get(id=link_id)
    if link.status is PaymentLinkStatus.FAILED and link.problem_code is not None:
        problem = diagnose(link.problem_code, link.problem_message)
        raise StripeRefusedError(problem.message, code=problem.code, path=["invoiceId"])
