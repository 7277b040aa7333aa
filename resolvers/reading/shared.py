"""The base of all loaders."""

import asyncio
from abc import abstractmethod
from typing import Generic, TypeVar

from strawberry.dataloader import DataLoader

ReturnT = TypeVar("ReturnT")


class SharedLoader(DataLoader[str, ReturnT], Generic[ReturnT]):
    """A loader for many callers: one that is cancelled doesn't cancel the others."""

    def __init__(self) -> None:
        super().__init__(self.batch_load_fn)

    @abstractmethod
    async def batch_load_fn(self, keys: list[str]) -> list[ReturnT]:
        """Load what belongs to the keys, in their order."""

    def load(self, key: str) -> "asyncio.Future[ReturnT]":
        """Load what belongs to a key."""
        return asyncio.shield(super().load(key))
