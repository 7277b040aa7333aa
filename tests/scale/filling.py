"""A workspace with years of history, skewed as real ones are: nearly all of it is paid, one customer has half of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from database.bulk import insert_rows
from database.door import Transaction, transaction
from models.ids import Prefix, first_id_at, new_id
from models.sums import merge_all
from tests.models.rows import AT

Row = dict[str, Any]
TYPES: Final = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    bytes: "bytea",
    datetime: "timestamptz",
    date: "date",
}
OPEN: Final = 20
"""So many invoices are OPEN, and as many drafts, however many there are in all."""

CUSTOMERS: Final = 20


@dataclass(frozen=True, slots=True)
class Filled:
    """What to ask for: rows that are there at every size."""

    workspace_id: str
    integration_id: str
    customer_id: str
    open_ids: list[str]
    draft_ids: list[str]
    paid_id: str
    payment_id: str


async def fill(workspace_id: str, integration_id: str, invoices: int, *, is_analyzed: bool = True) -> Filled:
    """So many invoices, each with its line, link, payment, posts and history; the youngest are the OPEN ones."""
    tables: dict[str, list[Row]] = {
        name: []
        for name in (
            "customers", "invoices", "line_items", "payment_links", "payments", "payment_references",
            "webhook_events", "events",
        )
    }  # fmt: skip
    customers = [new_id(Prefix.CUSTOMER) for _ in range(CUSTOMERS)]
    tables["customers"] = [
        {"id": id_, "workspace_id": workspace_id, "name": "Ada", "email": "a@example.com", "created_at": AT,
         "updated_at": AT}
        for id_ in customers
    ]  # fmt: skip
    found: dict[str, list[str]] = {"PAID": [], "OPEN": [], "DRAFT": []}
    for place in range(invoices):
        left = invoices - place
        status = "DRAFT" if left <= OPEN else "OPEN" if left <= 2 * OPEN else "PAID"
        customer = customers[-1] if place % 2 else customers[place // 2 % (CUSTOMERS - 1)]
        at = AT - timedelta(minutes=left)
        found[status].append(_add(tables, status, workspace_id, integration_id, customer, place, at))
    for place, row in enumerate(tables["events"]):
        row["number"] = place + 1
    async with transaction() as tx:
        for table, rows in tables.items():
            await _insert(tx, table, rows)
        await tx.execute("UPDATE workspaces SET seq = $2 WHERE id = $1", workspace_id, len(tables["events"]))
        if is_analyzed:
            await tx.execute("ANALYZE")  # as PostgreSQL does by itself within a minute
    await merge_all()  # as a server does within seconds
    paid = found["PAID"][len(found["PAID"]) // 2]
    payment = next(row["id"] for row in tables["payments"] if row["invoice_id"] == paid)
    return Filled(workspace_id, integration_id, customers[0], found["OPEN"], found["DRAFT"], paid, payment)


def _add(
    tables: dict[str, list[Row]],
    status: str,
    workspace_id: str,
    integration_id: str,
    customer: str,
    n: int,
    at: datetime,
) -> str:
    invoice = _id_at(Prefix.INVOICE, at)
    is_paid, is_final = status == "PAID", status != "DRAFT"
    tables["invoices"].append(
        {"id": invoice, "workspace_id": workspace_id, "customer_id": customer, "integration_id": integration_id,
         "number": f"INV-2026-{n + 1:06d}" if is_final else None, "status": status, "currency": "USD", "total": 1999,
         "amount_paid": 1999 if is_paid else 0, "due_date": at.date(), "created_at": at, "updated_at": at,
         "finalized_at": at if is_final else None, "paid_at": at if is_paid else None}
    )  # fmt: skip
    tables["line_items"].append(
        {"id": new_id(Prefix.LINE_ITEM), "workspace_id": workspace_id, "invoice_id": invoice, "position": 0,
         "description": "Paper", "quantity": "1", "unit_amount": "19.99", "amount": 1999}
    )  # fmt: skip
    if is_final:
        tables["payment_links"].append(
            {"id": _id_at(Prefix.PAYMENT_LINK, at), "workspace_id": workspace_id, "invoice_id": invoice,
             "integration_id": integration_id, "status": "COMPLETED" if is_paid else "ACTIVE",
             "provider_id": f"plink_{invoice}", "url": "https://x", "amount": 1999, "currency": "USD",
             "outcome_unknown": False, "created_at": at, "updated_at": at}
        )  # fmt: skip
    happened = ["INVOICE_CREATED"]
    if is_paid:
        payment, event = _id_at(Prefix.PAYMENT, at), _id_at(Prefix.WEBHOOK_EVENT, at)
        tables["payments"].append(
            {"id": payment, "workspace_id": workspace_id, "integration_id": integration_id,
             "provider_payment_id": f"pi_{invoice}", "invoice_id": invoice, "customer_id": customer,
             "status": "SUCCEEDED", "amount": 1999, "currency": "USD", "allocation": "APPLIED",
             "decided_by": f"{n:012d} 0{0:019d} evt", "occurred_at": at, "created_at": at, "order_id": None,
             "is_whole": False}
        )  # fmt: skip
        tables["payment_references"].append(
            {"workspace_id": workspace_id, "provider_id": f"pi_{invoice}", "payment_id": payment}
        )
        tables["webhook_events"].append(
            {"id": event, "workspace_id": workspace_id, "integration_id": integration_id,
             "delivery_key": f"evt_{invoice}", "provider_event_id": f"evt_{invoice}",
             "type": "payment_intent.succeeded", "livemode": False, "api_version": "2026-10-28.endive",
             "payload": b"{}", "received_at": at, "status": "PROCESSED", "attempts": 1, "deliveries": 1,
             "invoice_id": invoice, "customer_id": customer, "payment_id": payment, "processed_at": at}
        )  # fmt: skip
        happened += ["INVOICE_FINALIZED", "INVOICE_PAID"]
    tables["events"] += [
        {"id": _id_at(Prefix.EVENT, at), "workspace_id": workspace_id, "number": 0, "type": type_, "occurred_at": at,
         "actor": "stripe", "invoice_id": invoice, "customer_id": customer}
        for type_ in happened
    ]  # fmt: skip
    return invoice


async def _insert(tx: Transaction, table: str, rows: list[Row]) -> None:
    kinds: dict[str, str] = {}
    for row in rows[:1] + rows[-1:]:
        kinds |= {name: TYPES[type(value)] for name, value in row.items() if value is not None}
    values = [tuple(row.get(name) for name in kinds) for row in rows]
    await insert_rows(tx, table, kinds, values)


def _id_at(prefix: Prefix, at: datetime) -> str:
    """An id as it was made then: the first letters of it tell the time."""
    return first_id_at(prefix, at)[:-16] + new_id(prefix)[-16:]
