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
        "A business. Every other object belongs to a workspace. `eventCursor` is read before the"
        " other fields of an operation. Therefore a subscription with this cursor as `after`"
        " misses no later change, but it may repeat a change that the operation's other fields"
        " already show."
    )
)
class Workspace(Node, prefix=Prefix.WORKSPACE):
    name: str = strawberry.field(description="The workspace's name, which the operator gave it.")
    mode: Mode = strawberry.field(description="Whether the workspace's payments move real money.")
    created_at: datetime = strawberry.field(description="When the workspace was created.")

    @strawberry.field(
        description="The cursor of the workspace's newest event, to be given as `after` to subscriptions."
    )
    def event_cursor(self, info: Info) -> str:
        return event.cursor_of(info.context, info.context.caller.workspace.seq)

    @classmethod
    def of(cls, row: models.Workspace) -> "Workspace":
        return cls(id=strawberry.ID(row.id), name=row.name, mode=row.mode, created_at=row.created_at)


@strawberry.type(description="The workspace and the API key of a request.")
class Viewer:
    workspace: Workspace = strawberry.field(description="The workspace that the API key belongs to.")
    api_key: ApiKey = strawberry.field(description="The API key of this request.")

    @classmethod
    def of(cls, caller: Caller) -> "Viewer":
        return cls(workspace=Workspace.of(caller.workspace), api_key=ApiKey.of(caller.api_key))
