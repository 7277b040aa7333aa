"""Idempotency keys."""

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeClient, MakeLink, line_item, link_params, with_stripe

pytestmark = with_stripe

KEY = {"idempotency_key": "invoice-1"}


async def test_the_same_key_and_parameters_give_the_first_answer_again(
    client: stripe.StripeClient, make_link: MakeLink
) -> None:
    first = await make_link(KEY)

    again = await make_link(KEY)

    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len((await client.v1.payment_links.list_async()).data) == 1


async def test_a_replay_is_the_answer_as_it_was(client: stripe.StripeClient, make_link: MakeLink) -> None:
    link = await make_link(KEY)
    await client.v1.payment_links.update_async(link.id, {"active": False})

    again = await make_link(KEY)

    assert again.active


async def test_the_same_key_with_other_parameters_is_refused(make_link: MakeLink) -> None:
    await make_link(KEY)

    with pytest.raises(stripe.IdempotencyError) as refusal:
        await make_link(KEY, metadata={"invoice_id": "inv_2"})

    assert refusal.value.http_status == 400


async def test_a_key_is_its_account_s_own(client_of: MakeClient, make_link: MakeLink) -> None:
    link = await make_link(KEY)

    other = await client_of("sk_test_globex_1").v1.payment_links.create_async(
        link_params(), options={"idempotency_key": "invoice-1"}
    )

    assert other.id != link.id


async def test_invalid_parameters_leave_the_key_free(make_link: MakeLink) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await make_link(KEY, line_items=[line_item(quantity=0)])

    link = await make_link(KEY)

    assert link.active


async def test_a_refusal_after_the_work_began_is_replayed(http: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer sk_test_acme_1", "Idempotency-Key": "invoice-1"}
    first = await http.post("/v1/payment_links/plink_none", headers=headers, data={"active": "false"})

    again = await http.post("/v1/payment_links/plink_none", headers=headers, data={"active": "false"})

    assert first.status_code == again.status_code == 404
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.content == first.content


async def test_a_key_has_a_longest_length(make_link: MakeLink) -> None:
    with pytest.raises(stripe.IdempotencyError):
        await make_link({"idempotency_key": "k" * 256})
