"""A statement that is written for one query serves those of the same shape: it says the same as one of their own."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.access import Database
from database.conditions import Literally, owned_by, unestimated
from database.scope import scoped, scoped_list
from models.invoice import PARTIALLY_PAID, Invoice
from models.kinds import InvoiceStatus
from resolvers.reading import statement
from resolvers.reading.statement import Written, selecting, statement_of

NAMES: Final = ("customer_id", "id", "total")
TERMS: Final = [Invoice._meta.basetable[name] for name in NAMES]
Make = Callable[[Iterator[int]], Q]
"""Makes a condition whose values are made of numbers."""


def _text(numbers: Iterator[int]) -> str:
    return f"text_{next(numbers)}"


MAKERS: Final[dict[str, Make]] = {
    "equal": lambda numbers: Q(customer_id=_text(numbers)),
    "greater": lambda numbers: Q(total__gt=next(numbers)),
    "one": lambda numbers: Q(id__in=[_text(numbers)]),
    "three": lambda numbers: Q(id__in=[_text(numbers) for _ in range(3)]),
    "none": lambda _: Q(id__in=[]),
    "null": lambda _: Q(due_date__isnull=True),
    "no_value": lambda _: Q(memo=None),
    "statuses": lambda _: Q(status__in=[InvoiceStatus.OPEN, InvoiceStatus.PAID]),
    "wildcard": lambda numbers: Q(number__icontains=_text(numbers)),
    "owner": lambda numbers: owned_by("customer_id", _text(numbers)),
    "literal": lambda _: Literally(PARTIALLY_PAID),
    "instant": lambda numbers: Q(created_at__lt=datetime.fromtimestamp(next(numbers), UTC)),
    "bound": lambda numbers: unestimated("created_at__gt", datetime.fromtimestamp(next(numbers), UTC)),
    "several": lambda numbers: Q(customer_id=_text(numbers), integration_id=_text(numbers)),
    "either": lambda numbers: Q(Q(customer_id=_text(numbers)), Q(number=_text(numbers)), join_type=Q.OR),
    "not": lambda numbers: ~Q(number=_text(numbers)),
    "not_literally": lambda _: ~Literally(PARTIALLY_PAID),
}


def _query(makers: list[str], order: str, limit: int | None, *, is_listed: bool, begin: int) -> QuerySet[Any]:
    numbers = count(begin)
    rows = (scoped_list if is_listed else scoped)(Invoice, _text(numbers))
    rows = rows.filter(*(MAKERS[name](numbers) for name in makers)).order_by(order, "id")
    return rows if limit is None else rows.limit(limit + begin)


def _own(rows: QuerySet[Any]) -> Written:
    written = statement_of(rows)
    written._selects = [*TERMS]
    return Written(*written.get_parameterized_sql())


QUERIES: Final = st.tuples(
    st.lists(st.sampled_from(sorted(MAKERS)), max_size=4),
    st.sampled_from(["workspace_id", "-workspace_id", "customer_id"]),
    st.sampled_from([None, 10]),
    st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(queries=st.lists(QUERIES, min_size=1, max_size=4))
async def test_a_text_that_is_kept_is_the_text_of_each_query_of_its_shape(
    database: Database, queries: list[tuple[list[str], str, int | None, bool]]
) -> None:
    for begin in (1000, 2000):
        for makers, order, limit, is_listed in queries:
            rows = _query(makers, order, limit, is_listed=is_listed, begin=begin)
            assert selecting(rows, NAMES, TERMS) == _own(rows)


def _kept_for(*makers: str) -> int:
    statement._texts.clear()
    for begin in (1000, 2000):
        selecting(_query(list(makers), "workspace_id", 10, is_listed=True, begin=begin), NAMES, TERMS)
    return len(statement._texts)


async def test_texts_are_kept_by_their_shape_and_others_are_written_each_time(database: Database) -> None:
    assert [_kept_for(name) for name in ("equal", "one", "owner", "literal", "several", "either", "not")] == [1] * 7
    assert [_kept_for(name) for name in ("no_value", "none", "wildcard")] == [0] * 3


async def test_a_text_is_not_kept_if_its_values_can_not_be_told_apart(database: Database) -> None:
    statement._texts.clear()
    same, other = (scoped(Invoice, "a").filter(customer_id=value) for value in ("a", "b"))

    selecting(same, NAMES, TERMS)
    assert len(statement._texts) == 0

    assert selecting(other, NAMES, TERMS).values == ["a", "b"]
    assert selecting(same, NAMES, TERMS) == _own(same)
    assert len(statement._texts) == 1


@pytest.mark.parametrize("limit", [3])
async def test_only_some_texts_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(statement, "_MAX_KEPT", limit)
    statement._texts.clear()
    for name in MAKERS:
        selecting(_query([name], "workspace_id", 10, is_listed=True, begin=1), NAMES, TERMS)

    assert len(statement._texts) == limit
