"""Hears what PostgreSQL is sent."""

from typing import Any

from tortoise.connection import get_connection

from database.dialect import WRITER


async def hear_statements() -> list[str]:
    """Return a list that gets the first word of each statement from now on, of the first connection that writes."""
    heard: list[str] = []

    def hear(record: Any) -> None:
        heard.append(record.query.split()[0].rstrip(";"))

    writer: Any = get_connection(WRITER)
    async with writer._pool.acquire() as connection:
        connection.add_query_logger(hear)
    return heard
