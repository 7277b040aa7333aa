"""Conditions that Tortoise has no words for: what they hold for, and their opposites."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import pytest
from tortoise.expressions import Q

from database.access import Database, transaction
from database.conditions import Literally, owned_by, unestimated
from database.scope import unscoped
from models.kinds import Mode
from models.workspace import Workspace, add_workspace

THEN: Final = datetime(2000, 1, 1, tzinfo=UTC)
CONDITIONS: Final[dict[str, Callable[[], Q]]] = {
    "owned_by": lambda: owned_by("name", "Acme"),
    "Literally": lambda: Literally("name = 'Acme'"),
    "unestimated": lambda: unestimated("name", "Acme"),
    "among_others": lambda: Q(owned_by("name", "Acme"), unestimated("created_at__gt", THEN)),
}


@pytest.mark.parametrize("name", CONDITIONS)
async def test_a_condition_and_its_opposite_part_the_rows(database: Database, name: str) -> None:
    async with transaction() as tx:
        for each in ("Acme", "Bolt"):
            await add_workspace(tx, each, Mode.TEST)
    condition = CONDITIONS[name]()

    assert [row.name for row in await unscoped(Workspace).filter(condition)] == ["Acme"]
    assert [row.name for row in await unscoped(Workspace).filter(~condition)] == ["Bolt"]
