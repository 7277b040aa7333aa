"""Workspaces."""

import pytest

from database.access import Database, transaction
from errors import InvalidInputError
from models.kinds import Mode
from models.workspace import add_workspace, workspaces


@pytest.mark.parametrize("mode", Mode)
async def test_a_workspace_is_kept_as_it_was_made(database: Database, mode: Mode) -> None:
    async with transaction() as tx:
        made = await add_workspace(tx, "  Acme ", mode)

    (kept,) = await workspaces()
    assert (kept.id, kept.name, kept.mode, kept.seq) == (made.id, "Acme", mode, 0)
    assert kept.created_at == made.created_at
    assert kept.created_at.tzinfo is not None


async def test_workspaces_are_listed_oldest_first(database: Database) -> None:
    async with transaction() as tx:
        made = [await add_workspace(tx, name, Mode.TEST) for name in ("Zeta", "Acme", "Mu")]

    assert [one.id for one in await workspaces()] == [one.id for one in made]


async def test_a_workspace_without_a_name_is_refused(database: Database) -> None:
    async with transaction() as tx:
        with pytest.raises(InvalidInputError, match="name"):
            await add_workspace(tx, " \n", Mode.TEST)

    assert await workspaces() == []
