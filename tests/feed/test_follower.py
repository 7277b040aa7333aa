"""Subscribe, then read, then follow: by itself, of numbers."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import pytest

from feed import follower
from feed.follower import Follower

PATIENCE_S: Final = 20.0


@dataclass(frozen=True)
class Item:
    """Something with a number."""

    number: int


def items(numbers: Iterable[int]) -> list[Item]:
    return [Item(number) for number in numbers]


class Counting(Follower[Item]):
    """Follows numbers from 1. `log` is what can be read, and `reads` after what it was."""

    def __init__(self) -> None:
        super().__init__(0)
        self.log: list[Item] = []
        self.reads: list[int] = []

    async def join(self) -> None:
        pass

    def leave(self) -> None:
        pass

    async def missed(self) -> AsyncGenerator[Item, None]:
        self.reads.append(self.position)
        for item in [item for item in self.log if item.number > self.position]:
            yield item

    def happen(self, numbers: Iterable[int]) -> None:
        """Log some, and offer them."""
        new = items(numbers)
        self.log += new
        self.offer(new)


@pytest.mark.parametrize(("bursts", "reads"), [([range(2, 6)], 1), ([range(2, 7)], 2), ([range(2, 5), range(5, 7)], 2)])
async def test_it_reads_again_only_if_more_was_offered_than_it_may_keep(
    monkeypatch: pytest.MonkeyPatch, bursts: list[range], reads: int
) -> None:
    monkeypatch.setattr(follower, "MAX_BUFFERED", 4)
    counting = Counting()
    counting.log = items([1])

    async with aclosing(counting.items()) as shown, asyncio.timeout(PATIENCE_S):
        seen = [(await anext(shown)).number]
        for burst in bursts:
            counting.happen(burst)
        seen += [(await anext(shown)).number for _ in range(2, bursts[-1].stop)]
        waiting = asyncio.ensure_future(anext(shown))
        await asyncio.sleep(0)
        counting.happen([7])
        seen.append((await waiting).number)

    assert seen == [*range(1, bursts[-1].stop), 7]
    assert len(counting.reads) == reads


async def test_what_is_offered_while_it_reads_again_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for it: what it reads again it no longer keeps."""
    monkeypatch.setattr(follower, "MAX_BUFFERED", 4)
    counting = Counting()
    counting.log = items([1])

    async with aclosing(counting.items()) as shown, asyncio.timeout(PATIENCE_S):
        seen = [(await anext(shown)).number]
        counting.happen([2, 3])
        counting.happen([4, 5, 6])
        seen.append((await anext(shown)).number)
        counting.happen([7, 8, 9])
        seen += [(await anext(shown)).number for _ in range(3, 10)]

    assert seen == list(range(1, 10))
    assert len(counting.reads) == 2
