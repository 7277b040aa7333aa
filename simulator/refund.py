"""Refunds: money that goes back to a customer who paid a link."""

from typing import Final

from simulator.account import Account
from simulator.errors import Payload, StripeError
from simulator.ids import new_id
from simulator.payment import Payment, charge_of, charged_session

WITHOUT_ANY: Final = "No payment of this link can be refunded: nothing was paid, or all of it was refunded already."


def refundable_session(account: Account, link: Payload, session_id: str | None = None) -> Payload | None:
    """Find the newest session of a link, or the one that is named, that can be refunded, at least in part."""
    return charged_session(account, link, lambda charge: _left(charge) > 0, session_id)


def refund(
    account: Account, link: Payload, amount: int | None = None, session_id: str | None = None, at: int | None = None
) -> Payment:
    """Refund a payment, in full or by an amount.

    Raises:
        StripeError: There is nothing to give back, or less than that.
    """
    session = refundable_session(account, link, session_id)
    charge = session and charge_of(account, session)
    if not session or not charge:
        raise StripeError(WITHOUT_ANY, status=409)
    amount = _left(charge) if amount is None else amount
    if not 0 < amount <= _left(charge):
        message = f"Refund amount ({amount}) must be from 1 to what is left of the charge ({_left(charge)})."
        raise StripeError(message, param="amount")
    payment = Payment(account, session) if at is None else Payment(account, session, at)
    charge["amount_refunded"] += amount
    charge["refunded"] = _left(charge) == 0
    payment.add_event("charge.refunded", charge)
    payment.add_event("refund.created", _new_refund(charge, amount, payment.at))
    return payment


def _left(charge: Payload) -> int:
    return int(charge["amount_captured"] - charge["amount_refunded"])


def _new_refund(charge: Payload, amount: int, created: int) -> Payload:
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "requested_by_customer",
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
