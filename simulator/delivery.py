"""Posting events to webhook endpoints, again and again until they are received."""

import asyncio
from collections.abc import Sequence
from typing import Final

import httpx
import orjson

from simulator.account import Account
from simulator.errors import Payload
from simulator.webhook import WebhookEndpoint

TIMEOUT_S: Final = 10.0
USER_AGENT: Final = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


class Courier:
    """Delivers events; what isn't received is tried again in the background, until closed."""

    def __init__(self, retry_delays_s: Sequence[float]) -> None:
        self._retry_delays_s = tuple(retry_delays_s)
        self._retries: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, headers={"User-Agent": USER_AGENT})

    async def deliver(self, account: Account, event: Payload, posts: int) -> list[Payload]:
        """Post an event to all who want it, and say how each post was answered: None if it wasn't."""
        if posts == 0:
            return []
        endpoints = account.subscribers(event["type"])
        event["pending_webhooks"] = len(endpoints)
        answered = await asyncio.gather(*(self._post_first(account, endpoint, event, posts) for endpoint in endpoints))
        return [
            {"url": endpoint.url, "status": status}
            for endpoint, statuses in zip(endpoints, answered, strict=True)
            for status in statuses
        ]

    async def aclose(self) -> None:
        """Give up what is still to be tried again."""
        for retry in self._retries:
            retry.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        await self._client.aclose()

    async def _post_first(
        self, account: Account, endpoint: WebhookEndpoint, event: Payload, posts: int
    ) -> list[int | None]:
        body = orjson.dumps(event | {"api_version": endpoint.payload["api_version"] or event["api_version"]})
        statuses = [await self._post(endpoint, body) for _ in range(posts)]
        if any(_is_received(status) for status in statuses):
            event["pending_webhooks"] -= 1
        else:
            retry = asyncio.create_task(self._retry(account, endpoint, event, body))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        return statuses

    async def _retry(self, account: Account, endpoint: WebhookEndpoint, event: Payload, body: bytes) -> None:
        for delay_s in self._retry_delays_s:
            await asyncio.sleep(delay_s)
            if endpoint not in account.subscribers(event["type"]):
                return
            if _is_received(await self._post(endpoint, body)):
                event["pending_webhooks"] -= 1
                return

    async def _post(self, endpoint: WebhookEndpoint, body: bytes) -> int | None:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": endpoint.signature(body),
        }
        try:
            response = await self._client.post(endpoint.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return response.status_code


def _is_received(status: int | None) -> bool:
    return status is not None and 200 <= status < 300
