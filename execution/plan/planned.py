"""The extension that executes queries by plans, and caches the plans."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from typing import Any, Final

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values
from graphql.utilities import get_operation_ast
from strawberry.extensions import SchemaExtension

from execution.documents import MAX_KEPT_LENGTH, Document, Recent
from execution.plan.compile import Compiler, Conditions
from execution.plan.plan import Plan, UnplannedError
from schema.context import Operation

MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""What the plans that are kept take together, as far as is known before."""

BYTES_PER_FIELD: Final = 4096
BYTES_PER_CHARACTER: Final = 64
"""What a plan takes for each of its fields and, by the parsed document that it holds, for each character of that."""

_MAX_ERRORS: Final = 50
_NO_VARIABLES: Final = VariableValues({}, {})


class Planned(SchemaExtension):
    """Executes queries by plans, and leaves the rest to graphql-core."""

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
        yield


async def _answer(context: Any, operation: Operation, asked: OperationDefinitionNode) -> ExecutionResult:
    try:
        variables = _variables(context.schema._schema, asked, context.variables)
        plan = _plan_of(context, asked, variables)
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


# --- Plans that are kept ---------------------------------------------------------------------------------------


def _plan_of(context: Any, asked: OperationDefinitionNode, variables: VariableValues) -> Plan:
    if len(context.query) > MAX_KEPT_LENGTH:
        raise UnplannedError("size")
    document = context.graphql_document
    conditions = _conditions_of(Document(context.query, document, context.schema._schema, ()))
    if not conditions.are_known:
        raise UnplannedError("directive")
    name = asked.name.value if asked.name else None
    coerced = (variables.coerced.get(each) for each in conditions.variables)
    decided = tuple(value if isinstance(value, bool) else None for value in coerced)  # others are of other operations
    compiler = Compiler(context.schema, document, asked, variables)
    return _plans.get((context.query, name, context.schema, decided), compiler, len(context.query))


def _conditions(asked: Document) -> Conditions:
    return Conditions(asked.document)


_conditions_of: Final = Recent(_conditions)


class _Plans:
    """The plans that were asked for lately; bounded by what they take, the least used are let go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Plan | str, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Hashable, compiler: Compiler, characters: int) -> Plan:
        """The plan that is known by a key, or that is compiled now.

        Raises:
            UnplannedError: There is none.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            found, _ = self._kept[key]
        else:
            found = self._compiled(compiler)
            fields = found.fields if isinstance(found, Plan) else 1
            self._keep(key, found, fields * BYTES_PER_FIELD + characters * BYTES_PER_CHARACTER)
        if isinstance(found, str):
            raise UnplannedError(found)
        return found

    def _keep(self, key: Hashable, found: Plan | str, size: int) -> None:
        self._kept[key] = found, size
        self.bytes += size
        while self.bytes > MAX_KEPT_BYTES:
            _, (_, least_used) = self._kept.popitem(last=False)
            self.bytes -= least_used

    @staticmethod
    def _compiled(compiler: Compiler) -> Plan | str:
        """Compile a plan, or say why there is none: the error itself would keep what it was raised in."""
        try:
            return compiler.plan()
        except UnplannedError as reason:
            return reason.why
        except (GraphQLError, RecursionError):
            return "error"


_plans: Final = _Plans()
