"""Disputes: a customer's bank takes a payment back until the dispute is decided."""

from typing import Final

from simulator.account import Account
from simulator.errors import Payload, StripeError
from simulator.ids import new_id
from simulator.payment import Payment, charge_of, charged_session

CLOSE_OUTCOMES: Final = ("won", "lost")


def disputable_session(account: Account, link: Payload, session_id: str | None = None) -> Payload | None:
    """Find the newest session of a link, or the one that is named, that was paid and is not disputed."""
    return charged_session(account, link, lambda charge: not charge["disputed"], session_id)


def disputed_session(account: Account, link: Payload, session_id: str | None = None) -> Payload | None:
    """Find the newest session of a link, or the one that is named, whose dispute is not decided."""
    return charged_session(account, link, lambda charge: _is_open(account, charge), session_id)


def dispute(account: Account, link: Payload, session_id: str | None = None, at: int | None = None) -> Payment:
    """Let the customer's bank dispute a payment, and take it out of the account's balance.

    Raises:
        StripeError: No payment can be disputed.
    """
    session = disputable_session(account, link, session_id)
    charge = session and charge_of(account, session)
    if not session or not charge:
        raise StripeError(
            "No payment of this link can be disputed: nothing was paid, or it is disputed already.", status=409
        )
    payment = Payment(account, session) if at is None else Payment(account, session, at)
    opened = _new_dispute(charge, payment.at)
    account.disputes[opened["id"]] = opened
    charge.update(dispute=opened["id"], disputed=True)
    payment.add_event("charge.dispute.created", opened)
    _move_funds(opened, -opened["amount"], payment.at)
    payment.add_event("charge.dispute.funds_withdrawn", opened)
    return payment


def close_dispute(
    account: Account, link: Payload, outcome: str, session_id: str | None = None, at: int | None = None
) -> Payment:
    """Decide a dispute: won, the money comes back to the account; lost, it stays with the customer.

    Raises:
        StripeError: None waits to be decided.
    """
    session = disputed_session(account, link, session_id)
    charge = session and charge_of(account, session)
    if not session or not charge:
        raise StripeError("No payment of this link has a dispute that waits to be decided.", status=409)
    payment = Payment(account, session) if at is None else Payment(account, session, at)
    closed = account.disputes[charge["dispute"]]
    closed["status"] = outcome
    if outcome == "won":
        _move_funds(closed, closed["amount"], payment.at)
        payment.add_event("charge.dispute.funds_reinstated", closed)
    payment.add_event("charge.dispute.closed", closed)
    return payment


def _is_open(account: Account, charge: Payload) -> bool:
    return charge["disputed"] and account.disputes[charge["dispute"]]["status"] not in CLOSE_OUTCOMES


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


def _move_funds(about: Payload, amount: int, created: int) -> None:
    """Take a dispute's amount out of the balance, or give it back; the simulator charges no fees."""
    about["balance_transactions"].append(
        {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "created": created,
            "currency": about["currency"],
            "description": f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {about['charge']}",
            "fee": 0,
            "net": amount,
            "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
            "source": about["id"],
            "type": "adjustment",
        }
    )
