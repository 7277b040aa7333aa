"""The page of a link in a browser without JavaScript: its forms are read from it and sent as they are."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeLink, with_stripe
from tests.simulator.serving import Receiver

pytestmark = with_stripe

TO_PAY = ["pay", "decline", "debit", "pay_twice", "pay_partly"]
ONCE: Any = {"completed_sessions": {"limit": 1}}


class Page(HTMLParser):
    """The buttons of a page, each with where its form goes and what else that sends; and what the page says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.buttons: dict[str, tuple[str, dict[str, str]]] = {}
        self._form: tuple[str, dict[str, str]] = ("", {})
        self.feed(text)
        self.said = " ".join(re.findall(r'role="status">(.*?)</p>', text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert attributes["method"] == "post"
            self._form = (attributes["action"], {})
        elif tag == "input":
            self._form[1][attributes["name"]] = attributes["value"]
        elif tag == "button":
            assert attributes["name"] == "action"
            self.buttons[attributes["value"]] = self._form


def assert_strict(answer: httpx.Response) -> None:
    """That a page may run nothing, look as its one style says, and send its forms to the simulator alone."""
    policy = answer.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["cache-control"] == "no-store"


async def opened(http: httpx.AsyncClient, link: stripe.PaymentLink) -> Page:
    return Page((await http.get(f"/pay/{link.id}")).text)


async def pressed(http: httpx.AsyncClient, page: Page, button: str) -> Page:
    """Press a button; the page that one comes back to."""
    action, sent = page.buttons[button]
    answer = await http.post(action, data=sent | {"action": button})
    assert answer.status_code == 303
    back = await http.get(answer.headers["location"])
    assert back.status_code == 200
    return Page(back.text)


async def test_the_page_says_that_it_is_a_simulation_and_runs_no_script(
    http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()

    answer = await http.get(f"/pay/{link.id}")
    text = answer.text

    assert_strict(answer)
    assert '<a href="/faults">' in text
    assert "<strong>Simulation.</strong>" in text
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert list(Page(text).buttons) == TO_PAY


@pytest.mark.parametrize(
    ("buttons", "said", "types", "then_offered"),
    [
        (
            ["pay"],
            "19.99 USD was paid by card.",
            ["payment_intent.succeeded", "checkout.session.completed"],
            ["refund", "dispute"],
        ),
        (["decline"], "The card was declined", ["payment_intent.payment_failed"], TO_PAY),
        (["debit"], "A bank debit over 19.99 USD is under way", ["checkout.session.completed"], ["settle", "fail"]),
        (
            ["debit", "settle"],
            "The bank debit settled: 19.99 USD",
            ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"],
            ["refund", "dispute"],
        ),
        (
            ["debit", "fail"],
            "The bank debit failed",
            ["payment_intent.payment_failed", "checkout.session.async_payment_failed"],
            [],
        ),
        (
            ["pay_twice"],
            "paid twice, 19.99 USD each time",
            ["payment_intent.succeeded", "checkout.session.completed"] * 2,
            ["refund", "dispute"],
        ),
        (
            ["pay_partly"],
            "10.00 USD of 19.99 USD was paid",
            ["payment_intent.succeeded", "checkout.session.completed"],
            ["refund", "dispute"],
        ),
        (
            ["pay", "refund"],
            "The payment of 19.99 USD was refunded",
            ["charge.refunded", "refund.created"],
            ["dispute"],
        ),
        (
            ["pay", "dispute"],
            "The payment of 19.99 USD is disputed",
            ["charge.dispute.created"],
            ["refund", "win", "lose"],
        ),
        (
            ["pay", "dispute", "win"],
            "The dispute was won: 19.99 USD came back",
            ["charge.dispute.funds_reinstated", "charge.dispute.closed"],
            ["refund"],
        ),
        (
            ["pay", "dispute", "lose"],
            "The dispute was lost: 19.99 USD stays with the customer",
            ["charge.dispute.closed"],
            ["refund"],
        ),
    ],
)
async def test_a_button_does_what_it_says_and_leads_back_to_a_sentence(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    buttons: list[str],
    said: str,
    types: list[str],
    then_offered: list[str],
) -> None:
    wanted: list[Any] = sorted({*types})
    await client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": wanted})
    page = await opened(http, await make_link(restrictions=ONCE))

    for button in buttons:
        receiver.deliveries.clear()
        page = await pressed(http, page, button)

    assert said in page.said
    assert receiver.types == types
    assert list(page.buttons) == then_offered


async def test_a_declined_page_goes_on_with_its_session(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    page = await opened(http, await make_link(restrictions=ONCE))

    declined = await pressed(http, page, "decline")

    assert declined.buttons["pay"] == page.buttons["pay"]
    assert "was paid" in (await pressed(http, declined, "pay")).said


async def test_a_page_that_was_left_open_is_refused_in_a_sentence(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link(restrictions=ONCE)
    page = await opened(http, link)
    action, sent = page.buttons["pay"]
    await client.v1.payment_links.update_async(link.id, {"active": False})
    await client.v1.checkout.sessions.expire_async(sent["checkout_session"])

    refused = await http.post(action, data=sent | {"action": "pay"})

    assert refused.status_code == 409
    assert "This checkout session is expired" in Page(refused.text).said
    assert Page(refused.text).buttons == {}


async def test_a_page_that_can_not_be_paid_says_so(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    link = await make_link(restrictions=ONCE, inactive_message="Invoice 7 is paid.")
    await pressed(http, await opened(http, link), "pay")

    again = await http.get(f"/pay/{link.id}")

    assert again.status_code == 409
    assert Page(again.text).said == "Invoice 7 is paid."


@pytest.mark.parametrize("sent", [{}, {"action": "rob"}, {"action": "pay", "amount": "1"}])
async def test_what_no_button_sends_is_refused(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, sent: dict[str, str]
) -> None:
    link = await make_link()

    refused = await http.post(f"/pay/{link.id}/page", data=sent)

    assert refused.status_code == 400
    assert (await client.v1.events.list_async()).data == []


async def test_a_session_of_another_link_is_told_nothing_about(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    link, other = await make_link(), await make_link()
    paid = (await http.post(f"/pay/{other.id}")).json()

    page = await http.get(f"/pay/{link.id}", params={"done": "pay", "checkout_session": paid["checkout_session"]})

    assert Page(page.text).said == ""
