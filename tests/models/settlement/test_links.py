"""What can still be paid of an invoice, after its money was counted."""

import pytest

from models.kinds import InvoiceStatus, PaymentLinkStatus, PaymentStatus
from models.payment_link import LinkState
from models.settlement.links import links_after
from tests.world.desk import active_link, open_invoice, payment

ACTIVE, PENDING = PaymentLinkStatus.ACTIVE, PaymentLinkStatus.PENDING


def after(link: LinkState, **invoice: object) -> list[tuple[PaymentLinkStatus, bool]]:
    """The status of each link, and whether it is still to be stopped at Stripe."""
    return [(link.status, link.stop) for link in links_after([link], open_invoice(**invoice), [], "link_2", used=None)]


def test_a_link_that_asks_for_what_remains_stays() -> None:
    assert after(active_link(amount=1000), total=1000) == [(ACTIVE, False)]


@pytest.mark.parametrize("status", [ACTIVE, PENDING])
def test_a_link_that_asks_for_more_is_stopped_and_another_made(status: PaymentLinkStatus) -> None:
    link = active_link(amount=1000, status=status)

    assert after(link, total=1000, amount_paid=1) == [(PaymentLinkStatus.DEACTIVATED, True), (PENDING, False)]


@pytest.mark.parametrize(
    ("status", "becomes"), [(ACTIVE, PaymentLinkStatus.COMPLETED), (PENDING, PaymentLinkStatus.DEACTIVATED)]
)
def test_every_link_of_a_paid_invoice_is_stopped(status: PaymentLinkStatus, becomes: PaymentLinkStatus) -> None:
    link = active_link(amount=1000, status=status)

    assert after(link, total=1000, amount_paid=1000, status=InvoiceStatus.PAID) == [(becomes, True)]


def test_a_link_that_was_paid_needs_no_stop_whatever_became_of_it() -> None:
    link = active_link(amount=1000, provider_id="plink_1", stop=True, status=PaymentLinkStatus.DEACTIVATED)

    (found,) = links_after([link], open_invoice(status=InvoiceStatus.VOID), [], "link_2", used="plink_1")

    assert (found.status, found.stop) == (PaymentLinkStatus.COMPLETED, False)


@pytest.mark.parametrize(("amount", "is_payable"), [(999, True), (1000, False), (1001, False)])
def test_nothing_can_be_paid_while_what_is_under_way_covers_what_remains(amount: int, is_payable: bool) -> None:
    under_way = payment(status=PaymentStatus.PENDING, amount=amount)

    (found,) = links_after([active_link(amount=1000)], open_invoice(total=1000), [under_way], "link_2", used=None)

    assert (found.status is ACTIVE) == is_payable
    assert found.stop != is_payable
