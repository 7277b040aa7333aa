"""Rotating secrets under load: no delivery is refused, whichever worker takes it and whichever secret signed it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest

from tests.world.documents import UPDATE_INTEGRATION, WEBHOOK_EVENTS
from tests.world.house import SECRET, SMALL, House
from tests.world.local import LOCAL
from tests.world.long import few_or_many
from tests.world.stripe_payloads import Event, body, signed_headers

POSTERS: Final = 16
INVOICES: Final = 8
ROUNDS: Final = few_or_many(2, 8)


class Stripe:
    """Posts events without end, signed with whatever secrets are in force, each event often."""

    def __init__(self, house: House, events: Sequence[Event]) -> None:
        self._url = house.integration["webhookUrl"]
        self._bodies = [body(event) for event in events]
        self.secrets: Sequence[str] = [SECRET]
        self.answers: Counter[int] = Counter()
        self.posts: Counter[bytes] = Counter()

    @asynccontextmanager
    async def posting(self) -> AsyncIterator[None]:
        """Post as long as the block lasts, every connection a new one, so that every worker gets some."""
        over = asyncio.Event()
        posters = [asyncio.create_task(self._post(number, over)) for number in range(POSTERS)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*posters)

    async def _post(self, number: int, over: asyncio.Event) -> None:
        while not over.is_set():
            raw = self._bodies[number % len(self._bodies)]
            self.posts[raw] += 1
            async with httpx.AsyncClient(**LOCAL, timeout=30) as http:
                answer = await http.post(self._url, content=raw, headers=signed_headers(raw, *self.secrets))
            self.answers[answer.status_code] += 1
            number += 1

    async def go_on(self, posts: int) -> None:
        """Wait until so many more were answered."""
        enough = self.answers.total() + posts
        async with asyncio.timeout(60):
            while self.answers.total() < enough:  # noqa: ASYNC110 - the posters set no event
                await asyncio.sleep(0.01)


async def under_load(house: House, rotate: Callable[[Stripe], Awaitable[None]]) -> Stripe:
    """What was answered while something was rotated; every event must be counted as often as it was posted."""
    invoices = [await house.open_invoice() for _ in range(INVOICES)]
    stripe = Stripe(house, [house.paid(invoice) for invoice in invoices])

    async with stripe.posting():
        await stripe.go_on(2 * POSTERS)
        await rotate(stripe)
        await stripe.go_on(2 * POSTERS)

    seen = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]
    assert [node["status"] for node in seen["nodes"]] == ["PROCESSED"] * INVOICES
    assert sorted(node["deliveries"] for node in seen["nodes"]) == sorted(stripe.posts.values())
    for invoice in invoices:
        found = await house.invoice(invoice["id"])
        assert (found["status"], found["payments"]["totalCount"]) == ("PAID", 1)
    return stripe


async def change(house: House, **given: Any) -> dict[str, Any]:
    """Change the integration; the result."""
    return await house.client.mutate(UPDATE_INTEGRATION, input={"id": house.integration["id"], **given})


@pytest.mark.longer
@pytest.mark.long(servers=SMALL)
async def test_no_delivery_is_refused_while_the_webhook_secret_is_rotated(house: House) -> None:
    """Stripe signs with the old one, with both, then with the new one alone; and all that again and again."""

    async def rotate(stripe: Stripe) -> None:
        for number in range(ROUNDS):
            old, new = stripe.secrets[0], f"whsec_rotated{number}0123456789"
            saved = await change(house, webhookSecret=new)
            assert saved["__typename"] == "UpdateStripeIntegrationSuccess"
            await stripe.go_on(POSTERS)
            stripe.secrets = [old, new]
            await stripe.go_on(POSTERS)
            stripe.secrets = [new]
            await stripe.go_on(POSTERS)

    stripe = await under_load(house, rotate)

    assert set(stripe.answers) == {200}


@pytest.mark.longer
@pytest.mark.long(servers=SMALL)
async def test_a_secret_that_is_saved_counts_at_every_worker_at_once(house: House) -> None:
    async def rotate(stripe: Stripe) -> None:
        for number in range(ROUNDS):
            new = f"whsec_atonce{number}0123456789"
            await change(house, webhookSecret=new)
            stripe.secrets = [new]
            await stripe.go_on(2 * POSTERS)

    stripe = await under_load(house, rotate)

    assert set(stripe.answers) == {200}


@pytest.mark.longer
@pytest.mark.long(servers=SMALL)
async def test_no_delivery_is_refused_while_the_api_key_is_rotated(house: House) -> None:
    async def rotate(stripe: Stripe) -> None:
        for number in range(ROUNDS):
            saved = await change(house, secretKey=f"{house.secret_key}{number}")
            assert saved["__typename"] == "UpdateStripeIntegrationSuccess", saved
            await stripe.go_on(POSTERS)

    stripe = await under_load(house, rotate)

    assert set(stripe.answers) == {200}


@pytest.mark.long(servers=SMALL)
async def test_a_key_of_another_account_is_refused_and_changes_nothing(house: House) -> None:
    async def rotate(stripe: Stripe) -> None:
        refused = await change(house, secretKey="sk_test_other_1234567890")
        assert (refused["__typename"], refused["code"]) == ("Conflict", "OTHER_STRIPE_ACCOUNT")
        await stripe.go_on(POSTERS)

    stripe = await under_load(house, rotate)

    assert set(stripe.answers) == {200}
