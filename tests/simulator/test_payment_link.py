"""Payment Links, through Stripe's own library."""

from typing import Any

import pytest
import stripe

from tests.simulator.conftest import MakeClient, MakeLink, line_item, with_stripe

pytestmark = with_stripe


async def test_a_link_carries_what_it_was_made_with(make_link: MakeLink, simulator_url: str) -> None:
    link = await make_link(
        metadata={"invoice_id": "inv_1"},
        payment_intent_data={"metadata": {"invoice_id": "inv_1"}},
        restrictions={"completed_sessions": {"limit": 1}},
    )

    assert link.id.startswith("plink_")
    assert link.url == f"{simulator_url}/pay/{link.id}"
    assert (link.active, link.livemode, link.currency) == (True, False, "usd")
    assert link.metadata.to_dict() == {"invoice_id": "inv_1"}
    assert link.payment_intent_data is not None
    assert link.payment_intent_data.metadata.to_dict() == {"invoice_id": "inv_1"}
    assert link.restrictions is not None
    assert link.restrictions.completed_sessions.to_dict() == {"count": 0, "limit": 1}


async def test_a_line_is_its_quantity_times_its_unit_amount_rounded_half_up(
    client: stripe.StripeClient, make_link: MakeLink
) -> None:
    line = line_item(quantity=3)
    del line["price_data"]["unit_amount"]
    line["price_data"]["unit_amount_decimal"] = "10.5"
    link = await make_link(line_items=[line])

    lines = await client.v1.payment_links.line_items.list_async(link.id)

    assert [(line.amount_total, line.quantity, line.description) for line in lines.data] == [(32, 3, "Consulting")]


async def test_a_link_can_be_deactivated_and_described_otherwise(
    client: stripe.StripeClient, make_link: MakeLink
) -> None:
    link = await make_link(metadata={"kept": "1", "dropped": "1"})

    await client.v1.payment_links.update_async(link.id, {"active": False, "metadata": {"dropped": "", "new": "1"}})

    link = await client.v1.payment_links.retrieve_async(link.id)
    assert not link.active
    assert link.metadata.to_dict() == {"kept": "1", "new": "1"}


async def test_links_are_listed_by_pages_newest_first(client: stripe.StripeClient, make_link: MakeLink) -> None:
    made = [(await make_link()).id for _ in range(5)]

    listed = await client.v1.payment_links.list_async({"limit": 2})
    following = await client.v1.payment_links.list_async({"limit": 2, "starting_after": listed.data[-1].id})

    assert listed.has_more
    assert [link.id for link in listed.data + following.data] == made[:0:-1]
    assert [link.id async for link in listed.auto_paging_iter()] == made[::-1]


async def test_lines_are_answered_in_place_when_expanded(make_link: MakeLink) -> None:
    link = await make_link(expand=["line_items"])

    assert link.line_items is not None
    assert [line.amount_total for line in link.line_items.data] == [1999]


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"line_item": "typo"}, "line_item", "parameter_unknown"),
        (
            {"restrictions": {"completed_session": {"limit": 1}}},
            "restrictions[completed_session]",
            "parameter_unknown",
        ),
        ({"line_items": []}, "line_items", "parameter_missing"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0]", None),
        (
            {"line_items": [line_item(unit_amount=-1)]},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        ({"line_items": [line_item(quantity=0)]}, "line_items[0][quantity]", "parameter_invalid_integer"),
        ({"line_items": [line_item(quantity="1.5")]}, "line_items[0][quantity]", "parameter_invalid_integer"),  # type: ignore[arg-type]
        ({"line_items": [line_item(currency="zzz")]}, "line_items[0][price_data][currency]", None),
        ({"line_items": [line_item(), line_item(currency="eur")]}, "line_items", None),
        ({"line_items": [line_item()] * 21}, "line_items", None),
        ({"line_items": [line_item(99_999_999), line_item(1)]}, "line_items", "amount_too_large"),
        (
            {"line_items": [line_item(12_345, currency="kwd")]},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        ({"line_items": [{"price": "price_1", "quantity": 1}]}, "line_items[0][price]", "resource_missing"),
        ({"metadata": {f"key_{number}": "1" for number in range(51)}}, "metadata", None),
        ({"metadata": {"k" * 41: "1"}}, "metadata", None),
        ({"metadata": {"key": "v" * 501}}, "metadata[key]", None),
    ],
)
async def test_what_stripe_would_refuse_is_refused_with_the_parameter_named(
    make_link: MakeLink, params: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await make_link(**params)

    assert (refusal.value.http_status, refusal.value.param, refusal.value.code) == (400, param, code)


@pytest.mark.parametrize("line", [line_item(99_999_999), line_item(12_340, currency="kwd"), line_item(0)])
async def test_the_limits_themselves_are_allowed(make_link: MakeLink, line: dict[str, Any]) -> None:
    link = await make_link(line_items=[line], metadata={"k" * 40: "v" * 500})

    assert link.active


async def test_a_link_of_another_account_does_not_exist(client_of: MakeClient, make_link: MakeLink) -> None:
    link = await make_link()

    with pytest.raises(stripe.InvalidRequestError, match="No such payment_link") as refusal:
        await client_of("sk_test_globex_1").v1.payment_links.retrieve_async(link.id)

    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
