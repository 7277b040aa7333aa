"""Accounts and their keys."""

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeClient, link_params, with_stripe

pytestmark = with_stripe


async def test_two_keys_with_one_name_are_of_one_account(client_of: MakeClient) -> None:
    first, second = client_of("sk_test_acme_1"), client_of("rk_test_acme_2")

    link = await first.v1.payment_links.create_async(link_params())

    assert (await second.v1.payment_links.retrieve_async(link.id)).id == link.id
    account = await first.v1.accounts.retrieve_current_async()
    assert account.id == (await second.v1.accounts.retrieve_current_async()).id
    assert account.id.startswith("acct_")
    assert len(account.id) == len("acct_") + 16


async def test_another_name_is_another_account(client_of: MakeClient) -> None:
    acme = await client_of("sk_test_acme_1").v1.accounts.retrieve_current_async()
    globex = await client_of("sk_test_globex").v1.accounts.retrieve_current_async()

    assert acme.id != globex.id


async def test_a_key_can_be_the_user_of_http_basic(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/account", auth=("sk_test_acme_1", ""))

    assert response.status_code == 200
    assert response.headers["Request-Id"].startswith("req_")


@pytest.mark.parametrize("key", ["sk_live_acme_1", "rk_live_acme_1"])
async def test_a_live_key_is_refused_with_the_reason(client_of: MakeClient, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError, match="takes test keys only") as refusal:
        await client_of(key).v1.balance.retrieve_async()

    assert key not in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [
        "sk_test_",
        "sk_test_invalid_1",
        "rk_test_invalid",
        "sk_test_revoked_1",
        "pk_test_acme_1",
        "sk_test_ä",
        "nonsense",
    ],
)
async def test_any_other_key_is_unauthorized(http: httpx.AsyncClient, key: str) -> None:
    response = await http.get("/v1/balance", headers={b"Authorization": f"Bearer {key}".encode()})

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic", "Basic ???", "Digest sk_test_acme_1"])
async def test_no_key_is_unauthorized(http: httpx.AsyncClient, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    response = await http.get("/v1/balance", headers=headers)

    assert response.status_code == 401
    assert response.headers["Request-Id"].startswith("req_")


async def test_a_restricted_key_may_lack_the_account(client_of: MakeClient) -> None:
    client = client_of("rk_test_acme_noaccount")

    with pytest.raises(stripe.PermissionError):
        await client.v1.accounts.retrieve_current_async()

    await client.v1.payment_links.create_async(link_params())


async def test_a_restricted_key_may_lack_payment_links(client_of: MakeClient) -> None:
    client = client_of("rk_test_acme_nolinks")

    with pytest.raises(stripe.PermissionError):
        await client.v1.payment_links.create_async(link_params())

    assert (await client.v1.payment_links.list_async()).data == []


async def test_what_was_paid_is_pending_in_the_balance(client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
    link = await client.v1.payment_links.create_async(link_params())
    await http.post(f"/pay/{link.id}")

    balance = await client.v1.balance.retrieve_async()

    assert [(funds.currency, funds.amount) for funds in balance.pending] == [("usd", 1999)]
