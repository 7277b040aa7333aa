"""Workspaces: businesses, which own everything else."""

from tortoise import fields
from tortoise.models import Model

from database.scope import unscoped
from database.transaction import Transaction
from errors import InvalidInputError
from models.ids import Prefix, new_id
from models.instant import InstantField, utc_now
from models.kinds import Mode


class Workspace(Model):
    """A business. `seq` is the number of the newest line of its event log."""

    id = fields.CharField(primary_key=True, max_length=64)
    name = fields.TextField()
    mode = fields.CharEnumField(Mode, max_length=8)
    seq = fields.BigIntField(default=0)
    created_at = InstantField()

    class Meta:
        table = "workspaces"


async def add_workspace(tx: Transaction, name: str, mode: Mode) -> Workspace:
    """Create a workspace.

    Raises:
        InvalidInputError: The name is empty.
    """
    if not name.strip():
        raise InvalidInputError("A workspace needs a name.", path=["name"])
    workspace = Workspace(id=new_id(Prefix.WORKSPACE), name=name.strip(), mode=mode, seq=0, created_at=utc_now())
    await tx.execute(
        "INSERT INTO workspaces (id, name, mode, seq, created_at) VALUES ($1, $2, $3, 0, $4)",
        workspace.id,
        workspace.name,
        workspace.mode.value,
        workspace.created_at,
    )
    return workspace


async def workspaces() -> list[Workspace]:
    """List all workspaces, oldest first, for the operator's commands."""
    return await unscoped(Workspace).order_by("id")
