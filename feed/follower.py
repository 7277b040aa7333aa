"""The way to follow anything: join, then read what was missed, then take what is offered.

A follower is offered new items before it reads what it missed, so it misses none; an item that it gets twice is dropped
by its number. Its buffer is bounded: a follower that falls behind reads again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Generic, Protocol, TypeVar

MAX_BUFFERED: Final = 1000


class Numbered(Protocol):
    """An item; numbers grow."""

    @property
    def number(self) -> int: ...


ItemT = TypeVar("ItemT", bound=Numbered)


class Follower(ABC, Generic[ItemT]):
    """Yields all items after a number, each once and in order."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._buffer: deque[ItemT] = deque()
        self._fell_behind = False
        self._something = asyncio.Event()

    @abstractmethod
    async def join(self) -> None:
        """Begin to be offered new items."""

    @abstractmethod
    def leave(self) -> None:
        """Stop being offered items."""

    @abstractmethod
    def missed(self) -> AsyncGenerator[ItemT, None]:
        """Read the items after its position."""

    async def items(self) -> AsyncGenerator[ItemT, None]:
        """Yield items until the caller stops."""
        await self.join()
        try:
            while True:
                self._fell_behind = False
                async with aclosing(self.missed()) as missed:
                    async for item in missed:
                        self.position = item.number
                        yield item
                while not self._fell_behind:
                    while self._buffer:
                        item = self._buffer.popleft()
                        number = item.number
                        if number > self.position:
                            self.position = number
                            yield item
                    await self.rest()
        finally:
            self.leave()

    def offer(self, items: Sequence[ItemT]) -> None:
        """Buffer items; if there are too many, drop them all, and read them again later."""
        if len(self._buffer) + len(items) > MAX_BUFFERED:
            self._buffer.clear()
            self._fell_behind = True
        elif not self._fell_behind:
            self._buffer.extend(items)
        self._something.set()

    async def rest(self) -> None:
        """Wait until there are items, or some to read again."""
        if not self._fell_behind:
            self._something.clear()
            await self._something.wait()
