"""Authenticates callers: finds their API key, its workspace and its scopes."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

from database.access import fetch, transaction
from database.scope import unscoped
from errors import ForbiddenError, UnauthenticatedError
from models.api_key import IMPLIED_SCOPES, ApiKey, sha256_of
from models.instant import from_row, utc_now
from models.kinds import Scope
from models.session import Session
from models.workspace import Workspace

Credential = str | Session | None
"""An Authorization header, or a session."""

_MAX_KEPT: Final = 1024

_HOW_TO: Final = 'send the header "Authorization: Bearer flx_…" with an API key of the workspace'
_USE: Final = "use an API key of the workspace (flx_…)"
_SIGN_IN: Final = "sign in with an API key of the workspace"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `workspace.seq` is the newest line of its event log at the time of authentication."""

    workspace: Workspace
    api_key: ApiKey
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Refuse a caller that lacks a scope.

        Raises:
            ForbiddenError: The API key doesn't have it.
        """
        if scope not in self.scopes:
            raise ForbiddenError(
                f"This needs an API key with the scope {scope.value}; this one has"
                f" {', '.join(granted.value for granted in self.api_key.granted)}."
            )


async def authenticate(credential: Credential) -> Caller:
    """Authenticate an Authorization header or a session; the API key is read from the database each time.

    Raises:
        UnauthenticatedError: There is none, it has ended, or its API key is unknown, revoked or expired.
    """
    if not isinstance(credential, Session):
        return await _holder("sha256", sha256_of(_bearer(credential)), _USE)
    if not credential.remaining_s:
        raise UnauthenticatedError(f"This session has ended: {_SIGN_IN}.")
    return await _holder("id", credential.api_key_id, _SIGN_IN)


async def _holder(column: Literal["id", "sha256"], value: str, how_to: str) -> Caller:
    """Find the API key with this value in this column, and its workspace."""
    query = (
        "SELECT k.*, w.name AS workspace_name, w.mode AS workspace_mode, w.seq AS workspace_seq,"  # noqa: S608
        " w.created_at AS workspace_created_at FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id"
        f" WHERE k.{column} = $1"
    )
    rows = await fetch(query, value)
    if not rows:
        raise UnauthenticatedError(f"This API key is unknown: {how_to}.")
    row = dict(rows[0])
    workspace = Workspace._init_from_db(
        id=row["workspace_id"],
        name=row.pop("workspace_name"),
        mode=row.pop("workspace_mode"),
        seq=row.pop("workspace_seq"),
        created_at=from_row(row.pop("workspace_created_at")),
    )
    api_key, scopes = _key_of(tuple(row.items()))
    if api_key.revoked_at is not None:
        raise UnauthenticatedError(f"This API key was revoked: {how_to}.")
    if not api_key.is_valid(utc_now()):
        raise UnauthenticatedError(f"This API key has expired: {how_to}.")
    return Caller(workspace, api_key, scopes)


@lru_cache(_MAX_KEPT)
def _key_of(row: tuple[tuple[str, Any], ...]) -> tuple[ApiKey, frozenset[Scope]]:
    """Make an API key of its row, and all that it allows; made once while the row stays the same."""
    api_key = ApiKey._init_from_db(**{name: _instant(name, value) for name, value in row})
    return api_key, frozenset().union(*(IMPLIED_SCOPES[scope] for scope in api_key.granted))


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").strip().partition(" ")
    if not authorization:
        raise UnauthenticatedError(f"There is no API key: {_HOW_TO}.")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError(f"This is not an API key: {_HOW_TO}.")
    if not key.strip().startswith("flx_"):
        raise UnauthenticatedError(f"This is not an API key: {_USE}.")
    return key.strip()


def _instant(name: str, value: object) -> object:
    return from_row(value) if name.endswith("_at") and isinstance(value, str | datetime) else value


async def still_valid(key_ids: set[str]) -> set[str]:
    """Return which of these API keys are still valid, for connections that outlive a request."""
    kept = unscoped(ApiKey).filter(id__in=list(key_ids), revoked_at__isnull=True)
    now, ends = utc_now(), await kept.values_list("id", "expires_at")
    return {id_ for id_, expires_at in ends if expires_at is None or expires_at > now}


async def note_use(used_at: dict[str, datetime]) -> None:
    """Write down when API keys were last used."""
    async with transaction() as tx:
        for key_id in sorted(used_at):
            await tx.execute("UPDATE api_keys SET last_used_at = $2 WHERE id = $1", key_id, used_at[key_id])
