"""What a batch's books know of a payment, by its invoice and by its Stripe invoice."""

import pytest

from inbox.books import Books
from models.kinds import PaymentLinkStatus, WebhookEventStatus
from models.payment_fact import Evidence, PaymentFact
from models.settlement import Verdict
from tests.world.desk import INVOICE, ORIGIN, WORKSPACE, active_link, open_invoice, payment

OTHER = "inv_2"


def test_a_payment_that_leaves_its_invoice_is_no_longer_among_those_of_that() -> None:
    books = Books()
    books.invoices = {(WORKSPACE, INVOICE): open_invoice(), (WORKSPACE, OTHER): open_invoice(id=OTHER)}
    moved = payment()
    books.put((WORKSPACE, moved.id), moved)

    books.put((WORKSPACE, moved.id), moved._replace(invoice_id=OTHER))

    event = PaymentFact(
        "evt_1", "any", 1, livemode=False, api_version=None, evidence=Evidence.PAID, is_handled=True,
        provider_ids=("pi_2",), metadata_invoice_id=INVOICE,
    )  # fmt: skip
    assert books.case(ORIGIN, event).payments == ()
    assert [each.id for each in books.case(ORIGIN, event._replace(metadata_invoice_id=OTHER)).payments] == [moved.id]


def test_a_link_never_goes_back_to_what_it_was() -> None:
    books = Books()
    spent = active_link(status=PaymentLinkStatus.COMPLETED)
    books.links[WORKSPACE, INVOICE] = [spent]

    with pytest.raises(AssertionError, match="a link can't go from COMPLETED to ACTIVE"):
        books.enter(
            ORIGIN,
            INVOICE,
            Verdict(WebhookEventStatus.PROCESSED, links=(spent._replace(status=PaymentLinkStatus.ACTIVE),)),
        )
