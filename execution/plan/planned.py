"""Answers queries by plans, gives plans to other operations, and caches the plans."""

import contextlib
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any, Final

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values
from graphql.utilities import get_operation_ast
from strawberry import Schema
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionResult

from execution.documents import MAX_KEPT_LENGTH, Document, Recent, recent_document, refusals_of_operation
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
    """Gives a mutation or subscription the plan by which PlannedExecutor completes the values of its root fields.

    `answer_of_plan` has answered the queries that have a plan already.
    """

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        operation, document = context.context, context.graphql_document
        asked = get_operation_ast(document, context.operation_name) if document else None
        if document and asked and isinstance(operation, Operation):
            query = Document(context.query or "", document, context.schema._schema, ())
            if asked.operation is not OperationType.QUERY:
                with contextlib.suppress(UnplannedError):
                    variables = _variables(query.schema, asked, context.variables)
                    operation.completions = _compiled(context.schema, query, asked, variables)
            elif len(query) > MAX_KEPT_LENGTH:
                operation.count_query("size")
        yield


async def answer_of_plan(
    schema: Schema, query: str, operation_name: str | None, variables: dict[str, Any] | None, operation: Operation
) -> ExecutionResult | None:
    """Answer a query by its plan, without Strawberry's extensions; None if it has no plan or is refused.

    Then Strawberry executes it, and reports what is wrong with it.
    """
    document = recent_document(query, schema._schema)
    asked = get_operation_ast(document.document, operation_name) if document else None
    if document is None or asked is None or asked.operation is not OperationType.QUERY:
        return None
    try:
        if refusals_of_operation(document, operation_name, variables, operation):
            return None
    except Exception:  # Strawberry meets it again
        return None
    try:
        answer = await _answer(schema, document, asked, variables, operation)
    except UnplannedError as reason:
        operation.count_query(reason.why)
        return None
    operation.count_query("plan")
    return answer


async def _answer(
    schema: Schema,
    document: Document,
    asked: OperationDefinitionNode,
    given: dict[str, Any] | None,
    operation: Operation,
) -> ExecutionResult:
    try:
        variables = _variables(document.schema, asked, given)
        plan = _compiled(schema, document, asked, variables)
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


def _compiled(
    schema: Schema, document: Document, asked: OperationDefinitionNode, variables: VariableValues
) -> Plan | Completions:
    if len(document) > MAX_KEPT_LENGTH:
        raise UnplannedError("size")
    conditions = _conditions_of(document)
    if not conditions.are_known:
        raise UnplannedError("directive")
    name = asked.name.value if asked.name else None
    coerced = (variables.coerced.get(each) for each in conditions.variables)
    decided = tuple(
        value if isinstance(value, bool) else None for value in coerced
    )  # the others belong to other operations
    compiler = Compiler(schema, document.document, asked, variables)
    return _plans.get((document.text, name, schema, decided), compiler, len(document))


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
