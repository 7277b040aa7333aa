"""Instants: always with a time zone, always UTC."""

from datetime import UTC, date, datetime


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def from_epoch(seconds: int) -> datetime:
    """Convert Stripe's Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def from_row(value: datetime | str) -> datetime:
    """Convert an instant from a row: PostgreSQL returns a datetime, SQLite ISO 8601 text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def utc_today() -> date:
    """Return today's date in UTC. An invoice with an earlier due date is overdue."""
    return datetime.now(UTC).date()
