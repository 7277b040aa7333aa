"""How many statements the database was sent."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.statements.append(record.getMessage())


@contextmanager
def statements() -> Iterator[list[str]]:
    """What Tortoise's connections were asked within the block."""
    logger, kept = logging.getLogger("tortoise.db_client"), _Kept()
    before = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    try:
        yield kept.statements
    finally:
        logger.setLevel(before)
        logger.removeHandler(kept)
