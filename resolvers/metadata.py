"""Stores a business's own data about customers and invoices."""

from collections.abc import Mapping

import orjson

from models.metadata import merged
from resolvers.context import KEEP, Keep, Write

Changes = Mapping[str, str | None]


async def save_metadata(write: Write, subject_id: str, changes: Changes | Keep | None) -> bool:
    """Merge changes into an object's metadata (None removes all); return whether anything changed.

    The caller has locked the object.

    Raises:
        InvalidInputError: There would be too many entries.
    """
    if changes is KEEP:
        return False
    rows = await write.tx.fetch(
        "SELECT entries FROM metadata WHERE subject_id = $1 AND workspace_id = $2", subject_id, write.workspace_id
    )
    before: dict[str, str] = orjson.loads(rows[0]["entries"]) if rows else {}
    after = {} if changes is None else merged(before, changes)
    if after == before:
        return False
    if after:
        await write.tx.execute(
            "INSERT INTO metadata (subject_id, workspace_id, entries) VALUES ($1, $2, $3)"
            " ON CONFLICT (subject_id) DO UPDATE SET entries = EXCLUDED.entries",
            subject_id,
            write.workspace_id,
            orjson.dumps(after).decode(),
        )
    else:
        await forget_metadata(write, subject_id)
    return True


async def forget_metadata(write: Write, subject_id: str) -> None:
    """Delete the metadata of a deleted object."""
    await write.tx.execute(
        "DELETE FROM metadata WHERE subject_id = $1 AND workspace_id = $2", subject_id, write.workspace_id
    )
