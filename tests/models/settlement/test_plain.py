"""The short way of settlement comes to what the long way does, and is taken by what it is for.

There are 200 cases unless FLUXRATE_HISTORIES says how many.
"""

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.instant import from_epoch
from models.invoice import InvoiceState, MarkedPaid
from models.kinds import Allocation, InvoiceStatus, Mode, PaymentLinkStatus, PaymentStatus
from models.money_back import Refunds
from models.payment import PaymentState
from models.payment_fact import DisputeFact, Evidence, PaymentFact, Presentment, RefundFact
from models.payment_link import LinkState
from models.settlement import Case
from models.settlement.decide import settle_at_length
from models.settlement.plain import settle_plainly
from tests.world.desk import CUSTOMER, INVOICE, NOW, WORKSPACE, active_link, open_invoice
from tests.world.long import few_or_many

EXAMPLES: Final = few_or_many(100, 2000, "FLUXRATE_HISTORIES")
"""The other histories' number says how many cases are drawn, too."""

PAYMENT: Final = PaymentState(
    id="pay_1",
    provider_payment_id="pi_b",
    provider_ids=frozenset({"pi_b", "ch_b"}),
    invoice_id=INVOICE,
    customer_id=CUSTOMER,
    status=PaymentStatus.SUCCEEDED,
    amount=500,
    currency="USD",
    refunds=Refunds(),
    overpaid=0,
    allocation=Allocation.APPLIED,
    unapplied_code=None,
    failure_code=None,
    failure_message=None,
    decided_by="000000000010 00000000000000000000 evt_0",
    occurred_at=from_epoch(10),
)


def paid(**told: Any) -> PaymentFact:
    """A payment intent of ours succeeded."""
    standard: dict[str, Any] = {
        "id": "evt_a",
        "type": "payment_intent.succeeded",
        "created": 1_790_000_000,
        "livemode": False,
        "api_version": None,
        "evidence": Evidence.PAID,
        "provider_ids": ("pi_a", "ch_a"),
        "amount": 2000,
        "currency": "USD",
        "metadata_invoice_id": INVOICE,
        "metadata_customer_id": CUSTOMER,
        "metadata_workspace_id": WORKSPACE,
        "is_handled": True,
    }
    return PaymentFact(**(standard | told))


def case_of(event: PaymentFact, invoice: InvoiceState | None, **more: Any) -> Case:
    """What settlement looks at."""
    standard: dict[str, Any] = {
        "event": event,
        "workspace_id": WORKSPACE,
        "mode": Mode.TEST,
        "invoice_id": invoice.id if invoice else None,
        "invoice": invoice,
        "customer_id": None,
        "payments": (),
        "links": (active_link(id="pl_1"),),
        "link_invoice_id": None,
        "new_payment_id": "pay_2",
        "new_link_id": "pl_2",
    }
    return Case(**(standard | more))


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the first about as often as any other, so that much of what is drawn is nearly plain."""
    return st.one_of(st.just(usual), st.sampled_from([usual, *others]))


AMOUNTS: Final = (0, 1, 500, 1500, 1999, 2001, 4000)
MARK: Final = MarkedPaid("in_a", 700, NOW)
INVOICES: Final = st.builds(
    open_invoice,
    status=mostly(InvoiceStatus.OPEN, *InvoiceStatus),
    currency=mostly("USD", "EUR"),
    integration_id=mostly("int_1", None),
    total=mostly(2000, *AMOUNTS),
    amount_paid=mostly(0, 500),
    amount_paid_out_of_band=mostly(0, 500, 2000),
    amount_refunded=mostly(0, 1),
    paid_at=mostly(None, NOW),
    marked_paid=mostly((), (MARK,), (MARK._replace(applied=500),)),
)
EVENTS: Final = st.builds(
    paid,
    type=mostly("payment_intent.succeeded", "checkout.session.completed", "charge.refunded", "invoice.paid"),
    livemode=mostly(False, True),
    evidence=mostly(Evidence.PAID, *Evidence, None),
    provider_ids=mostly(("pi_a",), ("pi_a", "ch_a"), ("cs_a", "pi_a"), ("pi_b",), ("in_a",), ()),
    order_id=mostly(None, "in_a"),
    is_whole=mostly(False, True),
    amount=mostly(2000, *AMOUNTS),
    currency=mostly("USD", "EUR"),
    metadata_invoice_id=mostly(INVOICE, None, "inv_x", "4711"),
    metadata_workspace_id=mostly(WORKSPACE, None, "ws_other"),
    payment_link_id=mostly(None, "plink_a", "plink_b"),
    failure_code=mostly(None, "card_declined"),
    paid_at=mostly(None, 1_780_000_000),
    refunded=mostly(0, 500),
    refund=mostly(None, RefundFact("re_a", 1_790_000_000, is_gone=False)),
    dispute=mostly(None, DisputeFact("du_a", "needs_response", "fraudulent", 2000, 1_790_000_000)),
    presentment=mostly(None, Presentment(1800, "EUR")),
    amount_received=mostly(None, 500),
    weight=mostly(0, 3),
)
LINKS: Final = st.lists(
    st.builds(
        LinkState,
        id=st.sampled_from(["pl_1", "pl_3"]),
        integration_id=st.just("int_1"),
        status=mostly(PaymentLinkStatus.ACTIVE, *PaymentLinkStatus),
        provider_id=mostly("plink_a", "plink_b", None),
        amount=mostly(2000, 1500),
        stop=st.booleans(),
    ),
    max_size=2,
    unique_by=lambda link: link.id,
).map(tuple)
PAYMENTS: Final = mostly(
    (),
    (PAYMENT,),
    (PAYMENT._replace(provider_ids=frozenset({"pi_a"}), provider_payment_id="pi_a"),),
    (PAYMENT._replace(status=PaymentStatus.PENDING),),
    (PAYMENT._replace(invoice_id="inv_other"),),
)
CASES: Final = st.builds(
    case_of,
    EVENTS,
    INVOICES,
    mode=mostly(Mode.TEST, Mode.LIVE),
    payments=PAYMENTS,
    links=LINKS,
    link_invoice_id=mostly(None, INVOICE, "inv_other"),
)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None)
@given(case=CASES)
def test_the_short_way_decides_what_the_long_way_does(case: Case) -> None:
    plainly = settle_plainly(case)

    assert plainly is None or plainly == settle_at_length(case)


@pytest.mark.slow
@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    event=st.builds(
        paid,
        provider_ids=st.lists(st.sampled_from(["pi_a", "cs_a", "ch_a"]), min_size=1, unique=True).map(tuple),
        amount=st.integers(1, 10**12),
        metadata_invoice_id=st.sampled_from([INVOICE, None]),
        metadata_workspace_id=st.sampled_from([WORKSPACE, None]),
        payment_link_id=st.sampled_from([None, "plink_a", "plink_b"]),
        paid_at=st.sampled_from([None, 1_780_000_000]),
        presentment=st.sampled_from([None, Presentment(1800, "EUR")]),
        amount_received=st.sampled_from([None, 500]),
        weight=st.integers(0, 9),
    ),
    links=LINKS,
    link_invoice_id=st.sampled_from([None, INVOICE]),
)
def test_the_first_money_that_an_open_invoice_asks_for_goes_the_short_way(
    event: PaymentFact, links: tuple[LinkState, ...], link_invoice_id: str | None
) -> None:
    case = case_of(event, open_invoice(total=event.amount), links=links, link_invoice_id=link_invoice_id)

    plainly = settle_plainly(case)

    assert plainly is not None
    assert plainly == settle_at_length(case)


@pytest.mark.parametrize(
    ("event", "invoice", "more"),
    [
        (paid(amount=1999), open_invoice(), {}),
        (paid(amount=2001), open_invoice(), {}),
        (paid(amount=0), open_invoice(total=0), {}),
        (paid(currency="EUR"), open_invoice(), {}),
        (paid(livemode=True), open_invoice(), {}),
        (paid(evidence=Evidence.PENDING), open_invoice(), {}),
        (paid(evidence=Evidence.REFUNDED, refunded=2000), open_invoice(), {}),
        (paid(order_id="in_a"), open_invoice(), {}),
        (paid(order_id="in_a", is_whole=True), open_invoice(), {}),
        (paid(provider_ids=()), open_invoice(), {}),
        (paid(metadata_workspace_id="ws_other"), open_invoice(), {}),
        (paid(), None, {}),
        (paid(), open_invoice(status=InvoiceStatus.PAID, paid_at=NOW), {}),
        (paid(), open_invoice(status=InvoiceStatus.UNCOLLECTIBLE), {}),
        (paid(), open_invoice(amount_paid_out_of_band=500), {}),
        (paid(), open_invoice(marked_paid=(MARK,)), {}),
        (paid(), open_invoice(), {"payments": (PAYMENT,)}),
        (paid(), open_invoice(), {"link_invoice_id": "inv_other"}),
    ],
)
def test_anything_else_goes_the_long_way(event: PaymentFact, invoice: InvoiceState | None, more: Any) -> None:
    assert settle_plainly(case_of(event, invoice, **more)) is None
