"""Invoices as their business handles them: drafts, numbers, endings, and what stays on record of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from models.ids import Prefix, new_id
from models.invoice import TRANSITIONS
from models.kinds import EventType, InvoiceStatus, Scope
from resolvers.context import Services
from tests.world import documents
from tests.world.business import Business, Json, new_business
from tests.world.caller import caller_with
from tests.world.stripe_payloads import payment_intent_succeeded

DRAFT, OPEN, PAID, VOID, UNCOLLECTIBLE = InvoiceStatus

ENDINGS: Final = {
    PAID: documents.MARK_PAID,
    VOID: documents.VOID,
    UNCOLLECTIBLE: documents.MARK_UNCOLLECTIBLE,
}

UNAPPLIED: Final = """
query { payments { nodes { id allocation unappliedReason { code } amount { amount } invoice { id } } }
  webhookEvents { nodes { status reason { code } invoice { id } payment { id } } }
  totals { currency unapplied { amount } paid { amount } } }
"""


# --- States ----------------------------------------------------------------------------------------------------


async def _in_state(business: Business, status: InvoiceStatus) -> str:
    """An invoice over 20 USD that has come to a state."""
    draft = await business.draft("20.00")
    if status is not DRAFT:
        await business.finalize(draft)
    if status in ENDINGS:
        await business.mutate(ENDINGS[status], id=draft)
    return draft


def _asked(document: str) -> Callable[[Business, str], Awaitable[Json]]:
    return lambda business, id_: business.mutate(document, id=id_)


ACTIONS: Final[dict[str, tuple[InvoiceStatus, Callable[[Business, str], Awaitable[Json]]]]] = {
    "finalize": (OPEN, _asked(documents.FINALIZE)),
    "mark paid": (PAID, _asked(documents.MARK_PAID)),
    "void": (VOID, _asked(documents.VOID)),
    "write off": (UNCOLLECTIBLE, _asked(documents.MARK_UNCOLLECTIBLE)),
    "update": (DRAFT, lambda business, id_: business.mutate(documents.UPDATE_INVOICE, input={"id": id_, "memo": "x"})),
    "delete": (DRAFT, _asked(documents.DELETE_INVOICE)),
    "make a link": (OPEN, _asked(documents.CREATE_PAYMENT_LINK)),
}
"""What can be done to an invoice, and the state that it needs or leads to."""

POSSIBLE: Final = {
    "finalize": {DRAFT},
    "mark paid": {OPEN, UNCOLLECTIBLE},
    "void": {OPEN, UNCOLLECTIBLE},
    "write off": {OPEN},
    "update": {DRAFT},
    "delete": {DRAFT},
    "make a link": {OPEN},
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("status", InvoiceStatus)
async def test_what_the_state_does_not_allow_is_refused_and_changes_nothing(
    business: Business, status: InvoiceStatus, action: str
) -> None:
    """From and to are told."""
    to, act = ACTIONS[action]
    invoice_id = await _in_state(business, status)
    before = (await business.invoice(invoice_id), await business.timeline(invoice_id))

    result = await act(business, invoice_id)

    if status in POSSIBLE[action]:
        assert result["__typename"] != "InvalidTransition"
    else:
        assert (result["__typename"], result["code"]) == ("InvalidTransition", "INVALID_TRANSITION")
        assert (result["from"], result["to"]) == (status, to)
        assert (await business.invoice(invoice_id), await business.timeline(invoice_id)) == before


async def test_the_endings_are_those_of_the_state_machine() -> None:
    ways = {"finalize": OPEN, "mark paid": PAID, "void": VOID, "write off": UNCOLLECTIBLE}

    possible = {(status, to) for action, to in ways.items() for status in POSSIBLE[action]}

    assert possible == {(status, to) for status, targets in TRANSITIONS.items() for to in targets}


async def test_each_ending_has_its_time(business: Business) -> None:
    document = "query ($id: ID!) { invoice(id: $id) { finalizedAt paidAt voidedAt uncollectibleAt } }"

    times = {status: await business.mutate(document, id=await _in_state(business, status)) for status in InvoiceStatus}

    assert {status: [name for name, at in found.items() if at] for status, found in times.items()} == {
        DRAFT: [],
        OPEN: ["finalizedAt"],
        PAID: ["finalizedAt", "paidAt"],
        VOID: ["finalizedAt", "voidedAt"],
        UNCOLLECTIBLE: ["finalizedAt", "uncollectibleAt"],
    }


async def test_nothing_to_pay_is_paid_at_once_without_a_link(business: Business) -> None:
    await business.connect()

    invoice = await business.finalized("0.00")

    assert (invoice["status"], invoice["paymentLink"]) == ("PAID", None)
    assert invoice["paidAt"] is not None
    assert await business.happened(invoice["id"]) == [
        EventType.INVOICE_CREATED,
        EventType.INVOICE_FINALIZED,
        EventType.INVOICE_PAID,
    ]
    assert await business.stripe.links() == []


async def test_marking_paid_records_the_remainder(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await business.deliver(integration["id"], _paying(business, invoice["id"], 500))

    paid = (await business.mutate(documents.MARK_PAID, id=invoice["id"]))["invoice"]

    assert paid["status"] == "PAID"
    assert paid["amountPaidOutOfBand"] == {"amount": "15.00"}
    assert (paid["amountPaid"], paid["amountRemaining"]) == ({"amount": "20.00"}, {"amount": "0.00"})


# --- Numbers ---------------------------------------------------------------------------------------------------


async def test_numbers_have_no_gaps_whatever_fails_at_the_same_time(business: Business) -> None:
    await business.connect()
    customer_id = await business.customer()
    good = [await business.draft("20.00", customerId=customer_id) for _ in range(14)]
    not_chargeable = [await business.draft("1.005", currency="KWD", customerId=customer_id) for _ in range(3)]
    missing = [new_id(Prefix.INVOICE) for _ in range(3)]
    mixed = [*good[:7], *not_chargeable, *good[:3], *missing, *good[7:]]

    results = await asyncio.gather(*(business.finalize(draft) for draft in mixed))
    last = await business.finalized("1.00", customerId=customer_id)

    kinds = [result["__typename"] for result in results]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "FinalizeInvoiceSuccess": 14,
        "InvalidTransition": 3,
        "InvalidInput": 3,
        "NotFound": 3,
    }
    numbers = [(await business.invoice(draft))["number"] for draft in good]
    year = datetime.now(UTC).year
    assert sorted(numbers) == [f"INV-{year}-{sequence:04d}" for sequence in range(1, 15)]
    assert last["number"] == f"INV-{year}-0015"


async def test_each_workspace_counts_for_itself_and_drafts_do_not_count(
    business: Business, office: Services, stripe_url: str
) -> None:
    elsewhere = await new_business(office, stripe_url)
    draft = await business.draft()

    numbers = [(await each.finalized())["number"][-4:] for each in (business, elsewhere, business)]

    assert numbers == ["0001", "0001", "0002"]
    assert (await business.invoice(draft))["number"] is None


# --- The record ------------------------------------------------------------------------------------------------


async def test_a_change_keeps_its_note_and_who_made_it(business: Business, office: Services) -> None:
    colleague = replace(business, admin=await caller_with(office, business.workspace, Scope.WRITE))
    me, them = [await _key_id(each) for each in (business, colleague)]
    invoice = await business.finalized("20.00")

    await colleague.mutate(documents.MARK_UNCOLLECTIBLE, id=invoice["id"], note="  gone bankrupt  ")
    await business.mutate(documents.VOID, id=invoice["id"], note=" ")

    *_, written_off, voided = await business.timeline(invoice["id"])
    assert _told(written_off) == ("INVOICE_MARKED_UNCOLLECTIBLE", them, "gone bankrupt", "OPEN", "UNCOLLECTIBLE")
    assert _told(voided) == ("INVOICE_VOIDED", me, None, "UNCOLLECTIBLE", "VOID")
    assert written_off["occurredAt"] <= voided["occurredAt"]


async def test_what_stripe_and_the_product_do_is_told_as_theirs(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")

    await business.deliver(integration["id"], _paying(business, invoice["id"], 2000))

    actors = {event["type"]: event["actor"] for event in await business.timeline(invoice["id"])}
    assert actors["INVOICE_FINALIZED"] == await _key_id(business)
    assert actors["PAYMENT_LINK_CREATED"] == "system"
    assert (actors["PAYMENT_SUCCEEDED"], actors["INVOICE_PAID"]) == ("stripe", "stripe")


async def test_a_note_is_bounded(business: Business) -> None:
    invoice = await business.finalized("20.00")

    refusal = await business.mutate(documents.VOID, id=invoice["id"], note="x" * 1001)

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["note"])
    assert (await business.invoice(invoice["id"]))["status"] == "OPEN"


# --- Idempotency -----------------------------------------------------------------------------------------------


async def test_the_same_key_and_input_makes_one_draft_also_at_once(business: Business) -> None:
    given = await business.draft_input("20.00", idempotencyKey="order-1")

    results = await asyncio.gather(*(business.mutate(documents.CREATE_INVOICE, input=given) for _ in range(8)))
    later = await business.mutate(documents.CREATE_INVOICE, input=given)

    assert len({result["invoice"]["id"] for result in [*results, later]}) == 1
    assert await business.happened(later["invoice"]["id"]) == [EventType.INVOICE_CREATED]
    assert (await business.mutate("{ invoices { totalCount } }"))["totalCount"] == 1


@pytest.mark.parametrize(
    "other", [{"currency": "EUR"}, {"memo": "x"}, {"dueDate": "2030-01-01"}, {"lineItems": []}, {"customerId": ""}]
)
async def test_the_same_key_with_other_input_is_a_conflict(business: Business, other: Json) -> None:
    given = await business.draft_input("20.00", idempotencyKey="order-1")
    if "lineItems" in other:
        other = {"lineItems": [{"description": "Work 20.00", "unitAmount": "20.01"}]}
    if "customerId" in other:
        other = {"customerId": await business.customer()}
    await business.mutate(documents.CREATE_INVOICE, input=given)

    refusal = await business.mutate(documents.CREATE_INVOICE, input=given | other)

    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")
    assert refusal["path"] == ["input", "idempotencyKey"]


async def test_an_idempotency_key_whose_draft_was_deleted_is_spent(business: Business) -> None:
    given = await business.draft_input("20.00", idempotencyKey="order-1")
    draft = await business.mutate(documents.CREATE_INVOICE, input=given)
    await business.mutate(documents.DELETE_INVOICE, id=draft["invoice"]["id"])

    refusal = await business.mutate(documents.CREATE_INVOICE, input=given)

    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "IDEMPOTENCY_KEY_SPENT")
    assert (refusal["path"], "use a new key" in refusal["message"]) == (["input", "idempotencyKey"], True)


async def test_input_that_means_the_same_is_the_same(business: Business) -> None:
    given = await business.draft_input("20.00", idempotencyKey="order-1")
    again = given | {
        "currency": "usd",
        "lineItems": [{"description": " Work 20.00", "quantity": "1.0", "unitAmount": "20"}],
    }

    first = await business.mutate(documents.CREATE_INVOICE, input=given)
    second = await business.mutate(documents.CREATE_INVOICE, input=again)

    assert first["invoice"]["id"] == second["invoice"]["id"]


async def test_a_key_is_free_again_when_its_first_use_was_refused(business: Business) -> None:
    given = await business.draft_input("20.00", idempotencyKey="order-1")

    refused = await business.mutate(documents.CREATE_INVOICE, input=given | {"customerId": new_id(Prefix.CUSTOMER)})
    made = await business.mutate(documents.CREATE_INVOICE, input=given)

    assert (refused["__typename"], made["__typename"]) == ("NotFound", "CreateInvoiceSuccess")


async def test_a_key_belongs_to_its_workspace(business: Business, office: Services, stripe_url: str) -> None:
    elsewhere = await new_business(office, stripe_url)

    ids = [await each.draft("20.00", idempotencyKey="order-1") for each in (business, elsewhere)]

    assert ids[0] != ids[1]


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
async def test_a_key_is_bounded(business: Business, key: str) -> None:
    given = await business.draft_input("20.00", idempotencyKey=key)

    refusal = await business.mutate(documents.CREATE_INVOICE, input=given)

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "idempotencyKey"])


# --- Money -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "lines", "total"),
    [
        ("USD", [("1", "0.005")] * 3, "0.03"),
        ("USD", [("1", "0.0049999")] * 3, "0.00"),
        ("USD", [("3", "0.10")], "0.30"),
        ("USD", [("1.5", "0.333333333333")], "0.50"),
        ("USD", [("0.5", "0.01"), ("0.5", "0.01")], "0.02"),
        ("USD", [("2", "1.005"), ("1", "1.005")], "3.02"),
        ("JPY", [("1", "0.5"), ("1", "0.49")], "1"),
        ("KWD", [("1", "0.0005")], "0.001"),
        ("USD", [("1000000", "9999999.99")], "9999999990000.00"),
    ],
    ids=str,
)
async def test_each_line_is_rounded_half_up_by_itself(
    business: Business, currency: str, lines: list[tuple[str, str]], total: str
) -> None:
    given = [{"description": "Work", "quantity": quantity, "unitAmount": amount} for quantity, amount in lines]

    invoice = await business.invoice(await business.draft(currency=currency, lineItems=given))

    assert (invoice["total"]["amount"], invoice["total"]["currency"]) == (total, currency)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ({"unitAmount": "-0.01"}, ["0", "unitAmount"]),
        ({"quantity": "-1"}, ["0", "quantity"]),
        ({"quantity": "1000000000001"}, ["0", "quantity"]),
        ({"description": " "}, ["0", "description"]),
        ({"quantity": "100000000000", "unitAmount": "100000000000"}, []),
    ],
)
async def test_a_line_that_can_not_be_taken_is_named(business: Business, line: Json, path: list[str]) -> None:
    """There are no negative lines."""
    lines = [{"description": "Work", "unitAmount": "1.00", **line}]

    created = await business.mutate(documents.CREATE_INVOICE, input=await business.draft_input(lineItems=lines))
    draft = await business.draft("20.00")
    updated = await business.mutate(documents.UPDATE_INVOICE, input={"id": draft, "lineItems": lines})

    for refusal in (created, updated):
        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "lineItems", *path])
    assert (await business.invoice(draft))["total"]["amount"] == "20.00"


@pytest.mark.parametrize("count", [0, 501])
async def test_an_invoice_has_lines_but_not_too_many(business: Business, count: int) -> None:
    lines = [{"description": "Work", "unitAmount": "1.00"}] * count

    refusal = await business.mutate(documents.CREATE_INVOICE, input=await business.draft_input(lineItems=lines))

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "lineItems"])


@pytest.mark.parametrize("currency", ["", "US", "USDX", "XXX", "BTC", "€"])
async def test_what_stripe_can_not_charge_is_no_currency(business: Business, currency: str) -> None:
    refusal = await business.mutate(documents.CREATE_INVOICE, input=await business.draft_input(currency=currency))

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "UNKNOWN_CURRENCY")


# --- Drafts ----------------------------------------------------------------------------------------------------


async def _full_draft(business: Business) -> str:
    lines = [{"description": "Work", "quantity": "2", "unitAmount": "19.995"}]
    return await business.draft(lineItems=lines, dueDate="2030-01-31", memo="Project X")


async def test_an_update_keeps_what_it_does_not_name(business: Business) -> None:
    draft = await _full_draft(business)
    before = await _updated(business, draft)

    changes: list[Json] = [
        {"memo": "Project Y"},
        {"dueDate": "2031-01-31"},
        {"lineItems": [{"description": "Rest", "unitAmount": "5.00"}]},
        {"customerId": await business.customer()},
    ]

    for change in changes:
        after = await _updated(business, draft, **change)
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {{"customerId": "customer"}.get(name, name) for name in change} | (
            {"total"} if "lineItems" in change else set()
        )
        before = after


async def test_null_clears_what_can_be_cleared(business: Business) -> None:
    draft = await _full_draft(business)

    cleared = await _updated(business, draft, memo=None, dueDate=None)

    assert (cleared["memo"], cleared["dueDate"]) == (None, None)
    assert cleared["total"] == {"amount": "39.99"}
    for name in ("customerId", "currency", "lineItems"):
        refusal = await business.mutate(documents.UPDATE_INVOICE, input={"id": draft, name: None})
        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", name])


async def test_another_currency_rounds_the_lines_anew(business: Business) -> None:
    draft = await _full_draft(business)

    in_yen = await _updated(business, draft, currency="jpy")
    in_dinar = await _updated(business, draft, currency="KWD")

    assert (in_yen["currency"], in_yen["total"]) == ("JPY", {"amount": "40"})
    assert in_yen["lineItems"][0]["unitAmount"] == "19.995"
    assert (in_dinar["currency"], in_dinar["total"]) == ("KWD", {"amount": "39.990"})


async def test_a_customer_that_is_not_there_is_not_found(business: Business) -> None:
    draft = await business.draft()
    nobody = new_id(Prefix.CUSTOMER)

    created = await business.mutate(documents.CREATE_INVOICE, input=await business.draft_input(customerId=nobody))
    updated = await business.mutate(documents.UPDATE_INVOICE, input={"id": draft, "customerId": nobody})

    for refusal in (created, updated):
        assert (refusal["__typename"], refusal["path"]) == ("NotFound", ["input", "customerId"])


async def test_a_deleted_draft_leaves_the_money_that_came_for_it(business: Business) -> None:
    integration = await business.connect()
    draft = await business.draft("20.00")
    await business.deliver(integration["id"], _paying(business, draft, 2000))

    deleted = await business.mutate(documents.DELETE_INVOICE, id=draft)

    left = await business.admin.query(UNAPPLIED)
    (payment,), (event,) = left["payments"]["nodes"], left["webhookEvents"]["nodes"]
    assert deleted["deletedId"] == draft
    assert await business.mutate(documents.INVOICE, id=draft) is None
    assert (payment["allocation"], payment["unappliedReason"]["code"]) == ("UNAPPLIED", "INVOICE_DRAFT")
    assert (payment["amount"], payment["invoice"]) == ({"amount": "20.00"}, None)
    assert (event["status"], event["invoice"], event["payment"]) == ("UNAPPLIED", None, {"id": payment["id"]})
    assert left["totals"] == [{"currency": "USD", "unapplied": {"amount": "20.00"}, "paid": {"amount": "0.00"}}]
    again = await business.mutate(documents.DELETE_INVOICE, id=draft)
    assert again["__typename"] == "NotFound"


# --- Overdue ---------------------------------------------------------------------------------------------------


async def test_an_open_invoice_past_its_due_date_is_overdue(business: Business) -> None:
    """Today is not late yet, in UTC; nor is what is no longer open, or has no date."""
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    invoices = {
        "late": await _due(business, yesterday),
        "today": await _due(business, today),
        "whenever": (await business.finalized("20.00"))["id"],
        "draft": await business.draft("20.00", dueDate=yesterday.isoformat()),
        "written off": await _due(business, yesterday, documents.MARK_UNCOLLECTIBLE),
        "paid": await _due(business, yesterday, documents.MARK_PAID),
    }
    document = "query ($late: Boolean) { invoices(filter: {overdue: $late}) { nodes { id } } }"

    overdue = {name for name, id_ in invoices.items() if (await business.invoice(id_))["isOverdue"]}
    listed = {
        late: {node["id"] for node in (await business.mutate(document, late=late))["nodes"]} for late in (True, False)
    }
    (totals,) = (await business.admin.query("{ totals { overdue { amount } open { amount } } }"))["totals"]

    assert overdue == {"late"}
    assert listed == {True: {invoices["late"]}, False: set(invoices.values()) - {invoices["late"]}}
    assert totals == {"overdue": {"amount": "20.00"}, "open": {"amount": "60.00"}}


# --- Steps -----------------------------------------------------------------------------------------------------


async def _due(business: Business, due_date: date, ending: str | None = None) -> str:
    invoice = await business.finalized("20.00", dueDate=due_date.isoformat())
    if ending is not None:
        await business.mutate(ending, id=invoice["id"])
    return str(invoice["id"])


async def _updated(business: Business, draft: str, **given: Any) -> Json:
    updated: Json = (await business.mutate(documents.UPDATE_INVOICE, input={"id": draft, **given}))["invoice"]
    return updated


async def _key_id(business: Business) -> str:
    viewer = await business.mutate("{ viewer { apiKey { id } } }")
    return str(viewer["apiKey"]["id"])


def _told(event: Json) -> tuple[Any, ...]:
    return tuple(event[name] for name in ("type", "actor", "note", "previousStatus", "status"))


def _paying(business: Business, invoice_id: str, amount: int) -> Json:
    return payment_intent_succeeded(amount=amount, invoice_id=invoice_id, workspace_id=business.workspace.id)
