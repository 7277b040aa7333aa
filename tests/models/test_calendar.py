"""Intervals: as long as a time zone's clocks make them, and together exactly the range."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidInputError
from models.calendar import Span, intervals, time_zone
from models.kinds import RevenueInterval

HOUR, DAY, WEEK, MONTH = RevenueInterval.HOUR, RevenueInterval.DAY, RevenueInterval.WEEK, RevenueInterval.MONTH


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _hours(start: str, end: str, interval: RevenueInterval, zone: str) -> list[float]:
    """How many hours each interval of a range has."""
    found = intervals(Span(_at(start), _at(end)), interval, ZoneInfo(zone))
    return [(span.end - span.start) / timedelta(hours=1) for span in found]


@pytest.mark.parametrize(
    ("start", "end", "interval", "zone", "hours"),
    [
        ("2026-03-28T00:00+01:00", "2026-03-31T00:00+02:00", DAY, "Europe/Berlin", [24, 23, 24]),
        ("2026-10-24T00:00+02:00", "2026-10-27T00:00+01:00", DAY, "Europe/Berlin", [24, 25, 24]),
        ("2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00", HOUR, "Europe/Berlin", [1] * 25),
        ("2026-03-23T00:00+01:00", "2026-04-06T00:00+02:00", WEEK, "Europe/Berlin", [7 * 24 - 1, 7 * 24]),
        ("2026-10-01T00:00-04:00", "2026-12-01T00:00-05:00", MONTH, "America/New_York", [31 * 24, 30 * 24 + 1]),
        ("2026-11-23T00:00+05:45", "2026-11-24T00:00+05:45", DAY, "Asia/Kathmandu", [24]),
        ("2026-11-23T12:30Z", "2026-11-25T06:00Z", DAY, "UTC", [11.5, 24, 6]),
        ("2026-11-23T12:30Z", "2026-11-23T12:45Z", MONTH, "UTC", [0.25]),
        ("2026-11-23T12:30Z", "2026-11-23T14:15Z", HOUR, "UTC", [0.5, 1, 0.25]),
        # Clocks pass over midnight: the day begins at one.
        ("2026-04-23T00:00+02:00", "2026-04-26T00:00+03:00", DAY, "Africa/Cairo", [24, 23, 24]),
        # Midnight comes twice: the day begins with the first.
        ("2026-10-31T00:00-04:00", "2026-11-02T00:00-05:00", DAY, "America/Havana", [24, 25]),
        # A day that never was.
        ("2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00", DAY, "Pacific/Apia", [24, 24]),
        # Clocks are set by half an hour: the day's last hour is half of one.
        ("2026-10-04T00:00+10:30", "2026-10-05T01:00+11:00", HOUR, "Australia/Lord_Howe", [1] * 23 + [0.5, 1]),
    ],
)
def test_an_interval_is_as_long_as_clocks_make_it(
    start: str, end: str, interval: RevenueInterval, zone: str, hours: list[float]
) -> None:
    assert _hours(start, end, interval, zone) == hours


INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=400))


@given(INSTANTS, LENGTHS, st.sampled_from([*RevenueInterval]), st.sampled_from(sorted(available_timezones())))
def test_intervals_are_the_range_without_gap_or_overlap(
    start: datetime, length: timedelta, interval: RevenueInterval, name: str
) -> None:
    within, zone = Span(start, start + length), ZoneInfo(name)

    found = list(islice(intervals(within, interval, zone), 1_000))

    assert found[0].start == within.start
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(span.start < span.end <= within.end for span in found)
    assert len(found) == 1_000 or found[-1].end == within.end
    if interval is not HOUR:
        assert all(_is_first(span.start.astimezone(zone), interval) for span in found[1:])


def _is_first(at: datetime, interval: RevenueInterval) -> bool:
    """Whether an instant is the first of its day, and that day the first of the interval."""
    before = (at.astimezone(UTC) - timedelta(microseconds=1)).astimezone(at.tzinfo)
    if before.date() == at.date():
        return False
    if interval is WEEK:
        return before.isocalendar()[:2] != at.isocalendar()[:2]
    return interval is DAY or (before.year, before.month) != (at.year, at.month)


@pytest.mark.parametrize("name", ["", "berlin", "Europe/berlin", "../../etc/passwd", "America", "localtime", "+02:00"])
def test_a_name_that_is_no_time_zones_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a time zone") as refusal:
        time_zone(name, ["timeZone"])

    assert (refusal.value.code, refusal.value.path) == ("UNKNOWN_TIME_ZONE", ["timeZone"])
