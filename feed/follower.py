"""The algorithm of all that follows: subscribe, then read, then follow.

A follower is offered what is new before it reads what it missed, so nothing falls between the two; what both have
shown is passed over by its number. What it keeps is bounded: one that falls behind goes back to reading.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Generic, Protocol, TypeVar

MAX_BUFFERED: Final = 1000


class Numbered(Protocol):
    """What is followed: its number is greater than that of what came before it."""

    @property
    def number(self) -> int: ...


ItemT = TypeVar("ItemT", bound=Numbered)


class Follower(ABC, Generic[ItemT]):
    """Follows what is after a number: all of it, each item once, in order."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._buffer: deque[ItemT] = deque()
        self._fell_behind = False
        self._something = asyncio.Event()

    @abstractmethod
    async def join(self) -> None:
        """Have it offered what is new."""

    @abstractmethod
    def leave(self) -> None:
        """Stop offering it anything."""

    @abstractmethod
    def missed(self) -> AsyncGenerator[ItemT, None]:
        """Read what is after its position and was not offered."""

    async def items(self) -> AsyncGenerator[ItemT, None]:
        """What it follows, until it is closed."""
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
        """Keep items until there is time, or leave them where they can be read when there are too many."""
        if len(self._buffer) + len(items) > MAX_BUFFERED:
            self._buffer.clear()
            self._fell_behind = True
        elif not self._fell_behind:
            self._buffer.extend(items)
        self._something.set()

    async def rest(self) -> None:
        """Wait until there is something to do."""
        if not self._fell_behind:
            self._something.clear()
            await self._something.wait()
