"""API keys."""

from datetime import datetime

import strawberry

from models import api_key as models
from models.ids import Prefix
from models.kinds import Scope
from schema.node import Node
from schema.pages import Connection


@strawberry.type(
    description="An API key, without the secret text that clients send. Only `createApiKey` returns this text."
)
class ApiKey(Node, prefix=Prefix.API_KEY):
    name: str = strawberry.field(description="A name that says what the key is for.")
    preview: str = strawberry.field(description="The part of the key that is safe to display, such as flx_test_…4242.")
    scopes: list[Scope] = strawberry.field(description="What the key may do.")
    created_at: datetime = strawberry.field(description="When the key was created.")
    last_used_at: datetime | None = strawberry.field(
        description="When the key was last used, accurate to about a minute."
    )
    expires_at: datetime | None = strawberry.field(description="When the key expires. Null if the key never expires.")
    revoked_at: datetime | None = strawberry.field(description="When the key was revoked.")

    @classmethod
    def of(cls, row: models.ApiKey) -> "ApiKey":
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            preview=row.preview,
            scopes=row.granted,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )


@strawberry.type(description="A page of API keys.")
class ApiKeyConnection(Connection[ApiKey]):
    pass
