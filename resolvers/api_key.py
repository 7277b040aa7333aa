"""API keys: a key is shown once, when created; revoking it takes effect at once, on open sockets too."""

from collections.abc import Sequence
from datetime import datetime

from tortoise.queryset import QuerySet

from errors import ConflictError, InvalidInputError
from models.api_key import ApiKey, new_key, preview_of, sha256_of
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import EventType, Scope
from models.text import required_text
from resolvers.context import Context
from resolvers.idempotency import first_result


async def create_api_key(
    ctx: Context, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None, idempotency_key: str | None
) -> tuple[ApiKey, str]:
    """Create an API key; return its row and its text, which is stored nowhere.

    With an idempotency key the text is derived from it and the encryption key, so that a repetition returns the same
    text.

    Raises:
        InvalidInputError: A field can't be taken as it is.
        ConflictError: The idempotency key was used with other input, or before the encryption keys were changed.
    """
    ctx.require(Scope.ADMIN)
    now = utc_now()
    if not scopes:
        raise InvalidInputError("Give the key at least one scope.", path=["input", "scopes"])
    if expires_at is not None and expires_at <= now:
        raise InvalidInputError("expiresAt is in the past.", path=["input", "expiresAt"])
    key_name = required_text(name, "The name", ["input", "name"])
    wanted = [scope for scope in Scope if scope in scopes]
    candidates = _keys(ctx, idempotency_key)
    api_key = ApiKey(
        id=new_id(Prefix.API_KEY),
        workspace_id=ctx.workspace_id,
        name=key_name,
        sha256=sha256_of(candidates[0]),
        preview=preview_of(candidates[0]),
        scopes=",".join(scope.value for scope in wanted),
        created_at=now,
        expires_at=expires_at,
    )
    given = [key_name, api_key.scopes, expires_at]
    async with ctx.write() as write:
        first = await first_result(write, "createApiKey", idempotency_key, given, api_key.id)
        if first != api_key.id:
            return _shown_again(await ctx.rows(ApiKey).get(id=first), candidates)
        await api_key.save()
        write.log(EventType.API_KEY_CREATED)
    return api_key, candidates[0]


def _keys(ctx: Context, idempotency_key: str | None) -> list[str]:
    """Return the texts that a new key may have: a random one, or one derived with each encryption key."""
    mode = ctx.caller.workspace.mode
    if idempotency_key is None:
        return [new_key(mode)]
    purpose = f"api key {ctx.workspace_id} {idempotency_key}"
    return [new_key(mode, secret) for secret in ctx.services.keyring.derive(purpose)]


def _shown_again(api_key: ApiKey, candidates: Sequence[str]) -> tuple[ApiKey, str]:
    for candidate in candidates:
        if sha256_of(candidate) == api_key.sha256:
            return api_key, candidate
    raise ConflictError(
        "An API key was created with this idempotency key before and can't be shown again: revoke it and create"
        " another one.",
        code="KEY_SHOWN_ONCE",
        path=["input", "idempotencyKey"],
    )


async def revoke_api_key(ctx: Context, id_: str) -> ApiKey:
    """Revoke an API key and close its connections in this process. A repetition changes nothing.

    Raises:
        NotFoundError: This workspace has none with this id.
    """
    ctx.require(Scope.ADMIN)
    async with ctx.write() as write:
        api_key = await ctx.one(ApiKey, id_, "API key", ["id"], lock=True)
        if api_key.revoked_at is None:
            api_key.revoked_at = utc_now()
            await api_key.save(update_fields=["revoked_at"])
            write.log(EventType.API_KEY_REVOKED)
    await ctx.services.feed.check_keys()
    return api_key


def api_keys(ctx: Context) -> QuerySet[ApiKey]:
    """List the workspace's API keys, including revoked ones."""
    ctx.require(Scope.ADMIN)
    return ctx.rows(ApiKey)
