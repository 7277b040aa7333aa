"""Hears what PostgreSQL is sent, and whether it lets anybody wait."""

from typing import Any

from tortoise.connection import get_connection

from database.access import fetch
from database.dialect import WRITER


async def hear_statements() -> list[str]:
    """Return a list that gets the first word of each statement from now on, of the connection that writes next."""
    heard: list[str] = []

    def hear(record: Any) -> None:
        heard.append(record.query.split()[0].rstrip(";"))

    writer: Any = get_connection(WRITER)
    async with writer.acquire_connection() as connection:
        connection.add_query_logger(hear)
    return heard


async def somebody_waits() -> bool:
    """Whether a transaction waits for another."""
    return bool(await fetch("SELECT 1 FROM pg_locks WHERE NOT granted"))
