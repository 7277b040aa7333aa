"""What the database was too long about: it is told once, and not asked again."""

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
