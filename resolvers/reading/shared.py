"""The loader of which the others are made."""

import asyncio
from typing import Generic, TypeVar

from aiodataloader import DataLoader

ReturnT = TypeVar("ReturnT")


class SharedLoader(DataLoader[str, ReturnT], Generic[ReturnT]):
    """A loader whose answers many wait for: one that is cancelled does not cancel the others."""

    def load(self, key: str) -> "asyncio.Future[ReturnT]":
        """What belongs to a key."""
        return asyncio.shield(super().load(key))
