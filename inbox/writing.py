"""Writes the changes of a batch's books, one statement per table and kind."""

from datetime import datetime
from typing import Final

from database.bulk import columns_of, insert_rows, update_rows
from database.transaction import Transaction
from inbox.books import Books
from models.invoice import CHANGED_BY_EVENTS, Invoice
from models.payment import ORIGIN, PAYMENT, Payment
from payment_links.lifecycle import NewLink
from payment_links.lifecycle import write as write_links

_REFERENCE: Final = {"workspace_id": "text", "provider_id": "text", "payment_id": "text"}


async def write_books(tx: Transaction, books: Books, now: datetime) -> None:
    """Write invoices, then payments and their names, then links."""
    await _write_invoices(tx, books, now)
    await _write_absorbed(tx, books)
    await _write_payments(tx, books, now)
    await _write_links(tx, books, now)


async def _write_invoices(tx: Transaction, books: Books, now: datetime) -> None:
    changed = [books.invoices[key] for key in sorted(books.changes.invoices)]
    columns = CHANGED_BY_EVENTS.types | columns_of(Invoice, ["updated_at"])
    await update_rows(tx, "invoices", columns, [(*row, now) for row in CHANGED_BY_EVENTS.of_all(changed)])


async def _write_absorbed(tx: Transaction, books: Books) -> None:
    """Make all references to a payment that was merged into another point to that one, and delete it."""
    for absorbed, into in books.changes.absorbed:
        await tx.execute("UPDATE payment_references SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
        await tx.execute("UPDATE webhook_events SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
        await tx.execute("UPDATE events SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
        await tx.execute("DELETE FROM payments WHERE id = $1", absorbed)


async def _write_payments(tx: Transaction, books: Books, now: datetime) -> None:
    changes = books.changes
    for workspace_id, name in sorted(changes.former_references):
        statement = "DELETE FROM payment_references WHERE workspace_id = $1 AND provider_id = $2"
        await tx.execute(statement, workspace_id, name)
    new_keys = sorted(changes.new_payments)
    origins = [changes.new_payments[key] for key in new_keys]
    new = [
        (*row, origin.workspace_id, origin.integration_id, now)
        for row, origin in zip(PAYMENT.of_all([books.payments[key] for key in new_keys]), origins, strict=True)
    ]
    changed = PAYMENT.of_all([books.payments[key] for key in sorted(changes.payments)])
    await update_rows(tx, "payments", PAYMENT.types, changed)  # first: a new payment may take over a name
    await insert_rows(tx, "payments", PAYMENT.types | columns_of(Payment, ORIGIN), new)
    await insert_rows(tx, "payment_references", _REFERENCE, sorted(changes.new_references))


async def _write_links(tx: Transaction, books: Books, now: datetime) -> None:
    changed = [link for _, link in sorted(books.changes.links.items())]
    new = [
        NewLink(workspace_id, invoice_id, books.invoices[workspace_id, invoice_id].currency, link)
        for (workspace_id, invoice_id), link in books.changes.new_links.values()
    ]
    await write_links(tx, changed, new, now)
    if new:  # PostgreSQL locks what they refer to at the end of the statement, and the counter has to be locked last
        await tx.finish()
