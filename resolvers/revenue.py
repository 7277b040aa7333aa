"""Received money over time: a series of points per currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from errors import InvalidInputError
from models.calendar import Span, intervals, time_zone
from models.instant import utc_now
from models.kinds import RevenueInterval, Scope
from models.money import parse_currency
from resolvers.context import Context
from resolvers.reading.receipts import Receipts, receipts

MAX_POINTS: Final = 400
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998

SHORTEST: Final = {
    RevenueInterval.HOUR: timedelta(hours=1),
    RevenueInterval.DAY: timedelta(days=1),
    RevenueInterval.WEEK: timedelta(weeks=1),
    RevenueInterval.MONTH: timedelta(days=28),
}
"""The shortest length of each interval, except for hours that a clock change cuts short."""


class Point(NamedTuple):
    """Money received within a span, in minor units."""

    span: Span
    received: int
    refunded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueSeries:
    """The points of one currency, without gaps."""

    currency: str
    points: list[Point]


async def revenue(
    ctx: Context,
    *,
    since: datetime,
    until: datetime | None,
    interval: RevenueInterval,
    time_zone_name: str,
    currency: str | None,
) -> list[RevenueSeries]:
    """Add up the money received between two instants, by intervals of a time zone; in the order of currency codes.

    The first and the last interval are cut to the range, so that all points together cover it exactly. A currency in
    which no money came in is left out, unless the caller names it.

    Raises:
        InvalidInputError: The range ends before it begins, has too many intervals or lies beyond the years that are
            answered; or there is no such time zone or currency.
    """
    ctx.require(Scope.READ)
    only = None if currency is None else parse_currency(currency, ["currency"])
    zone = time_zone(time_zone_name, ["timeZone"])
    spans = _spans(_range(since, until), interval, zone)
    found = await receipts(ctx.workspace_id, spans, only)
    with_money = {code for code, by_place in found.items() if any(each.paid for each in by_place.values())}
    return [
        RevenueSeries(currency=code, points=_points(spans, found.get(code, {})))
        for code in sorted(with_money if only is None else {only})
    ]


def _range(since: datetime, until: datetime | None) -> Span:
    within = Span(since.astimezone(UTC), utc_now() if until is None else until.astimezone(UTC))
    if within.start >= within.end:
        advice = "let `until` be after `since`" if until is not None else "give a `since` in the past"
        raise InvalidInputError(f"This range is empty: {advice}.", code="EMPTY_RANGE", path=["since"])
    for name, at in (("since", within.start), ("until", within.end)):
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise InvalidInputError(
                f"There is no revenue for the year {at.year}: give a `{name}` from {FIRST_YEAR} to {LAST_YEAR}.",
                code="OUT_OF_RANGE",
                path=[name],
            )
    return within


def _spans(within: Span, interval: RevenueInterval, zone: ZoneInfo) -> list[Span]:
    spans = list(islice(intervals(within, interval, zone), MAX_POINTS + 1))
    if len(spans) > MAX_POINTS:
        raise InvalidInputError(
            f"This range has more than {MAX_POINTS} points of {interval.value}: choose a longer interval or a shorter"
            " range.",
            code="TOO_MANY_POINTS",
            path=["interval"],
        )
    return spans


def _points(spans: Sequence[Span], received: dict[int, Receipts]) -> list[Point]:
    found = [received.get(place, Receipts()) for place in range(len(spans))]
    return [Point(span, each.paid, each.refunded) for span, each in zip(spans, found, strict=True)]


def most_points(length: timedelta, interval: RevenueInterval) -> int:
    """Compute how many points a range of this length can have at most."""
    return min(MAX_POINTS, max(1, length // SHORTEST[interval] + 2))
