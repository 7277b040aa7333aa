"""What the database was too long about: it is told once, and not asked again."""

import gc
import sqlite3
from typing import Any

import pytest
from graphql import FieldNode, NameNode
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues

from execution.plan import steps
from execution.plan.leaves import serializer
from execution.plan.plan import Plan, Root
from execution.schema import schema
from models.kinds import Scope
from models.workspace import Workspace
from resolvers.context import Services
from tests.world.caller import caller_with


def interrupted() -> sqlite3.OperationalError:
    """What SQLite raises when a statement is interrupted."""
    error = sqlite3.OperationalError("interrupted")
    error.sqlite_errorcode = sqlite3.SQLITE_INTERRUPT
    return error


async def _stopped(_: Any) -> Any:
    raise interrupted()


async def _broken(_: Any) -> Any:
    raise LookupError


def root(key: str, call: Any, *, nullable: bool) -> Root:
    """A field of the query that a coroutine finds."""
    string: Any = schema._schema.type_map["String"]
    complete = steps.leaf(serializer(string), nullable=nullable)
    field = [FieldDetails(FieldNode(name=NameNode(value=key)), None)]
    return Root(key, steps.awaited(call, lambda _: {}, complete), nullable, field)


async def _there(_: Any) -> str:
    return "there"


@pytest.mark.parametrize("nullable", [True, False])
async def test_a_statement_that_was_stopped_is_told_at_the_querys_field(
    nullable: bool, services: Services, callers_workspace: Workspace
) -> None:
    """The others are answered, unless the field can't be null."""
    operation = await (await caller_with(services, callers_workspace, Scope.READ)).operation()
    plan = Plan([root("late", _stopped, nullable=nullable), root("other", _there, nullable=False)], 2)

    data, errors = await plan.answer(operation, VariableValues({}, {}))

    assert data == ({"late": None, "other": "there"} if nullable else None)
    assert [error.path for error in errors] == [["late"]]


async def test_anything_else_that_is_raised_is_left_to_graphql_core(
    services: Services, callers_workspace: Workspace
) -> None:
    """It knows where an error belongs."""
    operation = await (await caller_with(services, callers_workspace, Scope.READ)).operation()
    plan = Plan([root("broken", _broken, nullable=True), root("other", _there, nullable=False)], 2)

    with pytest.raises(LookupError):
        await plan.answer(operation, VariableValues({}, {}))


class _Parent:
    """An object with another in it, and so on."""

    @property
    def child(self) -> "_Parent":
        return _Parent()


async def test_what_is_cancelled_before_it_begins_leaves_no_coroutine_behind() -> None:
    """A warning of one would fail this test."""
    string: Any = schema._schema.type_map["String"]
    text = steps.leaf(serializer(string), nullable=False)
    there, broken = (steps.awaited(call, lambda _: {}, text) for call in (_there, _broken))
    selection = steps.Selection([("a", there), ("b", there)])
    for _ in range(4):
        child = steps.attribute("child", steps.objects(selection.fill, nullable=False))
        selection = steps.Selection([("first", child), ("second", child)])

    async def find(_: Any, sources: Any) -> list[Any]:
        return [_Parent() for _ in sources]

    outer = steps.Selection([("x", broken), ("y", steps.found(find, steps.objects(selection.fill, nullable=False)))])
    operation: Any = None

    with pytest.raises(LookupError):
        await outer.fill(steps.Run(operation, VariableValues({}, {})), [_Parent()])  # type: ignore[misc]

    gc.collect()
