"""Splits time into hours, days, weeks and months of a time zone. A day has 23 or 25 hours when clocks change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from errors import InvalidInputError
from models.kinds import RevenueInterval


class Span(NamedTuple):
    """The time from one instant up to, but without, another; both in UTC."""

    start: datetime
    end: datetime


def time_zone(name: str, path: list[str]) -> ZoneInfo:
    """Find a time zone by its IANA name.

    Raises:
        InvalidInputError: There is none.
    """
    if name not in _names():
        raise InvalidInputError(
            f'{name[:60]!r} is not a time zone: give its name in the IANA database, like "Europe/Berlin" or "UTC".',
            code="UNKNOWN_TIME_ZONE",
            path=path,
        )
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(
        available_timezones() - {"localtime"}
    )  # "localtime" is the server's own zone, which no client means


def intervals(within: Span, interval: RevenueInterval, zone: ZoneInfo) -> Iterator[Span]:
    """Split a span into the intervals of a time zone's calendar; the first and the last are cut to the span."""
    start = within.start
    for end in _ends(within.start, interval, zone):
        if end > start:  # a day that a clock change skips is empty
            yield Span(start, min(end, within.end))
            start = end
        if end >= within.end:
            return


def _ends(after: datetime, interval: RevenueInterval, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the ends of intervals, from the interval that contains an instant on.

    Hours are counted from the start of the day.
    """
    first = _first_day(after.astimezone(zone).date(), interval)
    while True:
        following = _following(first, interval)
        end = _midnight(following, zone)
        if interval is RevenueInterval.HOUR:
            hour = _midnight(first, zone) + timedelta(hours=1)
            while hour < end:
                yield hour
                hour += timedelta(hours=1)
        yield end
        first = following


def _first_day(day: date, interval: RevenueInterval) -> date:
    if interval is RevenueInterval.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval is RevenueInterval.MONTH else day


def _following(first: date, interval: RevenueInterval) -> date:
    if interval is RevenueInterval.MONTH:
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if interval is RevenueInterval.WEEK else 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins: at the earlier one if it has two midnights, at the clock change if it has none."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
