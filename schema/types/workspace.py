"""The workspace, and the caller."""

from datetime import datetime

import strawberry

from models import workspace as models
from models.ids import Prefix
from models.kinds import Mode
from resolvers import event
from resolvers.auth import Caller
from schema.context import Info
from schema.node import Node
from schema.types.api_key import ApiKey


@strawberry.type(
    description=(
        "A business, which owns all other objects. `eventCursor` is read before the other fields of an operation. A"
        " subscription with this cursor as `after` misses no later change, but may repeat a change that the operation"
        " already shows."
    )
)
class Workspace(Node, prefix=Prefix.WORKSPACE):
    name: str = strawberry.field(description="As the operator named it.")
    mode: Mode = strawberry.field(description="Whether its money is real.")
    created_at: datetime = strawberry.field(description="When it was created.")

    @strawberry.field(description="The cursor of the workspace's newest event, for `after`.")
    def event_cursor(self, info: Info) -> str:
        return event.cursor_of(info.context, info.context.caller.workspace.seq)

    @classmethod
    def of(cls, row: models.Workspace) -> "Workspace":
        return cls(id=strawberry.ID(row.id), name=row.name, mode=row.mode, created_at=row.created_at)


@strawberry.type(description="Who is calling.")
class Viewer:
    workspace: Workspace = strawberry.field(description="The workspace that the API key belongs to.")
    api_key: ApiKey = strawberry.field(description="The API key of this request.")

    @classmethod
    def of(cls, caller: Caller) -> "Viewer":
        return cls(workspace=Workspace.of(caller.workspace), api_key=ApiKey.of(caller.api_key))
