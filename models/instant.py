"""Instants: always aware, always UTC."""

from datetime import UTC, date, datetime


def utc_now() -> datetime:
    """This instant."""
    return datetime.now(UTC)


def from_epoch(seconds: int) -> datetime:
    """Stripe's Unix seconds as an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def from_row(value: datetime | str) -> datetime:
    """An instant as a row holds it: a datetime on PostgreSQL, ISO 8601 text on SQLite."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def utc_today() -> date:
    """Today in UTC: an invoice with an earlier due date is overdue."""
    return datetime.now(UTC).date()
