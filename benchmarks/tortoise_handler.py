"""A peer: what a developer writes first to receive Stripe's webhooks, on Starlette and Tortoise.

The route verifies the signature with Stripe's library. In one transaction it stores the event and a payment, and sets
the invoice PAID; it answers after the commit. An event that is stored already changes nothing.
"""

import contextlib
import os
from collections.abc import AsyncIterator

import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tortoise import fields
from tortoise.contrib.starlette import RegisterTortoise
from tortoise.exceptions import IntegrityError
from tortoise.models import Model
from tortoise.transactions import in_transaction


class StripeEvent(Model):
    """An event as Stripe sent it; its id is Stripe's."""

    id = fields.CharField(primary_key=True, max_length=255)
    type = fields.CharField(max_length=255)
    body = fields.TextField()
    received_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "stripe_events"


class Invoice(Model):
    """An invoice; its total is in minor units."""

    id = fields.CharField(primary_key=True, max_length=64)
    status = fields.CharField(max_length=16, default="OPEN")
    currency = fields.CharField(max_length=3)
    total = fields.BigIntField()
    paid_at = fields.DatetimeField(null=True)

    class Meta:
        table = "invoices"


class Payment(Model):
    """A payment of an invoice; its amount is in minor units."""

    id = fields.IntField(primary_key=True)
    invoice: fields.ForeignKeyRelation[Invoice] = fields.ForeignKeyField("models.Invoice", related_name="payments")
    payment_intent_id = fields.CharField(max_length=255, unique=True)
    currency = fields.CharField(max_length=3)
    amount = fields.BigIntField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "payments"


async def receive(request: Request) -> JSONResponse:
    """Verify, store and apply a webhook."""
    body = await request.body()
    signature = request.headers.get("stripe-signature", "")
    try:
        event = stripe.Webhook.construct_event(body, signature, os.environ["STRIPE_WEBHOOK_SECRET"])
    except (ValueError, stripe.SignatureVerificationError):
        return JSONResponse({"error": "invalid webhook"}, status_code=400)
    with contextlib.suppress(IntegrityError):
        await _apply(event, body.decode())
    return JSONResponse({"received": True})


async def _apply(event: stripe.Event, body: str) -> None:
    async with in_transaction():
        stored = await StripeEvent.create(id=event.id, type=event.type, body=body)
        if event.type != "payment_intent.succeeded":
            return
        intent = event.data.object
        invoice = await Invoice.select_for_update().get(id=intent["metadata"]["invoice_id"])
        await Payment.create(
            invoice=invoice,
            payment_intent_id=intent["id"],
            currency=intent["currency"].upper(),
            amount=intent["amount_received"],
        )
        invoice.status, invoice.paid_at = "PAID", stored.received_at
        await invoice.save(update_fields=["status", "paid_at"])


@contextlib.asynccontextmanager
async def _database(app: Starlette) -> AsyncIterator[None]:
    """Open the database and make its tables."""
    url = os.environ["DATABASE_URL"]
    async with RegisterTortoise(app, db_url=url, modules={"models": [__name__]}, generate_schemas=True):
        yield


def create_app() -> Starlette:
    """Create the application, for `uvicorn --factory`."""
    return Starlette(routes=[Route("/webhooks/stripe/{token}", receive, methods=["POST"])], lifespan=_database)
