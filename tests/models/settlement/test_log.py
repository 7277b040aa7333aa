"""What is logged of a payment, and of what goes back of it."""

import pytest

from models.kinds import Allocation, EventType, PaymentStatus
from models.money_back import Dispute, Refund, Refunds
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.settlement.case import LogEntry
from models.settlement.log import log_of_money_back, log_of_payment
from tests.world.desk import NOW, payment

PENDING = payment(status=PaymentStatus.PENDING)
FAILED = payment(status=PaymentStatus.FAILED)
APPLIED = payment()
UNAPPLIED = payment(allocation=Allocation.UNAPPLIED, invoice_id=None)


@pytest.mark.parametrize(
    ("before", "after", "logged"),
    [
        (None, PENDING, EventType.PAYMENT_PENDING),
        (None, FAILED, EventType.PAYMENT_FAILED),
        (None, APPLIED, EventType.PAYMENT_SUCCEEDED),
        (None, UNAPPLIED, EventType.PAYMENT_UNAPPLIED),
        (PENDING, FAILED, EventType.PAYMENT_FAILED),
        (FAILED, PENDING, EventType.PAYMENT_PENDING),
        (FAILED, APPLIED, EventType.PAYMENT_SUCCEEDED),
        (PENDING, UNAPPLIED, EventType.PAYMENT_UNAPPLIED),
        (UNAPPLIED, APPLIED, EventType.PAYMENT_APPLIED),
        (APPLIED, UNAPPLIED, None),
    ],
)
def test_what_became_of_a_payment_is_logged(
    before: PaymentState | None, after: PaymentState, logged: EventType | None
) -> None:
    assert list(log_of_payment(before, after)) == ([] if logged is None else [LogEntry(logged)])


@pytest.mark.parametrize("state", [PENDING, FAILED, APPLIED, UNAPPLIED], ids=["pending", "failed", "applied", "not"])
@pytest.mark.parametrize("decided_by", ["1", "2"])
def test_of_what_happens_again_another_failure_alone_is_logged(state: PaymentState, decided_by: str) -> None:
    """It is another one if another event says so."""
    is_another_failure = state is FAILED and decided_by == "2"

    found = list(log_of_payment(state, state._replace(decided_by=decided_by)))

    assert found == ([LogEntry(EventType.PAYMENT_FAILED)] if is_another_failure else [])


def refunded(total: int) -> PaymentState:
    return payment(refunds=Refunds(total=total))


GONE = payment(refunds=Refunds(total=200, each=(Refund("re_1", 200, 1, True, "1"),)))
DISPUTED = payment(disputes=(Dispute("1", "needs_response", "fraudulent", 500, NOW, None, "dp_1"),))
CLOSED = payment(disputes=(Dispute("2", "lost", "fraudulent", 500, NOW, NOW, "dp_1"),))


@pytest.mark.parametrize(
    ("evidence", "before", "after", "logged"),
    [
        (Evidence.REFUNDED, None, refunded(0), None),
        (Evidence.REFUNDED, None, refunded(1), EventType.PAYMENT_REFUNDED),
        (Evidence.REFUND, refunded(0), refunded(1), EventType.PAYMENT_REFUNDED),
        (Evidence.REFUND, refunded(1), refunded(1), None),
        (Evidence.PAID, refunded(0), refunded(1), None),
        (Evidence.REFUND, refunded(200), GONE, EventType.PAYMENT_REFUND_FAILED),
        (Evidence.REFUND, None, GONE, EventType.PAYMENT_REFUND_FAILED),
        (Evidence.REFUND, GONE, GONE, None),
        (Evidence.PAID, None, GONE, None),
        (Evidence.DISPUTED, None, DISPUTED, EventType.PAYMENT_DISPUTED),
        (Evidence.DISPUTED, payment(), DISPUTED, EventType.PAYMENT_DISPUTED),
        (Evidence.DISPUTED, DISPUTED, DISPUTED, None),
        (Evidence.DISPUTED, None, payment(), None),
        (Evidence.DISPUTE_CLOSED, DISPUTED, CLOSED, EventType.PAYMENT_DISPUTE_CLOSED),
        (Evidence.DISPUTE_CLOSED, None, CLOSED, EventType.PAYMENT_DISPUTE_CLOSED),
    ],
)
def test_what_goes_back_is_logged_once(
    evidence: Evidence, before: PaymentState | None, after: PaymentState, logged: EventType | None
) -> None:
    event = PaymentFact("evt_1", "any", 1, livemode=False, api_version=None, evidence=evidence)

    assert list(log_of_money_back(event, before, after)) == ([] if logged is None else [LogEntry(logged)])
