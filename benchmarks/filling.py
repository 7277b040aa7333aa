"""Fills a workspace with years of history, skewed like a real one: nearly everything is paid, one customer has half."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from database.access import fetch, transaction
from database.bulk import TYPES, insert_rows
from database.transaction import Transaction
from gateways.stripe.endpoint_calls import API_VERSION
from models.ids import Prefix, first_id_at, new_id
from models.sums import merge_all

Row = dict[str, Any]
OPEN: Final = 40
"""The number of OPEN invoices and of drafts, whatever the total."""

CUSTOMERS: Final = 20
"""The number of customers with invoices; in addition there is one customer without invoices per invoice."""

RARE: Final = 3
AT_ONCE: Final = 5_000
_TURN: Final = 250
AT: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
TABLES: Final = (
    "customers", "invoices", "line_items", "payment_links", "payments", "payment_references", "webhook_events",
    "events",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filled:
    """Ids that a benchmark asks for; their rows exist at every size."""

    workspace_id: str
    integration_id: str
    customer_id: str
    customer_ids: list[str]
    open_ids: list[str]
    draft_ids: list[str]
    paid_id: str
    payment_id: str


async def fill(
    workspace_id: str,
    integration_id: str,
    invoices: int,
    *,
    is_analyzed: bool = True,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Filled:
    """Insert invoices, each with its line, link, payment, webhook events and history; the newest are the OPEN ones.

    `on_progress` is called with the number of invoices so far.
    """
    customers = [new_id(Prefix.CUSTOMER) for _ in range(CUSTOMERS)]
    found: dict[str, list[str]] = {"PAID": [], "OPEN": [], "DRAFT": []}
    events = int((await fetch("SELECT seq FROM workspaces WHERE id = $1", workspace_id))[0]["seq"])
    paid = payment = ""
    inserting: asyncio.Task[None] | None = None
    for begin in range(0, invoices, AT_ONCE):
        tables: dict[str, list[Row]] = {name: [] for name in TABLES}
        if begin == 0:
            tables["customers"] = [
                {"id": id_, "workspace_id": workspace_id, "name": "Ada", "email": "a@example.com", "created_at": AT,
                 "updated_at": AT}
                for id_ in customers
            ]  # fmt: skip
        for place in range(begin, min(invoices, begin + AT_ONCE)):
            if place % _TURN == 0:
                await asyncio.sleep(0)  # lets the database insert the last rows meanwhile
            left = invoices - place
            tables["customers"].append(_without_invoices(workspace_id, place, invoices))
            status = "DRAFT" if left <= OPEN else "OPEN" if left <= 2 * OPEN else "PAID"
            customer = customers[-1] if place % 2 else customers[place // 2 % (CUSTOMERS - 1)]
            at = AT - timedelta(minutes=left)
            id_ = _add(tables, status, workspace_id, integration_id, customer, place, at)
            if status != "PAID":
                found[status].append(id_)
            elif place == invoices // 2:
                paid, payment = id_, tables["payments"][-1]["id"]
        for row in tables["events"]:
            events += 1
            row["number"] = events
        if inserting is not None:
            await inserting
        inserting = asyncio.create_task(_insert_all(tables))
        on_progress(min(invoices, begin + AT_ONCE))
    if inserting is not None:
        await inserting
    async with transaction() as tx:
        await tx.execute("UPDATE workspaces SET seq = $2 WHERE id = $1", workspace_id, events)
        if is_analyzed:
            await tx.execute("ANALYZE")  # as PostgreSQL does on its own within a minute
    await merge_all()  # as a server does within seconds
    return Filled(workspace_id, integration_id, customers[0], customers, found["OPEN"], found["DRAFT"], paid, payment)


def _without_invoices(workspace_id: str, n: int, of: int) -> Row:
    """Make a customer without invoices; the oldest three have a name of their own."""
    at = AT - timedelta(minutes=of - n)
    name = "Grace Hopper" if n < RARE else f"Customer {n}"
    return {
        "id": _id_at(Prefix.CUSTOMER, at), "workspace_id": workspace_id, "name": name,
        "email": f"customer{n}@example.com", "external_id": f"C-{n}", "created_at": at, "updated_at": at,
    }  # fmt: skip


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
         "finalized_at": at if is_final else None, "paid_at": at if is_paid else None,
         "memo": "The first of all" if n == 0 else None}
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
             "type": "payment_intent.succeeded", "livemode": False, "api_version": API_VERSION,
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


async def _insert_all(tables: dict[str, list[Row]]) -> None:
    async with transaction() as tx:
        for table, rows in tables.items():
            await _insert(tx, table, rows)


async def _insert(tx: Transaction, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    kinds: dict[str, str] = {}
    for row in rows[:1] + rows[-1:]:
        kinds |= {name: TYPES[type(value)] for name, value in row.items() if value is not None}
    values = [tuple(row.get(name) for name in kinds) for row in rows]
    await insert_rows(tx, table, kinds, values)


def _id_at(prefix: Prefix, at: datetime) -> str:
    """Make an id with an earlier time."""
    return first_id_at(prefix, at)[:-16] + new_id(prefix)[-16:]
