"""A compiled operation, and the error of one that can't be compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, located_error
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues

from database.errors import is_stopped
from execution.plan import steps
from execution.plan.steps import Answer, Complete, Run, Step
from schema.context import Operation


class UnplannedError(Exception):
    """An operation that graphql-core must execute. `why` is one of a few words, for the metric."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Root:
    """A root field of the query."""

    key: str
    step: Step
    nullable: bool
    field: FieldDetailsList


@dataclass(frozen=True, slots=True)
class Completions:
    """A compiled mutation or subscription: how the value of each root field is completed, by its key."""

    operation: OperationDefinitionNode
    of_root: Mapping[str, Complete]
    fields: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled query."""

    roots: list[Root]
    fields: int

    async def answer(self, context: Operation, variables: VariableValues) -> tuple[Answer | None, list[GraphQLError]]:
        """Execute the query: return its data, and an error for each root field for which the database took too long.

        Raises:
            Exception: Anything else that a field raised; graphql-core then executes the query and reports it.
        """
        run = Run(context, variables)
        late: dict[str, GraphQLError] = {}

        async def filled(root: Root) -> list[Any]:
            try:
                column = root.step(run, [None])
                return column if isinstance(column, list) else await column
            except Exception as error:
                if not is_stopped(error):
                    raise
                late[root.key] = located_error(error, [each.node for each in root.field], [root.key])
                return [None]

        columns = await steps.together([filled(root) for root in self.roots])
        answer = {root.key: value for root, (value,) in zip(self.roots, columns, strict=True)}
        is_null = any(root.key in late and not root.nullable for root in self.roots)
        return None if is_null else answer, list(late.values())
