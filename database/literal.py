"""A condition as it stands: SQLite uses a partial index only where a query repeats its condition word by word."""

from pypika_tortoise.context import SqlContext
from pypika_tortoise.terms import Criterion
from tortoise.expressions import Q, ResolveContext
from tortoise.query_utils import QueryModifier


class _Verbatim(Criterion):
    def __init__(self, sql: str) -> None:
        super().__init__()
        self._sql = sql

    def get_sql(self, ctx: SqlContext) -> str:  # noqa: ARG002
        return self._sql


class Literally(Q):
    """A condition of ours in SQL, for `filter`; never made of anything that somebody else wrote."""

    def __init__(self, sql: str) -> None:
        super().__init__()
        self._sql = sql

    def __bool__(self) -> bool:
        return True

    def resolve(self, resolve_context: ResolveContext) -> QueryModifier:  # noqa: ARG002
        """The condition."""
        return QueryModifier(where_criterion=_Verbatim(self._sql))
