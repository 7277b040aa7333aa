"""What is logged of a payment."""

import pytest

from models.kinds import Allocation, EventType, PaymentStatus
from models.payment import PaymentState
from models.settlement.case import LogEntry
from models.settlement.log import log_of_payment
from tests.world.desk import payment

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
