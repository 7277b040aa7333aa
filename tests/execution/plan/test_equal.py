"""A plan answers exactly as graphql-core does: random queries over random rows, compared byte for byte."""

import asyncio
from random import Random
from typing import Any, Final

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution.documents import Documents
from execution.results import as_json
from execution.schema import Schema, make_schema, schema
from execution.shown import Asked as Requested
from models.kinds import Scope
from models.workspace import Workspace
from resolvers.context import Services
from tests.execution.plan.documents import Asked, queries
from tests.execution.plan.estate import furnish, odd_of, pool_of
from tests.world.caller import Caller, caller_with
from tests.world.long import few_or_many
from tests.world.rows import Rows

EXAMPLES: Final = few_or_many(4, 60, "FLUXRATE_PLAN_EXAMPLES")

JUDGE: Final = make_schema(Documents)
"""The same schema, always answered by graphql-core."""


async def answer(of: Schema, caller: Caller, asked: Asked) -> tuple[bytes, list[str], list[str]]:
    """The data and the errors of an answer, and by what queries were answered."""
    answered_by: list[str] = []
    operation = await caller.operation()
    operation.request_id, operation.count_query = "r1", answered_by.append
    result = await of.execute(asked.text, asked.variables, context_value=operation)
    told: dict[str, Any] = as_json(result)
    errors = told.pop("errors", [])
    return orjson.dumps(told), sorted(orjson.dumps(each).decode() for each in errors), answered_by


@pytest.mark.parametrize(
    ("query", "error", "answered_by"),
    [
        ("{ viewer { apiKey { name } } }", [], ["plan"]),
        ("{ node(id: 1, first: 2) { id } }", ["Unknown argument 'first' on field 'Query.node'."], []),
    ],
)
async def test_a_query_over_a_socket_is_answered_by_its_plan_too(
    query: str, error: list[str], answered_by: list[str], services: Services, callers_workspace: Workspace
) -> None:
    """And over server-sent events: whatever takes a subscription as well."""
    operation = await (await caller_with(services, callers_workspace, Scope.READ)).operation()
    counted: list[str] = []
    operation.count_query = counted.append

    (result,) = [result async for result in Requested(query).results(operation)]

    assert [each.message for each in result.errors or []] == error
    assert result.data == (None if error else {"viewer": {"apiKey": {"name": "Dashboard"}}})
    assert counted == answered_by


@pytest.mark.longer
@pytest.mark.timeout(120 + EXAMPLES * 10)
async def test_a_plan_answers_as_graphql_core_does(
    services: Services, callers_workspace: Workspace, rows: Rows, stranger: Caller
) -> None:
    """Errors too, whose order graphql-core leaves to chance; and what has none is answered by a plan."""
    elsewhere = Rows((await stranger.operation()).workspace_id)
    own, other = await furnish(rows, Random(1)), await furnish(elsewhere, Random(2))
    callers = [await caller_with(services, callers_workspace, scope) for scope in (Scope.READ, Scope.ADMIN)]
    callers.append(await caller_with(services, callers_workspace))
    loop = asyncio.get_running_loop()
    answered: list[str] = []

    async def compare(asked: Asked, caller: Caller) -> None:
        data, errors, by = await answer(schema, caller, asked)
        assert (data, errors) == (await answer(JUDGE, caller, asked))[:2]
        answered.extend(by)
        assert by in (["plan"], ["error"] if errors else [], [] if data == b"{}" else ["plan"])

    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    @given(queries(schema._schema, pool_of(own), odd_of(other)), st.sampled_from([0, 0, 0, 1, 1, 2]))
    def equal(asked: Asked, which: int) -> None:
        asyncio.run_coroutine_threadsafe(compare(asked, callers[which]), loop).result()

    await asyncio.to_thread(equal)

    assert answered.count("plan") > EXAMPLES / 8
