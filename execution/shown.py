"""What a client asks for, what it is shown of that, and how it is sent."""

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
"""How long a client may take to read what it is sent before it is given up."""


class StuckError(Exception):
    """A client does not read what it is sent."""


class GoneError(Exception):
    """A client has hung up."""


async def until_sent(sending: Awaitable[None]) -> None:
    """Wait until something was sent.

    Raises:
        StuckError: It was not read for too long.
        GoneError: There is nobody to read it.
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
    """What a client asks for, and the kinds of operation that may be asked for in its way; None: any."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    allowed: Iterable[OperationType] | None = None

    async def results(self, context: Operation) -> AsyncGenerator[Any, None]:
        """What comes of it, executed for this client alone."""
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
    """A result, and the number of the line of the log that it tells of; 0 where it tells of none."""

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
"""Sends at once and gives None, or gives what is to be awaited; raises OSError when the client has gone."""


async def tell(send: Send, shown: Shown) -> None:
    """Send one result, however long that takes.

    Raises:
        StuckError: It was not read for too long.
        GoneError: There is nobody to read it.
    """
    try:
        sending = send([shown])
    except OSError as error:
        raise GoneError from error
    if sending is not None:
        await until_sent(sending)
