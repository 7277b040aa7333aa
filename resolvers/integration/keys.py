"""Checks a secret key as the caller gives it."""

from gateways.stripe.keys import parse_secret_key
from resolvers.context import Context


def own_secret_key(ctx: Context, text: str) -> str:
    return parse_secret_key(
        text,
        ctx.caller.workspace.mode,
        live_keys_allowed=ctx.services.gateway.live_keys_allowed,
        path=["input", "secretKey"],
    )
