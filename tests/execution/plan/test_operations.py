"""A document of several operations: what one of them decides by is nothing to another."""

from typing import Any

import pytest

from execution.schema import schema
from models.kinds import Scope
from models.workspace import Workspace
from resolvers.context import Services
from tests.world.caller import caller_with

DOCUMENT = """
query Decides($x: Boolean!) { viewer @include(if: $x) { apiKey { name } } }
query Filters($x: InvoiceFilter) { invoices(first: 1, filter: $x) { nodes { id } } }
"""


@pytest.mark.parametrize(
    ("operation", "given", "answer"),
    [
        ("Decides", True, {"viewer": {"apiKey": {"name": "Dashboard"}}}),
        ("Decides", False, {}),
        ("Filters", {"status": ["OPEN"]}, {"invoices": {"nodes": []}}),
    ],
)
async def test_a_variable_means_what_its_operation_says(
    operation: str, given: Any, answer: Any, services: Services, callers_workspace: Workspace
) -> None:
    caller = await caller_with(services, callers_workspace, Scope.READ)

    result = await schema.execute(
        DOCUMENT, {"x": given}, context_value=await caller.operation(), operation_name=operation
    )

    assert (result.data, result.errors) == (answer, None)
