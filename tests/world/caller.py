"""Whoever asks, without a server in between."""

from dataclasses import dataclass
from typing import Any

from database.access import transaction
from execution.schema import schema
from models.api_key import ApiKey, new_key, preview_of, sha256_of
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import Scope
from models.workspace import Workspace
from resolvers.auth import authenticate
from resolvers.context import Services
from schema.context import Operation


@dataclass(frozen=True)
class Caller:
    """Somebody with an API key."""

    services: Services
    authorization: str

    async def operation(self) -> Operation:
        """The context of an operation that begins now."""
        return Operation(self.services, await authenticate(self.authorization))

    async def execute(self, document: str, **variables: Any) -> tuple[Any, list[dict[str, Any]]]:
        """The data and the errors of an answer."""
        result = await schema.execute(document, variables, context_value=await self.operation())
        return result.data, [dict(error.formatted) for error in result.errors or []]

    async def query(self, document: str, **variables: Any) -> Any:
        """The data of an answer that must hold no errors."""
        answer, errors = await self.execute(document, **variables)
        assert errors == []
        return answer

    async def refusal(self, document: str, **variables: Any) -> dict[str, Any]:
        """The only error of an answer."""
        _, (error,) = await self.execute(document, **variables)
        return error


async def caller_with(services: Services, workspace: Workspace, *scopes: Scope) -> Caller:
    """Somebody with an API key of a workspace."""
    key = new_key(workspace.mode)
    async with transaction():
        await ApiKey.create(
            id=new_id(Prefix.API_KEY),
            workspace_id=workspace.id,
            name="Dashboard",
            sha256=sha256_of(key),
            preview=preview_of(key),
            scopes=",".join(scopes),
            created_at=utc_now(),
        )
    return Caller(services, f"Bearer {key}")
