"""Lists a workspace's integrations."""

from tortoise.queryset import QuerySet

from gateways.stripe.endpoints import endpoint_url
from models.integration import Integration
from models.kinds import Scope
from resolvers.context import Context


def stripe_integrations(ctx: Context, *, include_disconnected: bool) -> QuerySet[Integration]:
    """List the workspace's integrations."""
    ctx.require(Scope.READ)
    rows = ctx.rows(Integration)
    return rows if include_disconnected else rows.filter(disconnected_at=None)


def webhook_url(ctx: Context, integration: Integration) -> str | None:
    """Return the URL to which Stripe must post; None without ADMIN, and when disconnected."""
    if Scope.ADMIN not in ctx.caller.scopes or integration.webhook_token is None:
        return None
    return endpoint_url(ctx.services.public_url, integration.webhook_token)
