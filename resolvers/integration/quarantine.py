"""Discards quarantined webhook events."""

from models.integration import Integration
from models.kinds import EventType, Scope
from resolvers.context import Context


async def discard_quarantined(ctx: Context, id_: str) -> tuple[Integration, int]:
    """Drop an integration's quarantined webhook events; also return how many there were.

    Raises:
        NotFoundError: This workspace has none with this id.
    """
    ctx.require(Scope.ADMIN)
    async with ctx.write() as write:
        integration = await ctx.one(Integration, id_, "integration", ["id"], lock=True)
        discarded = await ctx.services.quarantine.discard(write.tx, integration.id)
        if discarded:
            write.log(EventType.INTEGRATION_UPDATED, integration_id=integration.id)
    return integration, discarded
