"""Lists in an order of their own: every row once, whichever way and however narrowed they are walked."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import cycle
from random import Random
from typing import Any, Final

import pytest

from models.customer import Customer
from models.invoice import Invoice
from models.kinds import InvoiceStatus, PaymentStatus
from models.payment import Payment
from resolvers.reading import narrowing, orders
from tests.world.caller import Caller
from tests.world.long import is_long
from tests.world.rows import AT, Rows

Sorting = Callable[[Any], tuple[Any, ...] | None]
"""A row's values in an order; None where it has none."""

PAGE: Final = 9

NAMES: Final = ("ada", "Ada", "Éva", "eve", "Zoe", "😀", "ada")

ORDERS: Final[dict[tuple[str, str], Sorting]] = {
    ("invoices", "CREATED_AT"): lambda _: (),
    ("invoices", "DUE_DATE"): lambda row: row.due_date and (row.due_date,),
    ("invoices", "TOTAL"): lambda row: (row.currency, row.total),
    ("invoices", "PAID_AT"): lambda row: row.paid_at and (row.paid_at,),
    ("invoices", "CUSTOMER"): lambda row: (_folded(row.customer.name), row.customer_id),
    ("payments", "CREATED_AT"): lambda _: (),
    ("payments", "OCCURRED_AT"): lambda row: (row.occurred_at,),
    ("payments", "AMOUNT"): lambda row: (row.currency, row.amount),
    ("customers", "CREATED_AT"): lambda _: (),
    ("customers", "NAME"): lambda row: (_folded(row.name),),
}


def _folded(name: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)[:64]


async def _made(rows: Rows) -> dict[str, list[Any]]:
    """Rows that have much in common: few totals, days, instants and names."""
    chance = Random(3)
    integration = await rows.integration()
    customers = [await rows.customer(name=name, email="x@example.com") for name in (*NAMES, "nobody", "x" * 200)]
    invoices: list[Invoice] = []
    for number in range(36):
        status = chance.choice([InvoiceStatus.OPEN, InvoiceStatus.PAID, InvoiceStatus.DRAFT])
        customer = chance.choice([each for each in customers if each.name != "nobody"])
        invoice = await rows.invoice(
            customer,
            status=status,
            currency=chance.choice(["EUR", "USD"]),
            total=chance.choice([0, 1999, 10**14]),
            due_date=chance.choice([None, date(2026, 11, 1), date(2026, 11, 2), date(2099, 1, 1)]),
            paid_at=AT + timedelta(microseconds=chance.choice([0, 1, 10**6])) if status == "PAID" else None,
            memo="Even" if number % 2 == 0 else None,
        )
        invoice.customer = customer
        invoices.append(invoice)
    payments: list[Payment] = []
    for invoice in invoices[:20]:
        payment = await rows.payment(
            integration,
            invoice,
            currency=invoice.currency,
            amount=chance.choice([0, 5, 700]),
            status=chance.choice([PaymentStatus.SUCCEEDED, PaymentStatus.FAILED]),
            occurred_at=AT + timedelta(microseconds=chance.choice([0, 1, 10**6])),
        )
        payments.append(payment)
    return {"customers": customers, "invoices": invoices, "payments": payments}


def _sorted(rows: Sequence[Any], values: Sorting, direction: str) -> list[str]:
    """The ids as they are to be listed: what has no value comes last."""
    keyed = [(values(row), row.id) for row in rows]
    descending = direction == "DESC"
    with_ = sorted((key for key in keyed if key[0] is not None), reverse=descending)
    without = sorted((key for key in keyed if key[0] is None), key=lambda key: key[1], reverse=descending)
    return [id_ for _, id_ in (*with_, *without)]


def _document(name: str, asked: str = "") -> str:
    order = f"{name.removesuffix('s').title()}Order"
    return (
        f"query ($first: Int, $after: String, $last: Int, $before: String, $by: {order}) {{"
        f" {name}(first: $first, after: $after, last: $last, before: $before, orderBy: $by{asked}) {{"
        " nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor } } }"
    )


async def _forwards(caller: Caller, document: str, by: dict[str, str]) -> list[str]:
    ids: list[str] = []
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        ((answer),) = (await caller.query(document, first=PAGE, after=page["endCursor"], by=by)).values()
        ids += [node["id"] for node in answer["nodes"]]
        assert answer["pageInfo"]["hasPreviousPage"] is (page["endCursor"] is not None)
        page = answer["pageInfo"]
    return ids


async def _backwards(caller: Caller, document: str, by: dict[str, str]) -> list[str]:
    ids: list[str] = []
    page: dict[str, Any] = {"hasPreviousPage": True, "startCursor": None}
    while page["hasPreviousPage"]:
        ((answer),) = (await caller.query(document, last=PAGE, before=page["startCursor"], by=by)).values()
        ids = [node["id"] for node in answer["nodes"]] + ids
        page = answer["pageInfo"]
    return ids


async def test_every_order_lists_every_row_once_from_both_ends(reader: Caller, rows: Rows) -> None:
    made = await _made(rows)

    for (name, field), values in ORDERS.items():
        for direction in ("ASC", "DESC"):
            by, expected = {"field": field, "direction": direction}, _sorted(made[name], values, direction)

            assert await _forwards(reader, _document(name), by) == expected, by
            assert await _backwards(reader, _document(name), by) == expected, by


Meets = Callable[[Any], bool]

FILTERS: Final[dict[tuple[str, str], Meets]] = {
    ("invoices", "filter: {status: [OPEN]}"): lambda row: row.status == "OPEN",
    ("invoices", "filter: {status: [PAID, DRAFT]}"): lambda row: row.status in {"PAID", "DRAFT"},
    ("invoices", "filter: {status: [OPEN], dueBefore: \"2026-11-02\"}"): lambda row: (
        row.status == "OPEN" and row.due_date == date(2026, 11, 1)
    ),
    ("invoices", "filter: {overdue: true}"): lambda row: (
        row.status == "OPEN" and row.due_date is not None and row.due_date.year == 2026
    ),
    ("invoices", "filter: {overdue: true, status: [PAID]}"): lambda _: False,
    ("invoices", "filter: {dueAfter: \"2026-11-01\"}"): lambda row: (
        row.due_date is not None and row.due_date > date(2026, 11, 1)
    ),
    ("invoices", "filter: {paidAfter: \"2026-11-23T12:30:00.0000005Z\"}"): lambda row: (
        row.paid_at is not None and row.paid_at > AT
    ),
    ("invoices", "filter: {currency: \"EUR\", totalMin: 10}"): lambda row: row.currency == "EUR" and row.total > 1000,
    ("invoices", "filter: {search: \"even\", status: [OPEN, DRAFT]}"): lambda row: (
        row.memo == "Even" and row.status != "PAID"
    ),
    ("invoices", "filter: {search: \"zoe\"}"): lambda row: row.customer.name == "Zoe",
    ("payments", "filter: {currency: \"EUR\"}"): lambda row: row.currency == "EUR",
    ("payments", "filter: {status: [FAILED]}"): lambda row: row.status == "FAILED",
    ("payments", "filter: {occurredAfter: \"2026-11-23T12:30:00Z\"}"): lambda row: row.occurred_at > AT,
    ("customers", "search: \"ada\""): lambda row: row.name.lower() == "ada",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.longer
@pytest.mark.parametrize("bounds", [(200, 10_000, 500), (3, 10_000, 2), (3, 2, 4)], ids=["near", "index", "walk"])
async def test_a_filter_leaves_the_order_as_it_is_however_it_is_found(
    reader: Caller, rows: Rows, bounds: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one end in one direction or from the other in the other: every second filter has it the other way round."""
    made = await _made(rows)
    for bound, value in zip(("NEAR", "LOOKED_UP", "_AT_ONCE"), bounds, strict=True):
        monkeypatch.setattr(orders, bound, value)
        monkeypatch.setattr(narrowing, bound, value)

    customer = made["invoices"][0].customer_id
    filters = FILTERS | {
        ("invoices", f'filter: {{customerId: "{customer}"}}'): lambda row: row.customer_id == customer,
        ("invoices", 'filter: {customerId: "cust_nobody"}'): lambda _: False,
    }
    ways, directions = cycle([_forwards, _backwards]), cycle(["ASC", "DESC"])
    for (name, asked), meets in filters.items():
        next(ways)
        for (of, field), values in ORDERS.items():
            if of != name or field == "CREATED_AT":
                continue
            for direction in ("ASC", "DESC") if is_long() else (next(directions),):
                by, walked = {"field": field, "direction": direction}, next(ways)
                expected = _sorted([row for row in made[name] if meets(row)], values, direction)

                assert await walked(reader, _document(name, f", {asked}"), by) == expected, (asked, by)


async def test_a_walk_ends_after_the_time_that_a_statement_may_take(
    reader: Caller, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _made(rows)
    for bound, value in zip(("NEAR", "LOOKED_UP", "_AT_ONCE"), (1, 0, 1), strict=True):
        monkeypatch.setattr(orders, bound, value)
        monkeypatch.setattr(narrowing, bound, value)
    monkeypatch.setattr(narrowing, "STATEMENT_TIMEOUT_S", 0.0)
    by = {"field": "AMOUNT", "direction": "ASC"}
    document = _document("payments", ', filter: {occurredAfter: "2026-11-23T12:30:00Z"}')

    _, errors = await reader.execute(document, first=100, by=by)

    assert [error["extensions"]["code"] for error in errors] == ["TIMED_OUT"]


@pytest.mark.slow
async def test_what_lies_between_two_cursors_is_listed_from_either_end(reader: Caller, rows: Rows) -> None:
    made = await _made(rows)
    for (name, field), values in ORDERS.items():
        for direction in ("ASC", "DESC"):
            by, expected = {"field": field, "direction": direction}, _sorted(made[name], values, direction)
            (whole,) = (await reader.query(_document(name), first=100, by=by)).values()
            cursors = [edge["cursor"] for edge in whole["edges"]]
            last_place = len(cursors) - 1
            for low, high in ((0, last_place), (1, 4), (last_place - 3, last_place), (2, 3), (last_place, 0)):
                between = {"after": cursors[low], "before": cursors[high], "by": by}
                (first,) = (await reader.query(_document(name), first=2, **between)).values()
                (last,) = (await reader.query(_document(name), last=2, **between)).values()

                inside = expected[low + 1 : high]
                assert [node["id"] for node in first["nodes"]] == inside[:2], (by, low, high)
                assert [node["id"] for node in last["nodes"]] == inside[-2:], (by, low, high)


async def test_a_list_in_an_order_is_counted_like_any_other(reader: Caller, rows: Rows) -> None:
    await _made(rows)

    answer = await reader.query(
        """{
          all: invoices(orderBy: {field: TOTAL, direction: ASC}) { totalCount totalCountPrecision }
          even: invoices(orderBy: {field: TOTAL, direction: ASC}, filter: {search: "even"}) { totalCount }
        }"""
    )

    assert answer == {"all": {"totalCount": 36, "totalCountPrecision": "EXACT"}, "even": {"totalCount": 18}}


# --- Refusals --------------------------------------------------------------------------------------------------


async def test_order_and_order_by_together_are_refused(reader: Caller) -> None:
    for name in ("invoices", "payments", "customers"):
        refusal = await reader.refusal(
            f"{{ {name}(order: ASC, orderBy: {{field: CREATED_AT, direction: ASC}}) {{ totalCount }} }}"
        )

        assert refusal["message"] == 'Give either "order" or "orderBy", not both.'
        assert refusal["extensions"]["code"] == "INVALID_INPUT"


_BY_TOTAL: Final = {"field": "TOTAL", "direction": "ASC"}


async def _cursor(caller: Caller, rows: Rows, by: dict[str, str] | None) -> str:
    await rows.invoice(await rows.customer())
    answer = await caller.query(_document("invoices"), first=1, by=by)
    cursor: str = answer["invoices"]["pageInfo"]["endCursor"]
    return cursor


@pytest.mark.parametrize(
    "by", [{"field": "TOTAL", "direction": "DESC"}, {"field": "DUE_DATE", "direction": "ASC"}], ids=str
)
async def test_a_cursor_of_another_order_is_refused_with_its_name(
    reader: Caller, rows: Rows, by: dict[str, str]
) -> None:
    cursor = await _cursor(reader, rows, _BY_TOTAL)

    refusal = await reader.refusal(_document("invoices"), after=cursor, by=by)

    assert refusal["message"] == (
        f'"after" is a cursor of invoices by TOTAL ASC, and this list is invoices by {by["field"]} {by["direction"]}: a'
        " cursor is valid only in the order that it comes from. Begin with the first page."
    )
    assert refusal["extensions"]["code"] == "CURSOR_OF_ANOTHER_ORDER"


async def test_a_cursor_of_the_list_by_creation_is_none_of_an_order_nor_the_reverse(reader: Caller, rows: Rows) -> None:
    by_creation, by_total = await _cursor(reader, rows, None), await _cursor(reader, rows, _BY_TOTAL)

    for cursor, by in ((by_creation, _BY_TOTAL), (by_total, None)):
        refusal = await reader.refusal(_document("invoices"), before=cursor, by=by)

        assert "an earlier page that was asked for in the same order" in refusal["message"]


async def test_a_cursor_of_another_workspace_is_refused(reader: Caller, stranger: Caller, rows: Rows) -> None:
    cursor = await _cursor(reader, rows, _BY_TOTAL)

    refusal = await stranger.refusal(_document("invoices"), after=cursor, by=_BY_TOTAL)

    assert refusal["message"].startswith('"after" is not a cursor of this list')


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("TOTAL", ["USD", "1999", "inv_1"]),
        ("TOTAL", ["USD", 2**63, "inv_1"]),
        ("TOTAL", ["USD", True, "inv_1"]),
        ("TOTAL", ["USD", None, "inv_1"]),
        ("TOTAL", [None, None, "inv_1"]),
        ("TOTAL", ["US\0", 1999, "inv_1"]),
        ("TOTAL", ["USD", 1999, "inv_\0"]),
        ("TOTAL", ["USD", 1999, 7]),
        ("TOTAL", ["USD", 1999]),
        ("TOTAL", [1999, "inv_1"]),
        ("TOTAL", ["x" * 300, 1999, "inv_1"]),
        ("DUE_DATE", ["yesterday", "inv_1"]),
        ("DUE_DATE", [20261123, "inv_1"]),
        ("PAID_AT", ["2026-11-23 12:30:00", "inv_1"]),
        ("PAID_AT", [{}, "inv_1"]),
        ("PAID_AT", ["0001-01-01T00:00:00+14:00", "inv_1"]),
        ("PAID_AT", ["9999-12-31T23:59:59-14:00", "inv_1"]),
    ],
    ids=str,
)
async def test_a_cursor_that_somebody_made_up_is_refused(
    reader: Caller, rows: Rows, field: str, place: list[Any]
) -> None:
    told = json.dumps([rows.workspace_id, f"invoices by {field} ASC", *place]).encode()
    cursor = base64.urlsafe_b64encode(told).decode().rstrip("=")

    refusal = await reader.refusal(_document("invoices"), after=cursor, by={"field": field, "direction": "ASC"})

    assert refusal["extensions"]["code"] == "INVALID_INPUT"


# --- Names -----------------------------------------------------------------------------------------------------


async def test_a_customer_that_is_renamed_moves(reader: Caller, admin: Caller, rows: Rows) -> None:
    """As do its invoices."""
    first, second = await rows.customer(name="Ada"), await rows.customer(name="Bob")
    invoices = [await rows.invoice(second), await rows.invoice(first)]
    by = {"field": "CUSTOMER", "direction": "ASC"}
    document = "mutation ($id: ID!) { updateCustomer(input: {id: $id, name: \"Zoe\"}) { __typename } }"  # fmt: skip
    before = await _forwards(reader, _document("invoices"), by)

    await admin.query(document, id=first.id)

    assert before == [invoices[1].id, invoices[0].id]
    assert await _forwards(reader, _document("invoices"), by) == [invoices[0].id, invoices[1].id]
    assert [*await _names(reader)] == ["Bob", "Zoe"]


async def _names(caller: Caller) -> list[str]:
    answer = await caller.query("{ customers(orderBy: {field: NAME, direction: ASC}) { nodes { name } } }")
    return [node["name"] for node in answer["customers"]["nodes"]]


async def test_an_invoice_that_changes_its_customer_is_listed_under_the_new_one(
    reader: Caller, admin: Caller, rows: Rows
) -> None:
    """Who had none until then, too."""
    ada: Customer = await rows.customer(name="Ada")
    bob: Customer = await rows.customer(name="Bob")
    draft = await rows.invoice(ada, status=InvoiceStatus.DRAFT)
    document = "mutation ($id: ID!, $to: ID!) { updateInvoice(input: {id: $id, customerId: $to}) { __typename } }"

    answer = await admin.query(document, id=draft.id, to=bob.id)

    assert answer == {"updateInvoice": {"__typename": "UpdateInvoiceSuccess"}}
    by = {"field": "CUSTOMER", "direction": "DESC"}
    assert await _forwards(reader, _document("invoices"), by) == [draft.id]
