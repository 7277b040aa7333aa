"""Makes the schema with its extensions."""

from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Any, Final

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import StreamExecutionResult
from strawberry.types.graphql import OperationType

from execution.documents import Documents
from execution.errors import shown_to_client
from execution.limits import in_our_words
from execution.plan.completing import PlannedExecutor
from execution.plan.planned import Planned, answer_of_plan
from schema.context import Operation, new_request_id
from schema.mutations.root import Mutation
from schema.problems import HANDLERS
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    """A schema that answers queries by plans, and replaces internal errors before clients see them."""

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Execute an operation: a query by its plan, if it has one."""
        allowed = None if allowed_operation_types is None else set(allowed_operation_types)
        answer = await self._answer_of_plan(query, variable_values, context_value, operation_name, allowed)
        if answer is not None:
            return answer
        return await super().execute(
            query, variable_values, context_value, root_value, operation_name, allowed, operation_extensions
        )

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> AsyncGenerator[StreamExecutionResult, None]:
        """Execute an operation and return its results: those of a subscription, or one, like `execute`."""
        allowed = None if allowed_operation_types is None else set(allowed_operation_types)
        answer = await self._answer_of_plan(query, variable_values, context_value, operation_name, allowed)
        if answer is not None:
            return _only(answer)
        return await super().stream(
            query, variable_values, context_value, root_value, operation_name, operation_extensions, allowed
        )

    async def _answer_of_plan(
        self,
        query: str | None,
        variables: dict[str, Any] | None,
        operation: object,
        operation_name: str | None,
        allowed: Collection[OperationType] | None,
    ) -> ExecutionResult | None:
        has_plans = Planned in self.extensions and (allowed is None or OperationType.QUERY in allowed)
        if not has_plans or query is None or not isinstance(operation, Operation):
            return None
        answer = await answer_of_plan(self, query, operation_name, variables, operation)
        if answer is not None:
            self._show_errors(answer.errors or [], operation)
        return answer

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace the errors of a result, in place, before anyone sees them."""
        self._show_errors(errors, execution_context.context if execution_context else None)

    @staticmethod
    def _show_errors(errors: list[GraphQLError], operation: object) -> None:
        request_id = operation.request_id if isinstance(operation, Operation) else new_request_id()
        errors[:] = [shown_to_client(in_our_words(error), request_id) for error in errors]


async def _only(result: ExecutionResult) -> AsyncGenerator[StreamExecutionResult, None]:
    yield result


def make_schema(*extensions: type[SchemaExtension]) -> Schema:
    """Make the schema with its extensions."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=list(extensions),
        execution_context_class=PlannedExecutor,
        exception_handlers=HANDLERS,
        config=StrawberryConfig(scalar_map=SCALARS),
    )


schema: Final = make_schema(Documents, Planned)
