"""Creates and revokes API keys."""

from datetime import datetime
from typing import Annotated

import strawberry

from models.kinds import Scope
from resolvers import api_key
from schema import fields
from schema.context import Info, given
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, NotFound, result_of
from schema.types.api_key import ApiKey


@strawberry.input(description="A new API key.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="A name that says what the key is for.")
    scopes: list[Scope] = strawberry.field(description="What the key may do.")
    expires_at: datetime | None = fields.optional("When the key expires. By default the key never expires.")
    idempotency_key: str | None = fields.idempotency_key()


@strawberry.type(description="The API key was created.")
class CreateApiKeySuccess:
    api_key: ApiKey = strawberry.field(description="The new API key.")
    key: str = strawberry.field(
        description=(
            "The secret text of the key, which clients send with each request. Fluxrate does not"
            " store this text. If you repeat the mutation with the same `idempotencyKey` and input,"
            " Fluxrate computes the same text again."
        )
    )


@strawberry.type(description="The API key is revoked and no longer works.")
class RevokeApiKeySuccess:
    api_key: ApiKey = strawberry.field(description="The API key as it is now.")


CreateApiKeyResult = Annotated[CreateApiKeySuccess | InvalidInput | Conflict, result_of("createApiKey")]
RevokeApiKeyResult = Annotated[RevokeApiKeySuccess | NotFound, result_of("revokeApiKey")]


@strawberry.type
class ApiKeyMutations:
    @mutation(description="Create an API key. Needs the scope ADMIN.")
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="The new API key.")],
    ) -> CreateApiKeyResult:
        row, key = await api_key.create_api_key(
            info.context,
            name=input.name,
            scopes=input.scopes,
            expires_at=given(input.expires_at),
            idempotency_key=given(input.idempotency_key),
        )
        info.context.tells_secret = True
        return CreateApiKeySuccess(api_key=ApiKey.of(row), key=key)

    @mutation(description="Revoke an API key. From then on, requests with this key are refused. Needs the scope ADMIN.")
    async def revoke_api_key(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of the API key.")]
    ) -> RevokeApiKeyResult:
        return RevokeApiKeySuccess(api_key=ApiKey.of(await api_key.revoke_api_key(info.context, id)))
