"""What the product sends to Stripe is what Stripe's own library says can be sent."""

import asyncio
import types
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pytest
from stripe import RequestOptions, StripeContext
from stripe.params import (
    PaymentLinkCreateParams,
    PaymentLinkListParams,
    PaymentLinkUpdateParams,
    WebhookEndpointCreateParams,
)
from typing_extensions import is_typeddict

from simulator.app import create_app
from tests.simulator.serving import serve
from tests.world import documents
from tests.world.business import Business, Json, new_business, opened_services

SENT_WITH: Final[dict[tuple[str, str], Any]] = {
    ("GET", "/v1/account"): None,
    ("POST", "/v1/payment_links"): PaymentLinkCreateParams,
    ("GET", "/v1/payment_links"): PaymentLinkListParams,
    ("POST", "/v1/payment_links/{id}"): PaymentLinkUpdateParams,
    ("POST", "/v1/webhook_endpoints"): WebhookEndpointCreateParams,
}
"""The parameters of each call, None where there are none."""

PAGE: Final = 100


@pytest.fixture
async def business(migrated_sqlite_url: str) -> AsyncIterator[Business]:
    """A business whose account answers from the simulator."""
    with serve(create_app()) as url:
        async with opened_services(migrated_sqlite_url, url) as services:
            yield await new_business(services, url)


@pytest.mark.slow
async def test_stripes_library_knows_every_parameter_that_is_sent(business: Business) -> None:
    await _go_every_way(business)

    sent = await _sent(business)

    assert {(call["method"], _template(call["path"])) for call in sent} == set(SENT_WITH)
    assert [unknown for call in sent for unknown in _unknown(call)] == []
    assert {path for call in sent for path in _paths(call["params"])} >= {
        "line_items[].price_data.product_data.name",
        "metadata.invoice_id",
        "payment_intent_data.metadata.workspace_id",
        "restrictions.completed_sessions.limit",
        "active",
        "starting_after",
        "enabled_events[]",
        "api_version",
    }


@pytest.mark.parametrize(
    ("params", "unknown"),
    [
        ({"metadatas": {"invoice_id": "inv_1"}}, "metadatas"),
        ({"restrictions": {"completed_session": {"limit": "1"}}}, "restrictions.completed_session"),
        ({"payment_intent_data": {"metdata": {}}}, "payment_intent_data.metdata"),
        ({"line_items": [{"price_data": {"unit_amounts": "1"}}]}, "line_items[].price_data.unit_amounts"),
        ({"line_items": {"quantity": "1"}}, "line_items"),
        ({"inactive_message": {"text": "no"}}, "inactive_message"),
    ],
)
def test_a_misspelt_parameter_is_not_known(params: Json, unknown: str) -> None:
    assert _unknown({"method": "POST", "path": "/v1/payment_links", "params": params}) == [unknown]


def test_an_event_that_stripe_does_not_have_is_not_known() -> None:
    params = {"enabled_events": ["charge.refunded", "charge.refundet"], "url": "https://fluxrate.example"}

    unknown = _unknown({"method": "POST", "path": "/v1/webhook_endpoints", "params": params})

    assert unknown == ["enabled_events[]=charge.refundet"]


# --- Sending ---------------------------------------------------------------------------------------------------


async def _go_every_way(business: Business) -> None:
    """Connect with an endpoint, make a link, lose one and look for it on two pages, stop them."""
    await business.connect(registerWebhook=True)
    made = await business.finalized("12.50", "7.50")
    one_line = await business.finalized("0.125")
    await business.stripe.fault("hang_up", times=2)
    lost = await business.finalized("20.00")
    await asyncio.gather(*(_crowd(business) for _ in range(PAGE)))
    await business.work_off(lost["id"])
    for invoice in (made, one_line, lost):
        await business.mutate(documents.VOID, id=invoice["id"])
        await business.work_off(invoice["id"])
    assert await business.stripe.active_links() != []


async def _crowd(business: Business) -> None:
    """Another system's link of the same account."""
    form = {
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "1999",
        "line_items[0][price_data][product_data][name]": "Consulting",
        "line_items[0][quantity]": "1",
    }
    async with business.stripe.client() as http:
        (await http.post("/v1/payment_links", data=form)).raise_for_status()


async def _sent(business: Business) -> list[Json]:
    """What the product asked, without what this test asked."""
    async with business.stripe.client() as http:
        calls: list[Json] = (await http.get("/simulator/requests")).json()
    return [call for call in calls if call["idempotency_key"] or _is_of_product(call)]


def _is_of_product(call: Json) -> bool:
    if call["method"] == "GET":
        return call["path"] == "/v1/account" or "active" in call["params"]
    return not (call["path"] == "/v1/payment_links" and call["idempotency_key"] is None)


def _template(path: str) -> str:
    version, noun, *rest = path.removeprefix("/").split("/")
    return f"/{version}/{noun}" + "/{id}" * len(rest)


# --- Knowing ---------------------------------------------------------------------------------------------------


def _unknown(call: Json) -> list[str]:
    """The parameters of a call that Stripe's library does not know."""
    declared = SENT_WITH[call["method"], _template(call["path"])]
    if declared is None:
        return list(_paths(call["params"]))
    return list(_strangers(call["params"], declared, ""))


def _strangers(value: object, declared: Any, path: str) -> Iterator[str]:
    """The paths within a value that none of a declaration's alternatives knows."""
    alternatives = list(_alternatives(declared))
    if isinstance(value, dict):
        typed = [each for each in alternatives if is_typeddict(each)]
        if any(get_origin(each) is dict for each in alternatives):
            return
        if not typed:
            yield path
            return
        known = {name: hint for each in typed for name, hint in _fields(each).items()}
        for name, inner in value.items():
            where = f"{path}.{name}".lstrip(".")
            if name in known:
                yield from _strangers(inner, known[name], where)
            else:
                yield where
    elif isinstance(value, list):
        lists = [each for each in alternatives if get_origin(each) is list]
        if not lists:
            yield path
        for inner in value if lists else []:
            yield from _strangers(inner, get_args(lists[0])[0], f"{path}[]")
    else:
        yield from _strange_text(value, alternatives, path)


def _fields(declared: Any) -> dict[str, Any]:
    """A declaration's parameters, without what Stripe's library takes for itself."""
    hints = get_type_hints(declared, localns={"Mapping": Mapping, "StripeContext": StripeContext})
    return {name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__}


def _strange_text(value: object, alternatives: list[Any], path: str) -> Iterator[str]:
    """A form holds texts: one is strange where only structures or other words are known."""
    words = {word for each in alternatives if get_origin(each) is Literal for word in get_args(each)}
    if words - {""}:
        if value not in words:  # the library takes any text beside the words that it knows; "" unsets a text
            yield f"{path}={value}"
    elif not any(each in {str, int, bool, float} for each in alternatives):
        yield path


def _alternatives(declared: Any) -> Iterator[Any]:
    """What a declaration allows, one by one."""
    origin = get_origin(declared)
    if origin in {Union, types.UnionType, NotRequired, Required}:
        for each in get_args(declared):
            yield from _alternatives(each)
    else:
        yield declared


def _paths(value: object, path: str = "") -> Iterator[str]:
    """Where texts stand in what was sent."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, f"{path}[]")
    else:
        yield path
