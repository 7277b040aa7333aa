"""Posting events to webhook endpoints, again and again until they are received."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import httpx
import orjson

from simulator.account import Account
from simulator.errors import Payload
from simulator.outage import Outage
from simulator.webhook import WebhookEndpoint

TIMEOUT_S: Final = 10.0
USER_AGENT: Final = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


@dataclass(frozen=True)
class Posting:
    """How the events of one step are posted: each `times`, after `delay_s`."""

    times: int = 1
    delay_s: float = 0.0
    is_shuffled: bool = False
    is_tampered: bool = False
    """They are signed with a random secret, and not posted again."""


class Courier:
    """Posts events, and posts again in the background what isn't received, until it is closed."""

    def __init__(self, retry_delays_s: Sequence[float], outage: Outage) -> None:
        self._retry_delays_s = tuple(retry_delays_s)
        self._outage = outage
        self._background: set[asyncio.Task[None]] = set()

    async def deliver(self, account: Account, events: Sequence[Payload], posting: Posting) -> list[Payload]:
        """Post events to all subscribed endpoints, and return each answer's status, or None without an answer.

        Posts that follow later are not in the result.
        """
        if posting.is_shuffled:
            events = _shuffled(events)
        answered: dict[str, list[Payload]] = {}
        if posting.times and (posting.delay_s or self._outage.left_s):
            self._begin(self._deliver_later(account, events, posting))
        elif posting.times:
            answered = {event["id"]: await self._post_to_all(account, event, posting) for event in events}
        return [
            {"id": event["id"], "type": event["type"], "deliveries": answered.get(event["id"], [])} for event in events
        ]

    async def aclose(self) -> None:
        """Cancel the posts that are still due."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, headers={"User-Agent": USER_AGENT})

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _deliver_later(self, account: Account, events: Sequence[Payload], posting: Posting) -> None:
        await asyncio.sleep(posting.delay_s)
        await self._outage.wait()
        for event in events:
            await self._post_to_all(account, event, posting)

    async def _post_to_all(self, account: Account, event: Payload, posting: Posting) -> list[Payload]:
        endpoints = account.subscribers(event["type"])
        event["pending_webhooks"] = len(endpoints)
        answered = await asyncio.gather(
            *(self._post_first(account, endpoint, event, posting) for endpoint in endpoints)
        )
        return [
            {"url": endpoint.url, "status": status}
            for endpoint, statuses in zip(endpoints, answered, strict=True)
            for status in statuses
        ]

    async def _post_first(
        self, account: Account, endpoint: WebhookEndpoint, event: Payload, posting: Posting
    ) -> list[int | None]:
        body = orjson.dumps(event | {"api_version": endpoint.payload["api_version"] or event["api_version"]})
        sign = endpoint.forged_signature if posting.is_tampered else endpoint.signature
        statuses = [await self._post(endpoint, body, sign(body)) for _ in range(posting.times)]
        if any(_is_received(status) for status in statuses):
            event["pending_webhooks"] -= 1
        elif not posting.is_tampered:
            self._begin(self._retry(account, endpoint, event, body))
        return statuses

    async def _retry(self, account: Account, endpoint: WebhookEndpoint, event: Payload, body: bytes) -> None:
        for delay_s in self._retry_delays_s:
            await asyncio.sleep(delay_s)
            await self._outage.wait()
            if endpoint not in account.subscribers(event["type"]):
                return
            if _is_received(await self._post(endpoint, body, endpoint.signature(body))):
                event["pending_webhooks"] -= 1
                return

    async def _post(self, endpoint: WebhookEndpoint, body: bytes, signature: str) -> int | None:
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
        try:
            response = await self._client.post(endpoint.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return response.status_code


def _shuffled(events: Sequence[Payload]) -> list[Payload]:
    """Put events into another order, if there are several."""
    shuffled = list(events)
    while len(events) > 1 and shuffled == list(events):
        random.shuffle(shuffled)
    return shuffled


def _is_received(status: int | None) -> bool:
    return status is not None and 200 <= status < 300
