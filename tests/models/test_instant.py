"""Instants are read as the databases hold them, always aware and in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.instant import InstantField

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "held",
    [
        NOON,
        "2026-01-31 12:00:00+00:00",
        "2026-01-31T12:00:00.000000+00:00",
        "2026-01-31 14:00:00+02:00",
        NOON.astimezone(timezone(timedelta(hours=2))),
    ],
    ids=repr,
)
def test_what_a_database_holds_is_read_as_an_instant_in_utc(held: datetime | str) -> None:
    read = InstantField().to_python_value(held)

    assert read == NOON
    assert read.utcoffset() == timedelta(0)


def test_nothing_is_nothing() -> None:
    assert InstantField(null=True).to_python_value(None) is None


def test_what_is_no_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="noon"):
        InstantField().to_python_value("noon")
