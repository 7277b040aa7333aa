"""The simulator as a whole."""

import httpx
import pytest

ACTS = (
    ("POST", "/faults"),
    ("POST", "/pay/plink_1"),
    ("POST", "/pay/plink_1/page"),
    ("POST", "/pay/plink_1/refund"),
    ("POST", "/simulator/actions"),
    ("POST", "/simulator/faults"),
    ("DELETE", "/simulator/faults"),
    ("DELETE", "/simulator/requests"),
)


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


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null", "http://", "http://["])
@pytest.mark.parametrize(("method", "path"), ACTS)
async def test_a_page_of_another_server_does_nothing(
    http: httpx.AsyncClient, method: str, path: str, origin: str
) -> None:
    response = await http.request(method, path, headers={"Origin": origin}, data={"action": "outage", "seconds": "20"})

    assert response.status_code == 403
    assert "from its own pages only" in response.json()["error"]["message"]
    assert "Nothing goes wrong." in (await http.get("/faults")).text


async def test_a_page_of_the_simulator_and_what_is_no_browser_do_what_they_ask(
    http: httpx.AsyncClient, simulator_url: str
) -> None:
    outage = {"action": "outage", "seconds": "20"}

    by_page = await http.post("/faults", data=outage, headers={"Origin": simulator_url})
    by_itself = await http.post("/faults", data={"action": "end"})

    assert (by_page.status_code, by_itself.status_code) == (303, 303)


async def test_another_page_may_lead_to_the_simulators(http: httpx.AsyncClient) -> None:
    assert (await http.get("/faults", headers={"Origin": "https://elsewhere.example"})).status_code == 200
