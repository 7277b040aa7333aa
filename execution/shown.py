"""A client's request, its results, and how they are sent."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from execution.results import as_json, ends
from execution.schema import schema
from schema.context import Operation

STUCK_AFTER_S: Final = 30.0
"""How long a client may leave sent data unread before it is disconnected."""


class StuckError(Exception):
    """A client does not read."""


class GoneError(Exception):
    """A client has disconnected."""


async def until_sent(sending: Awaitable[None]) -> None:
    """Wait until something was sent.

    Raises:
        StuckError: It was not read for too long.
        GoneError: The client has disconnected.
    """
    try:
        async with asyncio.timeout(STUCK_AFTER_S):
            await sending
    except TimeoutError:
        raise StuckError from None
    except (OSError, RuntimeError) as error:
        raise GoneError from error


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's request, and the types of operation that its transport allows; None allows all."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    allowed: Iterable[OperationType] | None = None

    async def results(self, context: Operation) -> AsyncGenerator[Any, None]:
        """Execute it for this client alone and yield the results."""
        stream = await schema.stream(
            self.query,
            variable_values=self.variables,
            context_value=context,
            operation_name=self.operation_name,
            allowed_operation_types=self.allowed,
        )
        async with aclosing(stream) as results:
            async for result in results:
                yield result


@dataclass(frozen=True)
class Shown:
    """A result, and the number of its line in the log; 0 if it has none."""

    number: int
    result: ExecutionResult

    @cached_property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return ends(self.result)

    @cached_property
    def payload(self) -> bytes:
        """The result as JSON, encoded once."""
        return orjson.dumps(as_json(self.result))


Send = Callable[[Sequence[Shown]], Coroutine[Any, Any, None] | None]
"""Sends at once and returns None, or returns an awaitable; raises OSError if the client has disconnected."""


async def send_one(send: Send, shown: Shown) -> None:
    """Send one result, and wait until it is sent.

    Raises:
        StuckError: It was not read for too long.
        GoneError: The client has disconnected.
    """
    try:
        sending = send([shown])
    except OSError as error:
        raise GoneError from error
    if sending is not None:
        await until_sent(sending)
