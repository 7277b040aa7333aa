"""Fetches events from Stripe when the caller asks for it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from errors import InvalidInputError, StripeRefusedError, StripeUnavailableError
from inbox.sync import Progress
from models.instant import utc_now
from models.integration import Integration
from models.kinds import Scope
from resolvers.context import Context

WITHIN_S: Final = 20.0
"""How long one call reads; the next one continues there."""


async def sync_stripe_events(ctx: Context, integration_id: str, since: datetime | None) -> Progress:
    """Apply what Stripe lists since an instant, or since the last sync, and payments of links that were not reported.

    Raises:
        NotFoundError: This workspace has no such integration.
        InvalidInputError: It is disconnected, or the instant is still to come.
        StripeRefusedError: Stripe does not let the key read, or can't be asked right now.
    """
    ctx.require(Scope.WRITE)
    integration = await ctx.one(Integration, integration_id, "integration", ["integrationId"])
    if integration.disconnected_at is not None:
        raise InvalidInputError(
            "This integration is disconnected for good, and its key is gone: connect Stripe again (connectStripe).",
            code="INTEGRATION_DISCONNECTED",
            path=["integrationId"],
        )
    if since is not None and since > utc_now():
        raise InvalidInputError(
            "`since` is in the future: leave it out to continue from the last sync.", path=["since"]
        )
    try:
        progress = await ctx.services.sync.fetch_events(integration, since, within_s=WITHIN_S)
        if progress.complete:
            paid = await ctx.services.sync.check_links(integration, rest=timedelta(0))
            progress = replace(progress, found=progress.found + paid, applied=progress.applied + paid)
    except StripeUnavailableError as error:
        raise StripeRefusedError(error.message, code=error.code, path=["integrationId"]) from None
    ctx.refresh()
    return progress
