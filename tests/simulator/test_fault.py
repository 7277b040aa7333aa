"""Faults that were asked for, and the log of what was received."""

from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeClient, MakeLink, link_params, with_stripe

pytestmark = with_stripe

KEY = {"idempotency_key": "invoice-1"}


async def inject(http: httpx.AsyncClient, **fault: Any) -> httpx.Response:
    """Let the creation of links go wrong."""
    return await http.post("/simulator/faults", json={"method": "POST", "path": "/v1/payment_links", **fault})


async def link_count(client: stripe.StripeClient) -> int:
    """How many links were made."""
    return len((await client.v1.payment_links.list_async()).data)


@pytest.mark.parametrize(
    ("status", "error"), [(429, stripe.RateLimitError), (500, stripe.APIError), (503, stripe.APIError)]
)
async def test_a_status_before_the_work_does_nothing_and_keeps_nothing(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    status: int,
    error: type[stripe.StripeError],
) -> None:
    await inject(http, kind="status_before", status=status)

    with pytest.raises(error) as refusal:
        await make_link(KEY)

    assert refusal.value.http_status == status
    assert await link_count(client) == 0
    await make_link(KEY)
    assert await link_count(client) == 1


async def test_a_status_after_the_work_is_replayed_by_its_key(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    await inject(http, kind="status_after", status=500)

    for _ in range(2):
        with pytest.raises(stripe.APIError) as refusal:
            await make_link(KEY)
        assert refusal.value.http_status == 500

    assert await link_count(client) == 1
    assert (await make_link({"idempotency_key": "invoice-1-again"})).active


@pytest.mark.parametrize("kind", ["timeout", "hang_up"])
async def test_after_no_answer_the_same_key_gives_the_real_one(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, kind: str
) -> None:
    await inject(http, kind=kind)
    headers = {"Authorization": "Bearer sk_test_acme_1", "Idempotency-Key": "invoice-1"}
    form = {
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "1999",
        "line_items[0][price_data][product_data][name]": "Consulting",
        "line_items[0][quantity]": "1",
    }
    with pytest.raises(httpx.TransportError):
        await http.post("/v1/payment_links", data=form, headers=headers, timeout=0.3)

    link = await make_link(KEY)

    assert link.last_response is not None
    assert link.last_response.headers["Idempotent-Replayed"] == "true"
    assert await link_count(client) == 1


async def test_stripe_s_library_survives_a_hang_up_by_itself(client_of: MakeClient, http: httpx.AsyncClient) -> None:
    await inject(http, kind="hang_up", times=2)
    client = client_of("sk_test_acme_1", max_network_retries=2)

    link = await client.v1.payment_links.create_async(link_params())

    assert link.active
    assert await link_count(client) == 1


async def test_a_delay_is_answered_in_the_end(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    await inject(http, kind="delay", delay_s=0.01)

    link = await make_link()

    assert link.active


async def test_a_fault_can_be_for_one_account(
    client_of: MakeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    await inject(http, kind="status_before", status=503, account="globex")

    await make_link()

    with pytest.raises(stripe.APIError):
        await client_of("sk_test_globex_1").v1.payment_links.create_async(link_params())


async def test_a_fault_can_be_for_every_path_below_one(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    await inject(http, kind="status_before", path="/v1/payment_links/*")
    link = await make_link()

    with pytest.raises(stripe.APIError):
        await client.v1.payment_links.update_async(link.id, {"active": False})


async def test_faults_can_be_cleared(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    await inject(http, kind="status_before", times=100)

    await http.delete("/simulator/faults")

    assert (await make_link()).active


@pytest.mark.parametrize(
    "fault",
    [{}, {"kind": "earthquake"}, {"kind": "delay", "delay_s": -1}, {"kind": "status_after", "status": 400}],
)
async def test_a_fault_that_is_not_understood_is_refused(http: httpx.AsyncClient, fault: dict[str, Any]) -> None:
    response = await inject(http, **fault)

    assert response.status_code == 400
    assert response.json()["error"]["message"]


async def test_calls_are_logged_as_they_were_understood_and_without_secrets(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    await make_link(KEY, metadata={"note": "whsec_abc and sk_test_acme_1"})
    await http.get("/v1/balance")

    account = await client.v1.accounts.retrieve_current_async()
    calls = (await http.get("/simulator/requests")).json()

    price = {"currency": "usd", "unit_amount": "1999", "product_data": {"name": "Consulting"}}
    assert calls[0] == {
        "method": "POST",
        "path": "/v1/payment_links",
        "params": {
            "line_items": [{"price_data": price, "quantity": "1"}],
            "metadata": {"note": "*** and ***"},
        },
        "idempotency_key": "invoice-1",
        "account": account.id,
        "status": 200,
    }
    assert [(call["path"], call["account"], call["status"]) for call in calls[1:]] == [
        ("/v1/balance", None, 401),
        ("/v1/account", account.id, 200),
    ]
