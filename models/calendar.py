"""Hours, days, weeks and months as a time zone's clocks make them: a day has 23 hours where they are set forward."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from errors import InvalidInputError
from models.kinds import RevenueInterval


class Span(NamedTuple):
    """From an instant on, and up to another one that is no longer of it; both in UTC."""

    start: datetime
    end: datetime


def time_zone(name: str, path: list[str]) -> ZoneInfo:
    """The time zone that IANA calls so.

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
    return frozenset(available_timezones() - {"localtime"})  # the server's own, which no client means


def intervals(within: Span, interval: RevenueInterval, zone: ZoneInfo) -> Iterator[Span]:
    """The intervals of a time zone's calendar, in their order; the first and the last as far as they are within."""
    start = within.start
    for end in _ends(within.start, interval, zone):
        if end > start:  # a day that clocks passed over has none
            yield Span(start, min(end, within.end))
            start = end
        if end >= within.end:
            return


def _ends(after: datetime, interval: RevenueInterval, zone: ZoneInfo) -> Iterator[datetime]:
    """When intervals end, from the one on in which an instant is. Hours are counted from the beginning of their day."""
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
    """When a day begins: the earlier midnight of two, and the moment of the change where clocks pass over midnight."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
