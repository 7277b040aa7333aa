"""Completes what mutations return and subscriptions yield by plans; graphql-core resolves their root fields."""

from typing import Any

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from database.errors import is_stopped
from execution.plan.plan import Completions
from execution.plan.steps import Complete, Run, Unfinished
from schema.context import Operation


class PlannedExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, which completes the value of a root field by a plan if there is one.

    If that fails, graphql-core completes the same value: nothing is resolved twice, and errors are graphql-core's.
    """

    _left: Path | None = None
    """The root field whose value the plan could not complete."""

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        usual = return_type, field_details_list, info, path, result, position_context
        if path.prev is not None or path is self._left or result is None or isinstance(result, Exception):
            return super().complete_value(*usual)
        complete = self._complete_of(path.key)
        if complete is None:
            return super().complete_value(*usual)
        operation: Operation = self.context_value
        try:
            answers = complete(Run(operation, self.variable_values), [result])
        except Exception as error:
            return self._complete_usually(error, operation, *usual)
        return answers[0] if isinstance(answers, list) else self._finish(answers, operation, *usual)

    def _complete_of(self, key: str | int) -> Complete | None:
        operation = self.context_value
        known = operation.completions if isinstance(operation, Operation) else None
        if isinstance(known, Completions) and known.operation is self.operation:
            return known.of_root.get(str(key))
        return None

    async def _finish(self, answers: Unfinished, operation: Operation, *usual: Any) -> Any:
        try:
            return (await answers)[0]
        except Exception as error:
            completed = self._complete_usually(error, operation, *usual)
            return await completed if self.is_awaitable(completed) else completed

    def _complete_usually(self, error: Exception, operation: Operation, *usual: Any) -> Any:
        if is_stopped(error):  # it would take as long again
            raise error
        operation.refresh()
        self._left = usual[3]
        return super().complete_value(*usual)
