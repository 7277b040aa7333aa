"""Searching and narrowing lists that are longer than what is walked: what only an index finds."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest

from database.access import transaction
from database.bulk import insert_rows
from database.transaction import Transaction
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import Scope
from resolvers.context import Services
from resolvers.reading.narrowing import FAR, LOOKED_UP, NEAR
from resolvers.reading.search import NEWEST
from tests.models.rows import rehearsal
from tests.world.business import Business, new_business
from tests.world.caller import caller_with

CUSTOMER = {"id": "text", "workspace_id": "text", "name": "text", "email": "text", "external_id": "text",
            "created_at": "timestamptz", "updated_at": "timestamptz"}  # fmt: skip
INVOICE = {"id": "text", "workspace_id": "text", "customer_id": "text", "integration_id": "text", "number": "text",
           "status": "text", "currency": "text", "total": "bigint", "amount_paid": "bigint", "memo": "text",
           "due_date": "date", "created_at": "timestamptz", "updated_at": "timestamptz", "finalized_at": "timestamptz",
           "paid_at": "timestamptz"}  # fmt: skip
CROWD = NEAR + 20
"""So many rows lie before what is looked for: none of it is among the nearest."""


async def _add_customers(tx: Transaction, business: Business, *names: str) -> list[str]:
    """Customers as an import writes them, past the use cases; their ids."""
    ids, now = [new_id(Prefix.CUSTOMER) for _ in names], utc_now()
    rows = [
        (id_, business.workspace.id, name, "mail@example.org", None, now, now)
        for id_, name in zip(ids, names, strict=True)
    ]
    await insert_rows(tx, "customers", CUSTOMER, rows)
    return ids


async def _add_invoices(tx: Transaction, business: Business, customer_id: str, *given: dict[str, Any]) -> list[str]:
    """Open invoices over 10 EUR, each with what is given; their ids."""
    now = utc_now()
    rows = [
        {"id": new_id(Prefix.INVOICE), "workspace_id": business.workspace.id, "customer_id": customer_id,
         "number": f"N-{new_id(Prefix.EVENT)}", "status": "OPEN", "currency": "EUR", "total": 1000, "amount_paid": 0,
         "created_at": now, "updated_at": now, "finalized_at": now, **own}
        for own in given
    ]  # fmt: skip
    await insert_rows(tx, "invoices", INVOICE, [tuple(row.get(name) for name in INVOICE) for row in rows])
    return [row["id"] for row in rows]


async def _crowded(business: Business, *given: dict[str, Any]) -> list[str]:
    """The ids of given invoices, before which lie more than are walked; the crowd's are in USD."""
    async with transaction() as tx:
        (customer_id,) = await _add_customers(tx, business, "Zuse")
        ids = await _add_invoices(tx, business, customer_id, *given)
        (other,) = await _add_customers(tx, business, "Crowd")
        await _add_invoices(tx, business, other, *([{"currency": "USD"}] * CROWD))
    return ids


async def _customers(business: Business, search: str, **page: Any) -> list[str]:
    document = """query ($search: String, $first: Int, $after: String, $order: OrderDirection) {
        customers(search: $search, first: $first, after: $after, order: $order) { nodes { name } } }"""
    found = await business.mutate(document, search=search, **page)
    return [node["name"] for node in found["nodes"]]


async def _invoices(business: Business, **filter_: Any) -> tuple[list[str], int]:
    """The ids that a filter finds, and how many it says that there are."""
    document = "query ($filter: InvoiceFilter) { invoices(filter: $filter) { nodes { id } totalCount } }"
    found = await business.mutate(document, filter=filter_)
    return [node["id"] for node in found["nodes"]], found["totalCount"]


def _newest_first(ids: Sequence[str]) -> tuple[list[str], int]:
    return sorted(ids, reverse=True), len(ids)


# --- Customers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.long(module_database_url="postgres")
async def test_what_too_many_hold_is_listed_page_by_page_from_either_end_far_behind_others(business: Business) -> None:
    """More than are walked lie before it in both orders, and more than are looked up hold it."""
    others = ["Anyone"] * (FAR + 20)
    async with transaction() as tx:
        ids = await _add_customers(tx, business, *others, *["Too common"] * (LOOKED_UP + 1), *others)
    common = sorted(ids[len(others) : -len(others)])

    for order, expected in (("DESC", common[::-1]), ("ASC", common)):
        first, cursor = await _page(business, "o comm", order, None)
        second, _ = await _page(business, "o comm", order, cursor)

        assert first + second == expected[:60]


async def _page(business: Business, search: str, order: str, after: str | None) -> tuple[list[str], str]:
    document = """query ($search: String, $order: OrderDirection, $after: String) {
        customers(search: $search, first: 30, order: $order, after: $after) { nodes { id } pageInfo { endCursor } } }"""
    found = await business.mutate(document, search=search, order=order, after=after)
    return [node["id"] for node in found["nodes"]], found["pageInfo"]["endCursor"]


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("Ada Lovelace", "lovelace"),
        ("Ada Lovelace", "A LOVE"),
        ("100% Hopper", "00% h"),
        ("under_score", "r_s"),
        ("back\\slash", "k\\s"),
        ('the "quoted"', '"quoted"'),
        ("O'Hara*", "o'hara*"),
        ("Юрий Гагарин", "Гагарин"),
        ("李小龍", "李小龍"),
        ("-- ++ --", "++ --"),
    ],
)
async def test_a_text_is_found_behind_any_number_of_others(business: Business, name: str, search: str) -> None:
    async with transaction() as tx:
        await _add_customers(tx, business, name, *(["Anyone"] * CROWD))

    assert await _customers(business, search) == [name]
    assert await _customers(business, f"{search}?") == []


async def test_what_many_hold_is_paged_through_without_a_gap(business: Business) -> None:
    """The newest are walked, those behind the crowd looked up."""
    names = [f"Ada {n}" for n in range(30)]
    async with transaction() as tx:
        await _add_customers(tx, business, *names[:15], *(["Anyone"] * CROWD), *names[15:])
    document = """query ($after: String, $order: OrderDirection) {
        customers(search: "ada ", first: 7, after: $after, order: $order)
        { nodes { name } totalCount pageInfo { endCursor hasNextPage } } }"""

    for order, expected in (("DESC", names[::-1]), ("ASC", names)):
        found: list[str] = []
        after, goes_on = None, True
        while goes_on:
            answer = await business.mutate(document, after=after, order=order)
            found += [node["name"] for node in answer["nodes"]]
            after, goes_on = answer["pageInfo"]["endCursor"], answer["pageInfo"]["hasNextPage"]
            assert answer["totalCount"] == 30
        assert found == expected


async def test_a_page_from_the_end_is_found_by_the_index_too(business: Business) -> None:
    async with transaction() as tx:
        await _add_customers(tx, business, *(["Anyone"] * CROWD), "Ada 1", "Ada 2", *(["Anyone"] * CROWD))

    answer = await business.mutate(
        '{ customers(search: "ada ", last: 1) { nodes { name } pageInfo { hasNextPage hasPreviousPage } } }'
    )

    assert answer == {"nodes": [{"name": "Ada 1"}], "pageInfo": {"hasNextPage": False, "hasPreviousPage": True}}


async def test_a_search_follows_every_change_whoever_writes_it(business: Business) -> None:
    async with transaction() as tx:
        ada, grace = await _add_customers(tx, business, "Ada Lovelace", "Grace Hopper")
        await _add_customers(tx, business, *(["Anyone"] * CROWD))
        await tx.execute("UPDATE customers SET name = 'Ada King', external_id = 'C-1815' WHERE id = $1", ada)
        await tx.execute("DELETE FROM customers WHERE id = $1", grace)

    assert await _customers(business, "lovelace") == []
    assert await _customers(business, "c-18") == ["Ada King"]
    assert await _customers(business, "hopper") == []


async def test_what_is_rolled_back_is_not_found(business: Business) -> None:
    async with transaction() as tx:
        await _add_customers(tx, business, *(["Anyone"] * CROWD))
    async with rehearsal() as tx:
        await _add_customers(tx, business, "Ada")

    assert await _customers(business, "ada") == []


async def test_a_search_finds_nothing_of_another_workspace(
    business: Business, office: Services, stripe_url: str
) -> None:
    elsewhere = await new_business(office, stripe_url)
    async with transaction() as tx:
        await _add_customers(tx, elsewhere, "Ada There", *(["Anyone"] * CROWD))
        await _add_customers(tx, business, "Ada Here", *(["Anyone"] * CROWD))

    assert await _customers(business, "ada ") == ["Ada Here"]
    assert await _customers(elsewhere, "ada ") == ["Ada There"]


@pytest.mark.slow
async def test_one_or_two_characters_are_looked_for_among_the_newest(business: Business) -> None:
    async with transaction() as tx:
        await _add_customers(tx, business, "李明 the first", "李明 the second", *(["Anyone"] * (NEWEST - 1)))

    assert await _customers(business, "李明") == ["李明 the second"]
    assert await _customers(business, "李明 ") == ["李明 the second"]
    assert await _customers(business, "李明 t") == ["李明 the second", "李明 the first"]


# --- Invoices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["2026-77", "for the PAPER", "zus"])
async def test_an_invoice_is_found_by_number_memo_and_customer(business: Business, search: str) -> None:
    ids = await _crowded(business, {"number": "INV-2026-77", "memo": "For the paper"})

    assert await _invoices(business, search=search) == _newest_first(ids)
    assert await _invoices(business, search=search, status=["PAID"]) == ([], 0)
    assert await _invoices(business, search=f"{search}?") == ([], 0)


async def test_what_a_search_finds_in_two_ways_is_listed_and_counted_once(business: Business) -> None:
    ids = await _crowded(business, {"memo": "Zuse's own"}, {})

    assert await _invoices(business, search="zuse") == _newest_first(ids)


@pytest.mark.parametrize(
    ("given", "filter_"),
    [
        ({}, {"currency": "EUR"}),
        ({}, {"currency": "EUR", "totalMin": "10.00", "totalMax": "10"}),
        ({"currency": "USD", "total": 1001}, {"currency": "USD", "totalMin": "10.01"}),
        ({"currency": "USD", "total": 999}, {"currency": "USD", "totalMax": "9.99"}),
        ({"due_date": "2026-05-05"}, {"dueAfter": "2026-05-04"}),
        ({"due_date": "2026-05-05"}, {"dueBefore": "2026-05-06"}),
        ({"due_date": "2026-05-05"}, {"dueAfter": "2026-05-04", "dueBefore": "2026-05-06"}),
        ({"finalized_at": "2020-05-05T00:00:00+00:00"}, {"finalizedBefore": "2020-05-05T00:00:01Z"}),
        ({"finalized_at": "2050-05-05T00:00:00+00:00"}, {"finalizedAfter": "2050-05-04T23:59:59Z"}),
        ({"status": "PAID", "paid_at": "2020-05-05T00:00:00+00:00"}, {"paidAfter": "2020-05-04T23:59:59Z"}),
        ({"status": "PAID", "paid_at": "2020-05-05T00:00:00+00:00"}, {"paidBefore": "2020-05-05T00:00:01Z"}),
        ({"amount_paid": 1}, {"partiallyPaid": True}),
        ({"status": "UNCOLLECTIBLE", "amount_paid": 1}, {"partiallyPaid": True}),
        ({"number": "N-77"}, {"number": "N-77"}),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=True),
)
async def test_a_filter_finds_what_lies_behind_any_number_of_others(
    business: Business, given: dict[str, Any], filter_: dict[str, Any]
) -> None:
    ids = await _crowded(business, *[_typed(given)] * (1 if "number" in given else 2))

    assert await _invoices(business, **filter_) == _newest_first(ids)


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    types: dict[str, Any] = {"due_date": date.fromisoformat}
    types |= dict.fromkeys(("finalized_at", "paid_at"), datetime.fromisoformat)
    return {name: types.get(name, lambda value: value)(value) for name, value in given.items()}


@pytest.mark.parametrize(
    "filter_",
    [
        {"currency": "EUR", "totalMin": "10.01"},
        {"currency": "EUR", "totalMax": "9.99"},
        {"dueAfter": "2026-05-05"},
        {"dueBefore": "2026-05-05"},
        {"paidAfter": "2000-01-01T00:00:00Z"},
        {"partiallyPaid": True},
        {"number": "N-7"},
        {"number": "N" * 5000},
        {"ids": []},
        {"customerIds": []},
    ],
    ids=lambda value: json.dumps(value)[:40],
)
async def test_a_filter_leaves_out_what_it_does_not_mean(business: Business, filter_: dict[str, Any]) -> None:
    await _crowded(business, _typed({"due_date": "2026-05-05"}), {"number": "N-77"})

    assert await _invoices(business, **filter_) == ([], 0)


async def test_invoices_are_asked_for_by_ids_customers_and_integration(business: Business) -> None:
    first, second = await _crowded(business, {}, {})
    document = '{ customers(search: "zus") { nodes { id invoices(filter: {search: "n-"}) { totalCount } } } }'
    (zuse,) = (await business.mutate(document))["nodes"]
    integration_id = (await business.connect())["id"]
    (with_link,) = await _crowded(business, {"integration_id": integration_id})

    assert await _invoices(business, ids=[first, first, new_id(Prefix.INVOICE)]) == ([first], 1)
    assert await _invoices(business, customerIds=[zuse["id"], zuse["id"]]) == _newest_first([first, second])
    assert await _invoices(business, customerIds=[new_id(Prefix.CUSTOMER)]) == ([], 0)
    assert await _invoices(business, integrationId=integration_id) == ([with_link], 1)
    assert (await _invoices(business, partiallyPaid=False))[1] == 2 * CROWD + 3
    assert zuse["invoices"] == {"totalCount": 2}


async def test_ids_and_customers_of_another_workspace_are_not_found(
    business: Business, office: Services, stripe_url: str
) -> None:
    elsewhere = await new_business(office, stripe_url)
    (theirs,) = await _crowded(elsewhere, {"memo": "Theirs"})
    customers = (await elsewhere.mutate("{ customers { nodes { id } } }"))["nodes"]

    for filter_ in ({"ids": [theirs]}, {"customerIds": [c["id"] for c in customers]}, {"search": "theirs"}):
        assert await _invoices(business, **filter_) == ([], 0)


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ({"totalMin": "1"}, '"totalMin" needs "currency"'),
        ({"totalMax": "1"}, '"totalMax" needs "currency"'),
        ({"currency": "JPY", "totalMin": "1.5"}, '"totalMin" is no amount of JPY'),
        ({"currency": "USD", "totalMax": "0.001"}, '"totalMax" is no amount of USD'),
        ({"currency": "USD", "totalMax": "100000000000000000000"}, '"totalMax" is no amount of USD'),
        ({"currency": "XXX"}, "not a currency"),
        ({"ids": [f"inv_{n}" for n in range(101)]}, "at most 100"),
        ({"customerIds": [f"cust_{n}" for n in range(51)]}, "at most 50"),
        ({"search": "x" * 256}, "at most 255"),
        ({"search": "a\x00b"}, "NUL"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
async def test_a_filter_that_can_not_be_taken_says_what_to_do(
    business: Business, office: Services, filter_: dict[str, Any], said: str
) -> None:
    reader = await caller_with(office, business.workspace, Scope.READ)
    document = "query ($filter: InvoiceFilter) { invoices(filter: $filter) { nodes { id } } }"

    error = await reader.refusal(document, filter=filter_)

    assert said in error["message"]
    assert error["extensions"]["code"] in {"INVALID_INPUT", "UNKNOWN_CURRENCY"}
