"""The page where something is let go wrong, in a browser without JavaScript."""

import re
from typing import Any

import httpx
import pytest
import stripe

from simulator.delivery import Posting
from simulator.disturbance import Disturbances
from tests.simulator.conftest import MakeLink, with_stripe
from tests.simulator.serving import Receiver, eventually_apart
from tests.simulator.test_hosted_page import Page, assert_strict

pytestmark = with_stripe

WANTED: Any = ["checkout.session.completed", "payment_intent.succeeded"]


@pytest.fixture
async def endpoint(client: stripe.StripeClient, receiver: Receiver) -> stripe.WebhookEndpoint:
    """Where the webhooks of a payment go."""
    return await client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": WANTED})


async def pressed(http: httpx.AsyncClient, action: str, **given: str) -> Page:
    """Send a form of the page; what one comes back to."""
    answer = await http.post("/faults", data={"action": action, **given}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


async def now(http: httpx.AsyncClient) -> list[str]:
    """What the page says that goes wrong."""
    listed = re.search(r"<h2>Now</h2><ul>(.*?)</ul>", (await http.get("/faults")).text)
    assert listed is not None
    return re.findall(r"<li>(.*?)</li>", listed[1])


async def pay(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    (await http.post(f"/pay/{(await make_link()).id}")).raise_for_status()


async def test_the_page_is_marked_as_a_simulation_runs_no_script_and_says_that_all_is_well(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/faults")

    assert_strict(answer)
    assert "<strong>Simulation.</strong>" in answer.text
    assert list(Page(answer.text).buttons) == ["disturb", "outage", "roll", "end"]
    assert await now(http) == ["Nothing goes wrong."]


# --- Webhooks --------------------------------------------------------------------------------------------------


async def test_webhooks_are_disturbed_for_so_many_steps(
    http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver, endpoint: stripe.WebhookEndpoint
) -> None:
    await pressed(http, "disturb", times="2", delay_s="0", shuffled="yes", steps="1")
    said = await now(http)

    await pay(http, make_link)
    disturbed, receiver.deliveries[:] = receiver.types, []
    await pay(http, make_link)

    assert [line.partition(", 600")[0] for line in said] == [
        "Webhooks are posted 2 times each, out of order: for 1 more step"
    ]
    assert disturbed == ["checkout.session.completed"] * 2 + ["payment_intent.succeeded"] * 2
    assert receiver.types == ["payment_intent.succeeded", "checkout.session.completed"]
    assert await now(http) == ["Nothing goes wrong."]


async def test_webhooks_come_late(
    http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver, endpoint: stripe.WebhookEndpoint
) -> None:
    await pressed(http, "disturb", times="1", delay_s="0.3", steps="5")

    await pay(http, make_link)

    assert receiver.types == []
    await eventually_apart(receiver, posts=2)
    assert receiver.types == ["payment_intent.succeeded", "checkout.session.completed"]


def test_a_disturbance_ends_by_itself() -> None:
    disturbances, asked = Disturbances(), Posting()

    disturbances.begin(Posting(times=2), steps=100, longest_s=60.0)
    disturbed = disturbances.applied(asked)
    disturbances.begin(Posting(times=2), steps=100, longest_s=0.0)

    assert disturbed == Posting(times=2)
    assert disturbances.applied(asked) == asked
    assert disturbances.current is None


# --- An outage -------------------------------------------------------------------------------------------------


async def test_an_outage_fails_the_api_and_holds_webhooks_back_until_it_is_over(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    endpoint: stripe.WebhookEndpoint,
) -> None:
    link = await make_link()
    await pressed(http, "outage", seconds="1.5")

    with pytest.raises(stripe.APIError) as refused:
        await client.v1.payment_links.retrieve_async(link.id)
    (await http.post(f"/pay/{link.id}")).raise_for_status()
    during = receiver.types

    assert refused.value.http_status == 500
    assert during == []
    await eventually_apart(receiver, posts=2)
    assert receiver.types == ["payment_intent.succeeded", "checkout.session.completed"]
    assert (await client.v1.payment_links.retrieve_async(link.id)).id == link.id


async def test_all_faults_are_ended_at_once_and_what_was_held_back_is_posted(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    endpoint: stripe.WebhookEndpoint,
) -> None:
    link = await make_link()
    await pressed(http, "outage", seconds="300")
    await pressed(http, "disturb", times="3", delay_s="0", steps="9")
    await http.post(f"/pay/{link.id}")

    await pressed(http, "end")

    assert await now(http) == ["Nothing goes wrong."]
    await eventually_apart(receiver, posts=6)
    assert (await client.v1.payment_links.retrieve_async(link.id)).id == link.id


# --- The secret ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "signatures"), [({}, 1), ({"overlap": "yes"}, 2)])
async def test_a_rolled_secret_is_shown_once_and_signs(
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    endpoint: stripe.WebhookEndpoint,
    given: dict[str, str],
    signatures: int,
) -> None:
    page = await pressed(http, "roll", **given)
    await pay(http, make_link)

    secret = re.search(r"whsec_\w+", page.said)
    assert secret is not None
    assert secret[0] != endpoint.secret
    header = receiver.deliveries[0].headers["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(receiver.deliveries[0].body, header, secret[0])
    assert header.count("v1=") == signatures
    assert secret[0] not in (await http.get("/faults")).text


# --- Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 400),
        ({"action": "burn"}, 400),
        ({"action": "outage", "seconds": "301"}, 400),
        ({"action": "outage", "seconds": "soon"}, 400),
        ({"action": "disturb", "times": "11", "delay_s": "0", "steps": "1"}, 400),
        ({"action": "disturb", "times": "2", "delay_s": "0", "steps": "101"}, 400),
        ({"action": "disturb", "times": "2", "delay_s": "61", "steps": "1"}, 400),
        ({"action": "disturb", "times": "1", "delay_s": "0", "steps": "1"}, 400),
        ({"action": "roll"}, 409),
    ],
)
async def test_what_goes_beyond_its_bounds_is_refused_in_a_sentence(
    http: httpx.AsyncClient, sent: dict[str, str], status: int
) -> None:
    refused = await http.post("/faults", data=sent)

    assert refused.status_code == status
    assert Page(refused.text).said
    assert await now(http) == ["Nothing goes wrong."]
