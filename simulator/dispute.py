"""Disputes: a customer's bank takes a payment back until it is decided whose it is."""

from simulator.account import Account
from simulator.errors import Payload, StripeError
from simulator.ids import new_id
from simulator.payment import Payment, charge_of, charged_session


def disputable_session(account: Account, link: Payload, session_id: str | None = None) -> Payload | None:
    """Find the newest session of a link, or the one that is named, that was paid and is not disputed."""
    return charged_session(account, link, lambda charge: not charge["disputed"], session_id)


def dispute(account: Account, link: Payload, session_id: str | None = None, at: int | None = None) -> Payment:
    """Let the customer's bank dispute a payment.

    Raises:
        StripeError: There is none that could be.
    """
    session = disputable_session(account, link, session_id)
    charge = session and charge_of(account, session)
    if not session or not charge:
        raise StripeError("No payment of this link can be disputed: nothing was paid, or it is already.", status=409)
    payment = Payment(account, session) if at is None else Payment(account, session, at)
    opened = _new_dispute(charge, payment.at)
    charge.update(dispute=opened["id"], disputed=True)
    payment.tell("charge.dispute.created", opened)
    return payment


def _new_dispute(charge: Payload, created: int) -> Payload:
    return {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": charge["amount_captured"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
