"""Runs a started mutation to completion, even if the client disconnects."""

import asyncio
from functools import partial
from typing import Any

import strawberry
import structlog
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver

from errors import FluxrateError

log = structlog.get_logger(__name__)


class Uninterrupted(FieldExtension):
    """Runs a mutation's resolver in a task of its own, so that cancelling the operation doesn't cancel it."""

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: strawberry.Info[Any, Any], **kwargs: Any
    ) -> Any:
        async def run() -> Any:
            return await next_(source, info, **kwargs)

        task = asyncio.create_task(run())
        running = info.context.running
        running.add(task)
        task.add_done_callback(running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_note_failure)
            raise


def _note_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, FluxrateError):
        log.error("mutation failed after its client had gone", exc_info=error)


mutation = partial(strawberry.mutation, extensions=[Uninterrupted()])
