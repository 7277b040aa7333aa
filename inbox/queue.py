"""The inbox: every Stripe event enters here and is applied in batches.

It is a group commit: deliveries that arrive while a transaction runs form the next batch, so a lone delivery waits for
no other and a flood shares its commits. A caller gets its receipt only after the commit of the raw bytes and of all
changes.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from database.access import Database, retrying, transaction
from database.conditions import Literally
from database.scope import scoped
from errors import FluxrateError, UnavailableError
from inbox import batch
from inbox.batch import Posted
from inbox.delivery import Delivery, Receipt, kept
from models.integration import Integration
from models.kinds import WebhookEventStatus
from models.webhook_event import UNFINISHED, WebhookEvent

log = structlog.get_logger(__name__)

MAX_QUEUED: Final = 4096
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
MAX_BATCH: Final = 128
_PAGE: Final = 200


OnDone = Callable[[Receipt | Exception], None]
"""Is called in the event loop with the receipt of a delivery, or with the error because of which it was not stored."""


class _Entry(NamedTuple):
    """A delivery in the queue, and who waits for it."""

    delivery: Delivery
    on_done: OnDone


class _RehearsedError(Exception):
    """Rolls back a rehearsal."""


class Inbox:
    """A queue of deliveries, and the tasks that process it."""

    def __init__(
        self,
        database: Database,
        on_commit: Callable[[Mapping[str, int]], None],
        on_links_due: Callable[[], None],
    ) -> None:
        self._flushers = 1 if database.dialect == "sqlite" else 2
        self._on_commit = on_commit
        self._on_links_due = on_links_due
        self._queue: deque[_Entry] = deque()
        self._queued_bytes = 0
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._idle = self._flushers
        self._closing = False

    async def __aenter__(self) -> "Inbox":
        self._tasks = [asyncio.create_task(self._flush()) for _ in range(self._flushers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Settle what is queued, then stop."""
        self._closing = True
        self._ready.set()
        await asyncio.gather(*self._tasks)

    async def accept(self, delivery: Delivery) -> Receipt:
        """Store and apply a delivery; returns after the commit. Cancelling the caller cancels nothing.

        Raises:
            UnavailableError: The queue is full or the database is unavailable; the delivery is not stored.
        """
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

        def on_done(result: Receipt | Exception) -> None:
            if future.done():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(delivery, on_done)
        return await future

    def submit(self, delivery: Delivery, on_done: OnDone) -> None:
        """Queue a delivery, to be stored and applied.

        Raises:
            UnavailableError: The queue is full; the delivery is not stored and `on_done` will not be called.
        """
        if (
            self._closing
            or len(self._queue) >= MAX_QUEUED
            or self._queued_bytes + len(delivery.body) > MAX_QUEUED_BYTES
        ):
            raise UnavailableError("The inbox is full: try again in a moment.")
        self._queue.append(_Entry(delivery, on_done))
        self._queued_bytes += len(delivery.body)
        self._ready.set()

    async def release_held(self, integration: Integration) -> int:
        """Apply the events that were HELD while an integration was inactive, oldest first; return their number."""
        released = 0
        after = ""
        while True:
            held = await _waiting(integration, WebhookEventStatus.HELD, after)
            for webhook_event in held:
                await self.accept(kept(integration, webhook_event))
                released += 1
            if len(held) < _PAGE:
                return released
            after = held[-1].id

    async def rehearse(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Return what settling these deliveries, in their order, would do: it is done and then rolled back.

        Raises:
            UnavailableError: The database is unavailable right now.
        """
        receipts: list[Receipt] = []
        with contextlib.suppress(_RehearsedError):
            async with transaction() as tx:
                receipts = (await batch.post(tx, deliveries)).receipts
                raise _RehearsedError
        return receipts

    async def _flush(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._ready.clear()
                await self._ready.wait()
                await self._gather()
                continue
            share = -(-len(self._queue) // self._idle)  # an even part for each flusher that has nothing to do
            batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, share))]
            self._queued_bytes -= sum(len(entry.delivery.body) for entry in batch)
            self._idle -= 1
            await self._settle(batch)
            self._idle += 1

    async def _gather(self) -> None:
        """Wait while each turn of the event loop adds deliveries: senders answered together send together."""
        queued = 0
        while queued < min(len(self._queue), MAX_BATCH):
            queued = len(self._queue)
            await asyncio.sleep(0)

    async def _settle(self, batch: Sequence[_Entry]) -> None:
        try:
            receipts = await self._post([entry.delivery for entry in batch])
        except UnavailableError as error:
            log.warning("database unavailable", deliveries=len(batch), error=repr(error.__cause__))
            _refuse(batch, error)
        except Exception as error:
            if len(batch) > 1:  # one bad delivery fails alone
                for entry in batch:
                    await self._settle([entry])
            else:
                await self._fail(batch[0], error)
        else:
            _answer(batch, receipts)

    async def _post(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        posted = await retrying(lambda: _post(deliveries))
        self._on_commit(posted.newest)
        if posted.are_links_due:
            self._on_links_due()
        return posted.receipts

    async def _fail(self, entry: _Entry, error: Exception) -> None:
        reference = uuid4().hex
        log.error("webhook event failed", reference=reference, key=entry.delivery.key, exc_info=error)
        try:
            async with transaction() as tx:
                receipt, newest = await batch.post_failure(tx, entry.delivery, reference)
            self._on_commit(newest)
        except Exception as second:
            log.exception("webhook event could not be kept", reference=reference)
            failure = second if isinstance(second, FluxrateError) else UnavailableError("The event could not be kept.")
            _refuse([entry], failure)
        else:
            _answer([entry], [receipt])


async def _waiting(integration: Integration, status: WebhookEventStatus, after: str) -> list[WebhookEvent]:
    rows = scoped(WebhookEvent, integration.workspace_id).filter(
        Literally(UNFINISHED), integration_id=integration.id, status=status, id__gt=after
    )
    return await rows.order_by("id").limit(_PAGE)


async def _post(deliveries: Sequence[Delivery]) -> Posted:
    async with transaction() as tx:
        return await batch.post(tx, deliveries)


def _refuse(batch: Sequence[_Entry], error: Exception) -> None:
    _answer(batch, [error] * len(batch))


def _answer(batch: Sequence[_Entry], results: Sequence[Receipt | Exception]) -> None:
    """Call back in the loop's next turn: until then the next batch has begun, and no callback can break this task."""
    call_soon = asyncio.get_running_loop().call_soon
    for entry, result in zip(batch, results, strict=True):
        call_soon(entry.on_done, result)
