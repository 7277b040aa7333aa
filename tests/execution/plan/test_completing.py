"""What mutations return and subscriptions yield is completed by plans exactly as by graphql-core, value by value."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution.documents import Documents
from execution.plan.completing import PlannedExecutor
from execution.plan.planned import Planned
from execution.plan.steps import NullError
from execution.schema import make_schema, schema
from models.kinds import Scope
from models.workspace import Workspace
from resolvers.context import Services
from tests.execution.plan.documents import Asked, selections
from tests.execution.plan.estate import furnish, odd_of, pool_of
from tests.execution.plan.test_equal import EXAMPLES
from tests.execution.plan.test_stopped import interrupted
from tests.world.caller import Caller, caller_with
from tests.world.rows import Rows

_FIRST: Final = 4
"""How many events of a subscription are looked at."""


class Both(PlannedExecutor):
    """Completes each root field's value both ways, and notes whether there was a plan, and whether it failed."""

    outcomes: Final[list[str]] = []
    differences: Final[list[Any]] = []
    """What an answer would hide, since it shows no assertion that failed."""

    def complete_value(self, *usual: Any) -> Any:
        """The value of a root field, if both ways agree."""
        path, result = usual[3], usual[4]
        if path.prev is not None or isinstance(result, Exception) or path is self._left:
            return super().complete_value(*usual)
        return self._both(super().complete_value(*usual), *usual)

    async def _both(self, completed: Any, *usual: Any) -> Any:
        outcome = "plan" if self._complete_of(usual[3].key) else "none"
        by_plan, failed = await _caught(completed)
        self.outcomes.append("left" if self._left is usual[3] else outcome)
        self._left, self.context_value.completions = usual[3], None
        self.context_value.refresh()  # a field that failed has cancelled what others would wait for
        by_core, wanted = await _caught(_judged(self, usual))
        if (repr(by_plan), repr(failed)) != (repr(by_core), repr(wanted)):  # the order of keys, and types, too
            self.differences.append((by_plan, by_core, failed, wanted))
        if failed is not None:
            raise failed
        return by_plan


async def _judged(executor: Both, usual: tuple[Any, ...]) -> Any:
    judged = StrawberryGraphQLCoreExecutionContext.complete_value(executor, *usual)
    return await judged if isinstance(judged, Awaitable) else judged


async def _caught(completed: Any) -> tuple[Any, Exception | None]:
    try:
        return await completed if isinstance(completed, Awaitable) else completed, None
    except Exception as error:
        return None, error


BOTH: Final = make_schema(Documents, Planned)
BOTH.execution_context_class = Both


async def results(asked: Asked, caller: Caller) -> list[Any]:
    """The first results of an operation."""
    context = await caller.operation()
    if asked.text.startswith("mutation"):
        return [await BOTH.execute(asked.text, asked.variables, context_value=context)]
    found = []
    stream: Any = await BOTH.subscribe(asked.text, asked.variables, context_value=context)
    async with aclosing(stream):
        for _ in range(_FIRST):
            found.append(await asyncio.wait_for(anext(stream), 20))
            if found[-1].errors:
                break
    return found


@pytest.mark.timeout(120 + EXAMPLES * 10)
async def test_values_are_completed_as_graphql_core_does(
    services: Services, callers_workspace: Workspace, rows: Rows, stranger: Caller
) -> None:
    elsewhere = Rows((await stranger.operation()).workspace_id)
    before = await caller_with(services, callers_workspace, Scope.READ)
    start = (await before.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    own, other = await furnish(rows, Random(1)), await furnish(elsewhere, Random(2))
    admin = await caller_with(services, callers_workspace, Scope.ADMIN)
    invoice, customer = (next(id_ for id_ in own.ids if id_.startswith(f"{prefix}_")) for prefix in ("inv", "cust"))
    fields = [
        f'subscription events(after: "{start}")',
        f'mutation updateCustomer(input: {{id: "{customer}", name: "Ada"}})',
        f'mutation updateInvoice(input: {{id: "{invoice}", memo: "Thanks"}})',
        f'mutation voidInvoice(id: "{customer}")',
        'mutation createCustomer(input: {name: "", email: "x"})',
    ]
    loop = asyncio.get_running_loop()
    Both.outcomes.clear()
    Both.differences.clear()

    async def ask(asked: Asked) -> None:
        await results(asked, admin)
        assert Both.differences == [], asked

    @settings(
        max_examples=2 * EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(selections(BOTH._schema, pool_of(own), odd_of(other), fields))
    def equal(asked: Asked) -> None:
        asyncio.run_coroutine_threadsafe(ask(asked), loop).result()

    await asyncio.to_thread(equal)

    assert Both.outcomes.count("plan") > EXAMPLES / 4
    assert set(Both.outcomes) <= {"plan", "none", "left"}


RENAME: Final = 'mutation ($id: ID!) { updateCustomer(input: {id: $id, name: "Grace"}) { __typename ...F } }'
NAMES: Final = " fragment F on UpdateCustomerSuccess { customer { name invoices(first: 1) { totalCount } } }"


@pytest.mark.parametrize("is_later", [False, True], ids=["at once", "later"])
async def test_what_a_plan_cannot_complete_graphql_core_completes_without_another_effect(
    admin: Caller, rows: Rows, monkeypatch: pytest.MonkeyPatch, is_later: bool
) -> None:
    customer = await rows.customer(name="Ada")
    calls = []

    def failing(_: object, __: object) -> Any:
        calls.append(1)

        async def fail() -> list[Any]:
            raise NullError

        if is_later:
            return fail()
        raise NullError

    monkeypatch.setattr(PlannedExecutor, "_complete_of", lambda *_: failing)

    answer = await admin.query(RENAME + NAMES, id=customer.id)

    assert answer["updateCustomer"] == {
        "__typename": "UpdateCustomerSuccess",
        "customer": {"name": "Grace", "invoices": {"totalCount": 0}},
    }
    assert len(calls) == 1
    changes = await admin.query("{ events(first: 9, filter: {type: [CUSTOMER_UPDATED]}) { totalCount } }")
    assert changes["events"]["totalCount"] == 1


async def test_a_statement_that_was_stopped_is_not_sent_again(
    admin: Caller, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await rows.customer(name="Ada")

    def stopped(*_: object) -> Any:
        raise interrupted()

    monkeypatch.setattr(PlannedExecutor, "_complete_of", lambda *_: stopped)

    result = await schema.execute(RENAME + NAMES, {"id": customer.id}, context_value=await admin.operation())

    assert result.errors is not None
    assert [error.path for error in result.errors] == [["updateCustomer"]]
    assert [(error.extensions or {}).get("code") for error in result.errors] == ["TIMED_OUT"]
