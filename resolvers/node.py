"""Finds any object by its global id."""

from typing import Any

from tortoise.models import Model

from models.api_key import ApiKey
from models.event import Event
from models.ids import Prefix, is_id, prefix_of
from models.kinds import Scope
from resolvers.auth import Caller
from resolvers.context import Context
from resolvers.reading.few_columns import FewColumns


def viewer(ctx: Context) -> Caller:
    """Return the caller."""
    ctx.require(Scope.READ)
    return ctx.caller


async def node(ctx: Context, id_: str) -> Model | None:
    """Find any object of this workspace by its id; API keys need ADMIN."""
    ctx.require(Scope.READ)
    kind = prefix_of(id_)
    if kind is Prefix.WORKSPACE:
        return ctx.caller.workspace if id_ == ctx.workspace_id else None
    if kind is Prefix.API_KEY:
        return await ctx.rows(ApiKey).filter(id=id_).first() if Scope.ADMIN in ctx.caller.scopes else None
    if kind is Prefix.EVENT:
        return await ctx.rows(Event).filter(id=id_).first()
    loader = None if kind is None else ctx.loaders.of(kind)
    return None if loader is None else await loader.load(id_)


async def node_of(ctx: Context, kind: Prefix, id_: str) -> Any:
    """Find an object of one kind."""
    ctx.require(Scope.READ)
    return await node(ctx, id_) if is_id(id_, kind) else None


async def columns_of(ctx: Context, kind: Prefix, id_: str, columns: FewColumns) -> Any:
    """Find some columns of an object of one kind."""
    ctx.require(Scope.READ)
    return (await columns.by_id(ctx.workspace_id, [id_])).get(id_) if is_id(id_, kind) else None
