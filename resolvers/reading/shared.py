"""The loader of which the others are made."""

import asyncio
from abc import abstractmethod
from typing import Generic, TypeVar

from strawberry.dataloader import DataLoader

ReturnT = TypeVar("ReturnT")


class SharedLoader(DataLoader[str, ReturnT], Generic[ReturnT]):
    """A loader whose answers many wait for: one that is cancelled does not cancel the others."""

    def __init__(self) -> None:
        super().__init__(self.batch_load_fn)

    @abstractmethod
    async def batch_load_fn(self, keys: list[str]) -> list[ReturnT]:
        """What belongs to the keys, in their order."""

    def load(self, key: str) -> "asyncio.Future[ReturnT]":
        """What belongs to a key."""
        return asyncio.shield(super().load(key))
