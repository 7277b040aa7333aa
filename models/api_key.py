"""API keys: a key is shown once; only its SHA-256 is stored."""

import hashlib
import secrets
from datetime import datetime
from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import Mode, Scope

_RANDOM_CHARACTERS: Final = 40


IMPLIED_SCOPES: Final = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.ADMIN: frozenset(Scope),
}
"""All scopes that a scope includes."""


class ApiKey(Model):
    """A key of a workspace. `scopes` are comma-separated; `preview` is the part that is safe to display."""

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    name = fields.TextField()
    sha256 = fields.CharField(max_length=64)
    preview = fields.TextField()
    scopes = fields.TextField()
    created_at = InstantField()
    last_used_at = InstantField(null=True)
    expires_at = InstantField(null=True)
    revoked_at = InstantField(null=True)

    class Meta:
        table = "api_keys"
        manager = WorkspaceManager()

    @property
    def granted(self) -> list[Scope]:
        """Return the scopes in the order in which they were granted."""
        return [scope for scope in Scope if scope.value in self.scopes.split(",")]

    def is_valid(self, at: datetime) -> bool:
        """Whether the key is accepted at an instant."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


def new_key(mode: Mode, randomness: str | None = None) -> str:
    """Make a key: flx_live_… or flx_test_…, with at least 160 random bits."""
    return f"flx_{mode.value.lower()}_{randomness or secrets.token_hex(_RANDOM_CHARACTERS // 2)}"


def sha256_of(key: str) -> str:
    """Hash a key as the database stores it."""
    return hashlib.sha256(key.encode()).hexdigest()


def preview_of(key: str) -> str:
    """Return the part of a key that is safe to display: flx_test_…4242."""
    return f"{key[:9]}…{key[-4:]}"
