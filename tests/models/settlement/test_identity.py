"""Which payments are one, and what is known of them together."""

from datetime import timedelta
from typing import Any

import pytest

from models.kinds import Allocation, Mode, PaymentStatus
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact, Presentment
from models.settlement.case import Case
from models.settlement.identity import applied_as, merged, presentment_of_both, subject_of
from tests.world.desk import CUSTOMER, INVOICE, NOW, WORKSPACE, open_invoice, payment

LOST: dict[str, Any] = {
    "invoice_id": None,
    "customer_id": None,
    "allocation": Allocation.UNAPPLIED,
    "unapplied_code": "INVOICE_NOT_FOUND",
}
REST = payment(id="pay_2", provider_payment_id="in_1", is_whole=True)


def test_money_without_an_invoice_of_its_own_counts_where_the_rest_did() -> None:
    found = applied_as(payment(**LOST), REST)

    assert (found.invoice_id, found.customer_id, found.allocation) == (INVOICE, CUSTOMER, Allocation.APPLIED)
    assert found.unapplied_code is None


@pytest.mark.parametrize(
    ("own", "rest"),
    [
        (payment(invoice_id="inv_2"), REST),
        (payment(**LOST, status=PaymentStatus.PENDING), REST),
        (payment(**LOST, currency="EUR"), REST),
        (payment(**LOST), REST._replace(status=PaymentStatus.FAILED)),
        (payment(**LOST), REST._replace(allocation=Allocation.UNAPPLIED)),
    ],
    ids=[
        "it counts itself",
        "it is no money yet",
        "another currency",
        "the rest is no money",
        "the rest counts nowhere",
    ],
)
def test_what_is_no_such_money_stays_as_it_is(own: PaymentState, rest: PaymentState) -> None:
    assert applied_as(own, rest) == own


@pytest.mark.parametrize("rest_succeeded", [False, True])
@pytest.mark.parametrize("own_succeeded", [False, True])
def test_of_a_payment_and_the_rest_of_its_order_the_rest_says_only_that_money_came(
    own_succeeded: bool, rest_succeeded: bool
) -> None:
    """A payment's own events decide, unless the money that they don't know of is the rest's."""
    own = payment(amount=300, status=PaymentStatus.SUCCEEDED if own_succeeded else PaymentStatus.FAILED)
    rest = REST._replace(amount=400, status=PaymentStatus.SUCCEEDED if rest_succeeded else PaymentStatus.PENDING)

    found = merged([own, rest], "USD").payment

    assert found is not None
    decides = rest if rest_succeeded and not own_succeeded else own
    assert (found.status, found.amount, found.is_whole) == (decides.status, decides.amount, decides.is_whole)


@pytest.mark.parametrize(("first", "second"), [("", "2"), ("2", "")])
def test_of_two_that_succeeded_the_one_that_was_decided_by_an_event_says_when(first: str, second: str) -> None:
    """And the earlier one, if both were or none."""
    undecided, decided = NOW - timedelta(hours=1), NOW
    when = {"": undecided, "2": decided}
    one = payment(decided_by=first, occurred_at=when[first])
    other = payment(id="pay_2", decided_by=second, occurred_at=when[second])

    found = merged([one, other], "USD").payment

    assert found is not None
    assert (found.occurred_at, found.decided_by) == (decided, "2")


@pytest.mark.parametrize("decided_by", ["", "1"])
def test_of_two_that_are_decided_alike_the_earlier_says_when(decided_by: str) -> None:
    one = payment(decided_by=decided_by)
    other = payment(id="pay_2", decided_by=decided_by, occurred_at=NOW - timedelta(hours=1), amount=700)

    found = merged([one, other], "USD").payment

    assert found is not None
    assert (found.occurred_at, found.amount) == (NOW - timedelta(hours=1), 700)


def test_the_oldest_keeps_its_id_and_takes_the_names_of_the_others() -> None:
    one = payment(id="pay_2", provider_payment_id="cs_1", provider_ids=frozenset({"cs_1"}))

    found = merged([one, payment()], "USD")

    assert found.payment is not None
    assert (found.payment.id, found.payment.provider_payment_id) == ("pay_1", "pi_1")
    assert found.payment.provider_ids == {"pi_1", "cs_1"}
    assert [(each.id, each.into) for each in found.absorbed] == [("pay_2", "pay_1")]


def test_nothing_merges_to_nothing() -> None:
    assert merged([], "USD").payment is None


@pytest.mark.parametrize("status", [PaymentStatus.FAILED, PaymentStatus.PENDING])
@pytest.mark.parametrize("is_applied", [True, False])
def test_money_that_came_is_further_than_an_attempt_whatever_was_said_last(
    status: PaymentStatus, is_applied: bool
) -> None:
    money = payment(decided_by="1", **({} if is_applied else LOST))
    attempt = payment(id="pay_2", status=status, amount=700, decided_by="9")

    for both in ([money, attempt], [attempt._replace(id="pay_1"), money._replace(id="pay_2")]):
        found = merged(both, "USD").payment

        assert found is not None
        assert (found.status, found.amount, found.allocation) == (PaymentStatus.SUCCEEDED, 500, money.allocation)


@pytest.mark.parametrize(("first", "second"), [("in_1", None), (None, "in_1")])
def test_the_stripe_invoice_that_either_names_is_kept(first: str | None, second: str | None) -> None:
    found = merged([payment(order_id=first), payment(id="pay_2", order_id=second)], "USD").payment

    assert found is not None
    assert found.order_id == "in_1"


@pytest.mark.parametrize("swapped", [False, True])
def test_of_what_two_events_say_that_the_customer_saw_the_larger_amount_is_kept(*, swapped: bool) -> None:
    seen = [Presentment(1800, "EUR"), Presentment(1850, "EUR")]
    one, other = reversed(seen) if swapped else seen

    assert presentment_of_both(one, other) == Presentment(1850, "EUR")


def case_of(names: tuple[str, ...], known: PaymentState) -> Case:
    """What is looked at for an event of an invoice that has these names."""
    event = PaymentFact(
        "evt_1", "any", 1, livemode=False, api_version=None, evidence=Evidence.PAID, is_handled=True,
        provider_ids=names,
    )  # fmt: skip
    return Case(
        event=event,
        workspace_id=WORKSPACE,
        mode=Mode.TEST,
        invoice_id=INVOICE,
        invoice=open_invoice(),
        customer_id=CUSTOMER,
        payments=[known],
        links=[],
        link_invoice_id=None,
        new_payment_id="pay_new",
        new_link_id="pl_new",
    )


def test_an_event_keeps_the_names_that_no_payment_of_another_invoice_has() -> None:
    elsewhere = payment(invoice_id="inv_2", provider_ids=frozenset({"ch_1", "cs_1"}))

    subject = subject_of(case_of(("cs_2", "ch_1"), elsewhere))

    assert (subject.known, subject.case.payments) == ([], [])
    assert subject.case.event.provider_ids == ("cs_2",)


def test_a_payment_of_another_intent_keeps_its_names_and_stays_one_of_the_invoice() -> None:
    other = payment(provider_ids=frozenset({"pi_1", "cs_1"}))

    subject = subject_of(case_of(("pi_2", "cs_1"), other))

    assert (subject.known, subject.case.payments) == ([], [other])
    assert subject.case.event.provider_ids == ("pi_2",)
