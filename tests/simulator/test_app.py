"""The simulator as a whole."""

import httpx
import pytest


async def test_the_root_says_what_it_is_and_what_it_answers(http: httpx.AsyncClient) -> None:
    about = (await http.get("/")).json()

    assert about["name"] == "Stripe simulator"
    assert "POST /v1/payment_links" in about["api"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/customers"),
        ("GET", "/v1/"),
        ("DELETE", "/v1/account"),
        ("PUT", "/v1/payment_links"),
        ("GET", "/v1/events/evt_1/more"),
        ("GET", "/v1/events/"),
    ],
)
async def test_an_unknown_url_is_unrecognized_as_at_stripe(http: httpx.AsyncClient, method: str, path: str) -> None:
    response = await http.request(method, path, headers={"Authorization": "Bearer sk_test_acme_1"})

    assert response.status_code == 404
    assert response.headers["Request-Id"].startswith("req_")
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert f"Unrecognized request URL ({method}: {path})" in response.json()["error"]["message"]
