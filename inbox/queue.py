"""The inbox: every Stripe event enters here and is applied in batches.

It is a group commit: deliveries that arrive while a transaction runs form the next batch, so a lone delivery waits for
no other and a flood shares its commits. Senders that were answered together are expected to send together again: a
batch waits for them, some milliseconds at most. A caller gets its receipt only after the commit of the raw bytes and of
all changes.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from database.access import Database, in_transaction, retrying
from database.conditions import Literally
from database.scope import scoped
from database.transaction import Transaction
from errors import FluxrateError, UnavailableError
from inbox import batch
from inbox.delivery import Delivery, Receipt, kept
from models.integration import Integration
from models.kinds import WebhookEventStatus
from models.webhook_event import UNFINISHED, WebhookEvent

log = structlog.get_logger(__name__)

MAX_QUEUED: Final = 4096
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
MAX_BATCH: Final = 128
_PATIENCE: Final = 0.25
_MAX_PATIENCE_S: Final = 0.005
"""How long a batch waits to become as large as the last one: a quarter of the time that the last one took, at most.

It does not wait if its first delivery comes later than the maximum after the last answer.
"""

_UNWAITED: Final = 8
"""How many batches don't wait after one for which less than half of those came that it waited for.

Their senders do not send again when they are answered: they send whenever they have something, as Stripe does.
"""

_WORTHWHILE: Final = 8
"""How many deliveries are worth a batch beside another: it costs as much as ten deliveries before its first one."""

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
        self._wanted = 1
        self._gathering = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_flight = 0
        self._unwaited = 0
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
        if len(self._queue) >= self._wanted:
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

        async def rehearsal(tx: Transaction) -> None:
            receipts[:] = (await batch.post(tx, deliveries)).receipts
            await tx.finish()
            raise _RehearsedError

        with contextlib.suppress(_RehearsedError):
            await retrying(lambda: in_transaction(rehearsal))
        return receipts

    async def _flush(self) -> None:
        clock = asyncio.get_running_loop().time
        senders, took_s, answered_at = 0, 0.0, 0.0
        while True:
            async with self._gathering:
                while not self._queue and not self._closing:
                    await self._until(1)
                await self._wait_for_another()
                if clock() - answered_at > _MAX_PATIENCE_S:
                    senders = 0  # those that were answered then do not come back together
                batch = await self._gather(senders, min(took_s * _PATIENCE, _MAX_PATIENCE_S))
            if not batch:
                return
            began_at = clock()
            self._in_flight += len(batch)
            await self._settle(batch)
            senders, answered_at = self._in_flight + len(self._queue), clock()
            took_s = answered_at - began_at
            self._in_flight -= len(batch)
            if self._in_flight == 0:
                self._ready.set()

    async def _wait_for_another(self) -> None:
        """Wait until the other batch is done, unless enough deliveries come for one beside it; 5 ms at most.

        The other one may have to wait for a lock.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAX_PATIENCE_S):
                while self._in_flight and len(self._queue) < _WORTHWHILE and not self._closing:
                    await self._until(_WORTHWHILE)

    async def _gather(self, senders: int, patience_s: float) -> list[_Entry]:
        """Wait for an even part of what this number of senders sends, and take it.

        Senders that were answered together send together again. A batch costs some milliseconds however small it is, so
        one of the first few would delay all others. Returns nothing when the inbox closes.
        """
        missing = self._share(senders) - len(self._queue)
        if missing > 0 and not self._closing:
            await self._wait_for(missing, patience_s)
        share = self._share(max(senders, len(self._queue) + self._in_flight))
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), share))]
        self._queued_bytes -= sum(len(entry.delivery.body) for entry in batch)
        return batch

    async def _wait_for(self, missing: int, patience_s: float) -> None:
        """Wait until this number of deliveries has come, unless another batch has waited without success lately."""
        if self._unwaited > 0:
            self._unwaited -= 1
            return
        before = len(self._queue)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._until(before + missing)
        if 2 * (len(self._queue) - before) < missing:
            self._unwaited = _UNWAITED

    def _share(self, deliveries: int) -> int:
        return min(MAX_BATCH, max(min(deliveries, _WORTHWHILE), -(-deliveries // self._flushers)))

    async def _until(self, wanted: int) -> None:
        """Wait until this number of deliveries is queued, or until the inbox closes or has nothing more in flight."""
        self._wanted = wanted
        self._ready.clear()
        await self._ready.wait()

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
        posted = await retrying(lambda: in_transaction(lambda tx: batch.post(tx, deliveries)))
        self._on_commit(posted.newest)
        if posted.are_links_due:
            self._on_links_due()
        return posted.receipts

    async def _fail(self, entry: _Entry, error: Exception) -> None:
        reference = uuid4().hex
        log.error("webhook event failed", reference=reference, key=entry.delivery.key, exc_info=error)
        try:
            receipt, newest = await retrying(
                lambda: in_transaction(lambda tx: batch.post_failure(tx, entry.delivery, reference))
            )
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


def _refuse(batch: Sequence[_Entry], error: Exception) -> None:
    _answer(batch, [error] * len(batch))


def _answer(batch: Sequence[_Entry], results: Sequence[Receipt | Exception]) -> None:
    """Call back in the loop's next turn: until then the next batch has begun, and no callback can break this task."""
    call_soon = asyncio.get_running_loop().call_soon
    for entry, result in zip(batch, results, strict=True):
        call_soon(entry.on_done, result)
