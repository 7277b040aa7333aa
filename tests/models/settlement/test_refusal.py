"""Why an event is about no payment that is known, and why money can't be applied by hand."""

from typing import Any

import pytest

from models.kinds import Allocation, Mode, PaymentStatus
from models.money_back import Refunds
from models.payment_fact import Evidence, PaymentFact
from models.reason import Reason
from models.settlement.case import Case
from models.settlement.refusal import NotAllocated, why_ignored, why_not_allocated
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE, open_invoice, payment


@pytest.mark.parametrize(
    ("known", "named", "why"),
    [
        ({}, {"provider_ids": ("pi_1",)}, None),
        ({}, {"provider_ids": ("ch_2", "pi_1")}, None),
        ({}, {"provider_ids": ("pi_2",)}, Reason.PAYMENT_UNKNOWN),
        ({"order_id": "in_1"}, {"provider_ids": ("pi_2",), "order_id": "in_1"}, None),
        ({"order_id": "in_1"}, {"provider_ids": ("pi_2",), "order_id": "in_2"}, Reason.PAYMENT_UNKNOWN),
        ({"order_id": "in_1"}, {"provider_ids": ("pi_2",)}, Reason.PAYMENT_UNKNOWN),
        ({}, {"provider_ids": ("pi_2",), "order_id": "in_1"}, Reason.PAYMENT_UNKNOWN),
    ],
)
@pytest.mark.parametrize("evidence", [Evidence.REFUND, Evidence.DISPUTED, Evidence.DISPUTE_CLOSED])
def test_what_is_of_a_payment_alone_is_known_by_its_ids_or_its_order(
    evidence: Evidence, known: dict[str, Any], named: dict[str, Any], why: Reason | None
) -> None:
    """Not by the invoice that its metadata names: that is the refund's own."""
    event = PaymentFact(
        "evt_1", "any", 1, livemode=False, api_version=None, evidence=evidence, is_handled=True, **named
    )
    case = Case(
        event=event._replace(metadata_invoice_id=INVOICE, metadata_workspace_id=WORKSPACE),
        workspace_id=WORKSPACE,
        mode=Mode.TEST,
        invoice_id=INVOICE,
        invoice=open_invoice(),
        customer_id=CUSTOMER,
        payments=[payment(**known)],
        links=[],
        link_invoice_id=None,
        new_payment_id="pay_new",
        new_link_id="pl_new",
    )

    assert why_ignored(case) == why


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, None),
        ({"status": PaymentStatus.PENDING}, NotAllocated.PAYMENT_NOT_SUCCEEDED),
        ({"status": PaymentStatus.FAILED}, NotAllocated.PAYMENT_NOT_SUCCEEDED),
        ({"allocation": Allocation.APPLIED}, NotAllocated.ALREADY_APPLIED),
        ({"unapplied_code": Reason.LIVEMODE_MISMATCH}, NotAllocated.LIVEMODE_MISMATCH),
        ({"unapplied_code": Reason.INVOICE_VOID}, None),
        ({"refunds": Refunds(total=499)}, None),
        ({"refunds": Refunds(total=500)}, NotAllocated.PAYMENT_REFUNDED),
        ({"amount": 0}, None),
        ({"amount": 1, "refunds": Refunds(total=1)}, NotAllocated.PAYMENT_REFUNDED),
        ({"currency": "EUR"}, NotAllocated.CURRENCY_MISMATCH),
    ],
    ids=str,
)
def test_money_can_be_applied_by_hand_unless(values: dict[str, Any], why: NotAllocated | None) -> None:
    unapplied = {"invoice_id": None, "allocation": Allocation.UNAPPLIED, "unapplied_code": Reason.INVOICE_NOT_FOUND}

    assert why_not_allocated(payment(**(unapplied | values)), open_invoice()) == why
