"""The extension that executes queries by plans, completes other operations by plans, and caches the plans."""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from typing import Any, Final

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values
from graphql.utilities import get_operation_ast
from strawberry.extensions import SchemaExtension

from execution.documents import MAX_KEPT_LENGTH, Document, Recent
from execution.plan.arguments import Conditions
from execution.plan.compile import Compiler
from execution.plan.plan import Completions, Plan, UnplannedError
from schema.context import Operation

MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""How many bytes the cached plans may take, by the estimates below."""

BYTES_PER_FIELD: Final = 4096
BYTES_PER_CHARACTER: Final = 64
"""The estimate of a plan's bytes: for each field, and for each character of its document, which it holds parsed."""

_MAX_ERRORS: Final = 50
_NO_VARIABLES: Final = VariableValues({}, {})


class Planned(SchemaExtension):
    """Executes queries by plans, and leaves the rest to graphql-core.

    A mutation or subscription is given the plan by which PlannedExecutor completes the values of its root fields.
    """

    async def on_execute(self) -> AsyncIterator[None]:
        context = self.execution_context
        operation, document = context.context, context.graphql_document
        asked = get_operation_ast(document, context.operation_name) if document else None
        if asked and asked.operation is OperationType.QUERY and isinstance(operation, Operation):
            try:
                context.result = await _answer(context, operation, asked)
                operation.count_query("plan")
            except UnplannedError as reason:
                operation.count_query(reason.why)
        elif asked and isinstance(operation, Operation):
            with contextlib.suppress(UnplannedError):
                variables = _variables(context.schema._schema, asked, context.variables)
                operation.completions = _compiled(context, asked, variables)
        yield


async def _answer(context: Any, operation: Operation, asked: OperationDefinitionNode) -> ExecutionResult:
    try:
        variables = _variables(context.schema._schema, asked, context.variables)
        plan = _compiled(context, asked, variables)
        assert isinstance(plan, Plan)  # noqa: S101  (it is a query's)
        data, errors = await plan.answer(operation, variables)
    except UnplannedError:
        raise
    except Exception as error:
        operation.refresh()
        raise UnplannedError("error") from error
    return ExecutionResult(data, errors or None)


def _variables(schema: GraphQLSchema, asked: OperationDefinitionNode, given: dict[str, Any] | None) -> VariableValues:
    if not asked.variable_definitions:
        return _NO_VARIABLES
    values = get_variable_values(schema, asked.variable_definitions, given or {}, _MAX_ERRORS)
    if isinstance(values, list):
        raise UnplannedError("error")
    return values


# --- The cache of plans ----------------------------------------------------------------------------------------


def _compiled(context: Any, asked: OperationDefinitionNode, variables: VariableValues) -> Plan | Completions:
    if len(context.query) > MAX_KEPT_LENGTH:
        raise UnplannedError("size")
    document = context.graphql_document
    conditions = _conditions_of(Document(context.query, document, context.schema._schema, ()))
    if not conditions.are_known:
        raise UnplannedError("directive")
    name = asked.name.value if asked.name else None
    coerced = (variables.coerced.get(each) for each in conditions.variables)
    decided = tuple(
        value if isinstance(value, bool) else None for value in coerced
    )  # the others belong to other operations
    compiler = Compiler(context.schema, document, asked, variables)
    return _plans.get((context.query, name, context.schema, decided), compiler, len(context.query))


def _conditions(asked: Document) -> Conditions:
    return Conditions(asked.document)


_conditions_of: Final = Recent(_conditions)


class _Plans:
    """A cache of plans, limited by their bytes; drops the least recently used."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Plan | Completions | str, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Hashable, compiler: Compiler, characters: int) -> Plan | Completions:
        """Return the cached plan of a key, or compile it.

        Raises:
            UnplannedError: The operation can't be compiled.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            found, _ = self._kept[key]
        else:
            found = self._compiled(compiler)
            fields = 1 if isinstance(found, str) else found.fields
            self._keep(key, found, fields * BYTES_PER_FIELD + characters * BYTES_PER_CHARACTER)
        if isinstance(found, str):
            raise UnplannedError(found)
        return found

    def _keep(self, key: Hashable, found: Plan | Completions | str, size: int) -> None:
        self._kept[key] = found, size
        self.bytes += size
        while self.bytes > MAX_KEPT_BYTES:
            _, (_, least_used) = self._kept.popitem(last=False)
            self.bytes -= least_used

    @staticmethod
    def _compiled(compiler: Compiler) -> Plan | Completions | str:
        """Compile a plan, or return why that failed: the exception itself would keep its frames in memory."""
        try:
            return compiler.plan() if compiler.is_query else compiler.completions()
        except UnplannedError as reason:
            return reason.why
        except (GraphQLError, RecursionError):
            return "error"


_plans: Final = _Plans()
