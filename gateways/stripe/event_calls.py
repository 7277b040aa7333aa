"""Requests to Stripe for what happened: its events, and the completed sessions of Payment Links."""

from collections.abc import Mapping, Sequence
from typing import Any

from errors import StripeRefusedError
from gateways.base import EventPage
from gateways.stripe.api import GONE, PAGE, StripeApi
from gateways.stripe.events import EVENTS_TO_SEND


class EventCalls(StripeApi):
    """Implements `EventGateway` for Stripe."""

    async def list_events(
        self,
        secret_key: str,
        *,
        created_gte: int,
        created_lt: int,
        types: Sequence[str] = EVENTS_TO_SEND,
        starting_after: str | None = None,
        limit: int = PAGE,
    ) -> EventPage:
        """Fetch a page of events of some types created in a range of Unix seconds, newest first, in Stripe's format.

        Raises:
            StripeRefusedError: Stripe does not let the key read its events.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        params: dict[str, object] = {
            "created": {"gte": created_gte, "lt": created_lt},
            "types": list(types),
            "limit": limit,
        }
        if starting_after is not None:
            params["starting_after"] = starting_after
        return await self.page(secret_key, "/v1/events", params)

    async def completed_sessions(self, secret_key: str, payment_link: str) -> Sequence[Mapping[str, Any]]:
        """Fetch the newest completed checkout sessions of a Payment Link, in Stripe's format.

        There are none if Stripe has no such link, for instance after a change of the account.

        Raises:
            StripeRefusedError: Stripe does not let the key read checkout sessions.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        params = {"payment_link": payment_link, "status": "complete", "limit": PAGE}
        try:
            return (await self.page(secret_key, "/v1/checkout/sessions", params)).rows
        except StripeRefusedError as refusal:
            if refusal.stripe_code != GONE:
                raise
            return ()
