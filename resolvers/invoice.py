"""Invoices: create, update, finalize, and end them."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Final

from errors import ConflictError, UnavailableError
from models.customer import Customer
from models.ids import Prefix, new_id
from models.instant import utc_now, utc_today
from models.invoice import Invoice, LineItem, check_draft, check_transition, next_number
from models.kinds import EventType, InvoiceStatus, Scope
from models.money import parse_currency
from models.text import MAX_TEXT_LENGTH, optional_text
from payment_links import lifecycle
from payment_links.maker import Job
from resolvers.context import KEEP, Context, Keep, Write, change
from resolvers.idempotency import first_result
from resolvers.line_items import LineInput, as_given, inputs_of, lines_of
from resolvers.link_choice import check_chargeable, integration_for
from resolvers.metadata import Changes, forget_metadata, save_metadata

_NOTE_LENGTH: Final = 1000
_MEMO_LENGTH: Final = 4000


# --- Drafts ----------------------------------------------------------------------------------------------------


async def create_invoice(
    ctx: Context,
    *,
    customer_id: str,
    currency: str,
    line_items: Sequence[LineInput],
    due_date: date | None,
    memo: str | None,
    metadata: Changes,
    idempotency_key: str | None,
) -> Invoice:
    """Create a draft.

    Raises:
        InvalidInputError: A field can't be taken as it is.
        NotFoundError: This workspace has no such customer.
        ConflictError: The idempotency key was used with other input, or its draft was deleted.
    """
    ctx.require(Scope.WRITE)
    now = utc_now()
    invoice = Invoice(
        id=new_id(Prefix.INVOICE),
        workspace_id=ctx.workspace_id,
        customer_id=customer_id,
        status=InvoiceStatus.DRAFT,
        currency=parse_currency(currency, ["input", "currency"]),
        total=0,
        due_date=due_date,
        memo=optional_text(memo, "The memo", ["input", "memo"], _MEMO_LENGTH),
        created_at=now,
        updated_at=now,
    )
    lines = lines_of(invoice, line_items)
    given: list[object] = [customer_id, invoice.currency, due_date, invoice.memo, [as_given(line) for line in lines]]
    given += [metadata] if metadata else []  # keys that were used before metadata existed stay valid
    async with ctx.write() as write:
        first = await first_result(write, "createInvoice", idempotency_key, given, invoice.id)
        if first != invoice.id:
            return await _made_before(ctx, first)
        await ctx.one(Customer, customer_id, "customer", ["input", "customerId"])
        await invoice.save()
        await ctx.rows(LineItem).bulk_create(lines)
        await save_metadata(write, invoice.id, metadata)
        _log(write, invoice, EventType.INVOICE_CREATED)
    return invoice


async def _made_before(ctx: Context, id_: str) -> Invoice:
    """Find the invoice that an idempotency key's first use created.

    Raises:
        ConflictError: It was a draft, and is deleted.
    """
    found = await ctx.rows(Invoice).filter(id=id_).first()
    if found is None:
        raise ConflictError(
            "The draft that was created with this idempotency key was deleted: use a new key for a new invoice.",
            code="IDEMPOTENCY_KEY_SPENT",
            path=["input", "idempotencyKey"],
        )
    return found


async def update_invoice(
    ctx: Context,
    id_: str,
    *,
    customer_id: str | Keep = KEEP,
    currency: str | Keep = KEEP,
    line_items: Sequence[LineInput] | Keep = KEEP,
    due_date: date | Keep | None = KEEP,
    memo: str | Keep | None = KEEP,
    metadata: Changes | Keep | None = KEEP,
) -> Invoice:
    """Change a draft, or the metadata of any invoice.

    Raises:
        NotFoundError: This workspace has no such invoice or customer.
        InvalidInputError: A field can't be taken as it is.
        InvalidTransitionError: The invoice is finalized, and more than its metadata is given.
    """
    ctx.require(Scope.WRITE)
    drafted = (customer_id, currency, line_items, due_date, memo)
    new_currency = currency if currency is KEEP else parse_currency(currency, ["input", "currency"])
    new_memo = memo if memo is KEEP else optional_text(memo, "The memo", ["input", "memo"], _MEMO_LENGTH)
    async with ctx.write() as write:
        invoice = await ctx.one(Invoice, id_, "invoice", ["input", "id"], lock=True)
        if any(each is not KEEP for each in drafted):
            check_draft(invoice.status)
        if customer_id is not KEEP:
            await ctx.one(Customer, customer_id, "customer", ["input", "customerId"])
        changed = change(invoice, customer_id=customer_id, currency=new_currency, due_date=due_date, memo=new_memo)
        if (line_items is not KEEP or "currency" in changed) and await _replace_lines(ctx, invoice, line_items):
            changed.append("total")
        if await save_metadata(write, invoice.id, metadata) or changed:
            invoice.updated_at = utc_now()
            await invoice.save(update_fields=[*changed, "updated_at"])
            _log(write, invoice, EventType.INVOICE_UPDATED)
    return invoice


async def _replace_lines(ctx: Context, invoice: Invoice, given: Sequence[LineInput] | Keep) -> bool:
    """Write the given lines, or the present ones in a new currency; return whether anything changed."""
    before = await ctx.rows(LineItem).filter(invoice_id=invoice.id).order_by("position")
    lines = lines_of(invoice, inputs_of(before) if given is KEEP else given)
    if [(*as_given(line), line.amount) for line in before] == [(*as_given(line), line.amount) for line in lines]:
        return False
    await ctx.rows(LineItem).filter(invoice_id=invoice.id).delete()
    await ctx.rows(LineItem).bulk_create(lines)
    return True


async def delete_invoice(ctx: Context, id_: str) -> str:
    """Delete a draft; return its id. Money that came for it stays, UNAPPLIED.

    Raises:
        NotFoundError: This workspace has none with this id.
        InvalidTransitionError: The invoice is finalized.
    """
    ctx.require(Scope.WRITE)
    async with ctx.write() as write:
        invoice = await ctx.one(Invoice, id_, "invoice", ["id"], lock=True)
        check_draft(invoice.status)
        await write.tx.execute("UPDATE payments SET invoice_id = NULL WHERE invoice_id = $1", invoice.id)
        await forget_metadata(write, invoice.id)
        await invoice.delete()
        _log(write, invoice, EventType.INVOICE_DELETED)
    return str(invoice.id)


def _log(
    write: Write, invoice: Invoice, type_: EventType, *, note: str | None = None, integration_id: str | None = None
) -> None:
    write.log(
        type_,
        note=note,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        integration_id=integration_id,
    )


# --- Finalizing ------------------------------------------------------------------------------------------------


async def finalize_invoice(ctx: Context, id_: str, integration_id: str | None) -> Invoice:
    """Make a draft OPEN, number it, and ask Stripe for its Payment Link.

    If Stripe fails, the invoice is OPEN anyway and its link says what is wrong. With a total of 0 it becomes PAID at
    once.

    Raises:
        NotFoundError: This workspace has no such invoice or integration.
        InvalidInputError: Several integrations could be meant, or Stripe can't charge the total.
        InvalidTransitionError: The invoice is finalized already.
    """
    ctx.require(Scope.WRITE)
    job: Job | None = None
    async with ctx.write() as write:
        invoice = await ctx.one(Invoice, id_, "invoice", ["id"], lock=True)
        check_transition(invoice.status, InvoiceStatus.OPEN)
        integration = await integration_for(ctx, integration_id)
        now = utc_now()
        invoice.integration_id = integration.id if integration else None
        invoice.number = await next_number(write.tx, ctx.workspace_id, now.year)
        invoice.finalized_at = invoice.updated_at = now
        _move(write, invoice, InvoiceStatus.OPEN, EventType.INVOICE_FINALIZED)
        if invoice.total == 0:
            invoice.paid_at = now
            _move(write, invoice, InvoiceStatus.PAID, EventType.INVOICE_PAID)
        await invoice.save()
        if integration is not None and invoice.total > 0:
            check_chargeable(invoice, ["id"])
            job = await ctx.services.link_maker.plan(invoice, integration)
    if job is not None:
        with suppress(UnavailableError):  # the invoice stays finalized, and the background job makes its link
            await ctx.services.link_maker.carry_out(job)
    return invoice


# --- Endings ---------------------------------------------------------------------------------------------------


async def mark_invoice_paid(ctx: Context, id_: str, note: str | None) -> Invoice:
    """Record what remains as paid out of band: cash, a bank transfer.

    Raises:
        NotFoundError: This workspace has none with this id.
        InvalidTransitionError: It is a draft, void, or paid already.
        InvalidInputError: The note is too long.
    """
    return await _end(ctx, id_, InvoiceStatus.PAID, EventType.INVOICE_PAID, note)


async def void_invoice(ctx: Context, id_: str, note: str | None) -> Invoice:
    """Void an invoice, for good.

    Raises:
        NotFoundError: This workspace has none with this id.
        InvalidTransitionError: It is a draft, paid, or void already.
    """
    return await _end(ctx, id_, InvoiceStatus.VOID, EventType.INVOICE_VOIDED, note)


async def mark_invoice_uncollectible(ctx: Context, id_: str, note: str | None) -> Invoice:
    """Write an invoice off; a late payment still makes it PAID.

    Raises:
        NotFoundError: This workspace has none with this id.
        InvalidTransitionError: It is not OPEN.
    """
    return await _end(ctx, id_, InvoiceStatus.UNCOLLECTIBLE, EventType.INVOICE_MARKED_UNCOLLECTIBLE, note)


async def _end(ctx: Context, id_: str, to: InvoiceStatus, type_: EventType, note: str | None) -> Invoice:
    ctx.require(Scope.WRITE)
    text = optional_text(note, "The note", ["note"], _NOTE_LENGTH)
    async with ctx.write() as write:
        invoice = await ctx.one(Invoice, id_, "invoice", ["id"], lock=True)
        check_transition(invoice.status, to)
        now = utc_now()
        if to is InvoiceStatus.PAID:
            invoice.amount_paid_out_of_band += invoice.amount_remaining
            invoice.paid_at = now
        elif to is InvoiceStatus.VOID:
            invoice.voided_at = now
        else:
            invoice.uncollectible_at = now
        invoice.updated_at = now
        _move(write, invoice, to, type_, text)
        await invoice.save()
        write.happenings += await lifecycle.retire(invoice, write.actor)
    ctx.services.link_maker.wake()
    return invoice


def _move(write: Write, invoice: Invoice, to: InvoiceStatus, type_: EventType, note: str | None = None) -> None:
    check_transition(invoice.status, to)
    write.log(
        type_,
        note=note,
        previous_status=invoice.status,
        status=to,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
    )
    invoice.status = to


# --- Reading ---------------------------------------------------------------------------------------------------


async def invoice_by_number(ctx: Context, number: str) -> Invoice | None:
    """Find the invoice with a number."""
    ctx.require(Scope.READ)
    if len(number) > MAX_TEXT_LENGTH:
        return None
    return await ctx.rows(Invoice).filter(number=number).first()


def is_overdue(invoice: Invoice) -> bool:
    """Whether an invoice is OPEN past its due date, in UTC."""
    return invoice.status is InvoiceStatus.OPEN and invoice.due_date is not None and invoice.due_date < utc_today()
