"""Makes the schema with its extensions."""

from typing import Final

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from execution.documents import Documents
from execution.errors import shown_to_client
from execution.limits import in_our_words
from execution.plan.completing import PlannedExecutor
from execution.plan.planned import Planned
from schema.context import Operation, new_request_id
from schema.mutations.root import Mutation
from schema.problems import HANDLERS
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    """A schema that replaces internal errors before clients see them."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace the errors of a result, in place, before anyone sees them."""
        operation = execution_context.context if execution_context else None
        request_id = operation.request_id if isinstance(operation, Operation) else new_request_id()
        errors[:] = [shown_to_client(in_our_words(error), request_id) for error in errors]


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
