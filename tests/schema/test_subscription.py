"""Following: what was missed first, then live."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from execution.schema import schema
from feed import follow, follower
from models.kinds import EventType, InvoiceStatus, WebhookEventStatus
from resolvers.context import Services
from tests.world.caller import Caller
from tests.world.eventually import eventually
from tests.world.rows import Rows


class Followed:
    """A subscription that is open."""

    def __init__(self, results: Any) -> None:
        self._results = results

    async def next(self) -> Any:
        """The value of its only field, or the errors."""
        async with asyncio.timeout(10):
            result = await anext(self._results)
        if result.errors:
            return [dict(error.formatted) for error in result.errors]
        (value,) = result.data.values()
        return value


@asynccontextmanager
async def followed(caller: Caller, document: str, **variables: Any) -> AsyncIterator[Followed]:
    results = await schema.subscribe(document, variables, context_value=await caller.operation())
    try:
        yield Followed(results)
    finally:
        await results.aclose()


async def test_what_was_missed_comes_first_then_what_happens(reader: Caller, rows: Rows, services: Services) -> None:
    """In order, each once, with the cursor to go on from."""
    await rows.event(EventType.CUSTOMER_CREATED)
    start = (await reader.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    await rows.event(EventType.CUSTOMER_UPDATED)
    document = "subscription ($after: String) { events(after: $after) { type cursor } }"

    async with followed(reader, document, after=start) as events:
        missed = await events.next()
        await rows.event(EventType.INVOICE_CREATED)
        services.feed.wake({rows.workspace_id: 3})
        live = await events.next()

    assert [missed["type"], live["type"]] == ["CUSTOMER_UPDATED", "INVOICE_CREATED"]
    async with followed(reader, document, after=missed["cursor"]) as events:
        assert await events.next() == live


async def test_an_event_tells_what_was_and_its_links_what_is(reader: Caller, rows: Rows) -> None:
    """Fields of its own stay, linked objects move on."""
    invoice = await rows.invoice(await rows.customer(), status=InvoiceStatus.PAID)
    start = (await reader.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    await rows.event(
        EventType.INVOICE_FINALIZED,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        previous_status=InvoiceStatus.DRAFT,
        status=InvoiceStatus.OPEN,
    )
    document = """
      subscription ($after: String, $id: ID, $status: [InvoiceStatus!]) {
        invoiceStatusChanged(after: $after, invoiceId: $id, status: $status) {
          previousStatus status actor invoice { status customer { name } } payment { id }
        } }
    """

    async with followed(reader, document, after=start, id=invoice.id, status=["OPEN"]) as events:
        event = await events.next()

    assert event == {
        "previousStatus": "DRAFT",
        "status": "OPEN",
        "actor": "system",
        "invoice": {"status": "PAID", "customer": {"name": "Ada"}},
        "payment": None,
    }


async def test_filters_pass_over_the_rest(reader: Caller, rows: Rows) -> None:
    """Each subscription sees its own kinds only; a webhook event by the outcome that it has now."""
    integration, customer = await rows.integration(), await rows.customer()
    invoice, other = await rows.invoice(customer), await rows.invoice(customer)
    processed = await rows.webhook_event(integration)
    ignored = await rows.webhook_event(
        integration, status=WebhookEventStatus.IGNORED, reason_code="EVENT_TYPE_NOT_HANDLED"
    )
    start = (await reader.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    for about in (other, invoice):
        await rows.event(EventType.INVOICE_UPDATED, invoice_id=about.id)
        await rows.event(EventType.INVOICE_PAID, invoice_id=about.id, status=InvoiceStatus.PAID)
    for webhook_event in (processed, ignored):
        await rows.event(
            EventType.WEBHOOK_EVENT_RECEIVED, webhook_event_id=webhook_event.id, integration_id=integration.id
        )
    paid = (
        "subscription ($after: String, $id: ID) { invoicePaid(after: $after, invoiceId: $id) { type invoice { id } } }"
    )
    received = """
      subscription ($after: String, $id: ID) {
        webhookEvents(after: $after, integrationId: $id, status: [IGNORED]) { webhookEvent { id status } } }
    """

    async with followed(reader, paid, after=start, id=invoice.id) as events:
        assert await events.next() == {"type": "INVOICE_PAID", "invoice": {"id": invoice.id}}
    async with followed(reader, received, after=start, id=integration.id) as events:
        assert await events.next() == {"webhookEvent": {"id": ignored.id, "status": "IGNORED"}}


async def test_a_snapshot_and_what_comes_after_its_cursor_leave_nothing_out(
    reader: Caller, rows: Rows, services: Services
) -> None:
    """The cursor is read before everything else of the same operation, whatever is committed meanwhile."""
    snapshot = "{ viewer { workspace { eventCursor } } events(first: 100) { nodes { cursor } } }"

    async def write() -> None:
        for _ in range(20):
            event = await rows.event(EventType.CUSTOMER_UPDATED)
            services.feed.wake({rows.workspace_id: event.number})

    async def read() -> list[int]:
        seen = await reader.query(snapshot)
        start = seen["viewer"]["workspace"]["eventCursor"]
        known = {node["cursor"] for node in seen["events"]["nodes"]}
        async with followed(reader, "subscription ($a: String) { events(after: $a) { cursor } }", a=start) as events:
            while len(known) < 60:
                known.add((await events.next())["cursor"])
        return sorted(int(cursor.rpartition(".")[2]) for cursor in known)

    *_, first, second, third = await asyncio.gather(write(), write(), write(), read(), read(), read())

    assert first == second == third == list(range(1, 61))


@pytest.mark.parametrize(
    "cursor",
    ["made up", "00000000000000000000000000.1", "", "{own}.2", f"{{own}}.{'9' * 5000}"],
    ids=["made up", "another's", "empty", "ahead", "a number beyond all"],
)
async def test_a_wrong_cursor_is_an_error_never_silence(reader: Caller, rows: Rows, cursor: str) -> None:
    """It is told before anything is followed; another workspace's as well, though the log is as long."""
    await rows.event(EventType.CUSTOMER_CREATED)
    document = "subscription ($after: String) { events(after: $after) { type } }"
    own = rows.workspace_id.removeprefix("ws_")

    async with followed(reader, document, after=cursor.format(own=own)) as events:
        (error,) = await events.next()

    assert error["extensions"] == {"code": "INVALID_CURSOR"}


async def test_nobody_follows_once_the_client_has_gone(reader: Caller, rows: Rows, services: Services) -> None:
    """Though it was waiting for more."""
    async with followed(reader, "subscription { events { type } }") as events:
        await rows.event(EventType.CUSTOMER_CREATED)
        await events.next()
        assert services.feed.follower_count == 1

        waiting = asyncio.create_task(events.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    assert services.feed.follower_count == 0


async def test_a_burst_is_told_in_parts_that_a_buffer_holds(
    rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines were committed at once, few are in memory."""
    told: list[int] = []

    class Recorder(follow._Follower[Any]):
        def offer(self, items: Sequence[follow.Line[Any]]) -> None:
            told.append(len(items))
            super().offer(items)

    monkeypatch.setattr(follow, "MAX_BUFFERED", 50)
    monkeypatch.setattr(follower, "MAX_BUFFERED", 50)
    monkeypatch.setattr(follow, "_Follower", Recorder)
    await rows.event(EventType.INVOICE_CREATED)

    async with aclosing(services.feed.follow(rows.workspace_id, 0)) as lines, asyncio.timeout(20):
        await anext(lines)
        for _ in range(200):
            await rows.event(EventType.INVOICE_UPDATED)
        services.feed.wake({rows.workspace_id: 201})
        shown = [(await anext(lines)).event.number for _ in range(200)]

    assert shown == list(range(2, 202))
    assert max(told) <= 50


async def test_a_line_that_is_read_and_told_at_once_is_shown_once(
    rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes while lines are committed reads them from the log and is told of them too."""
    monkeypatch.setattr(follow, "PAGE", 1)
    await rows.event(EventType.INVOICE_CREATED)

    async with aclosing(services.feed.follow(rows.workspace_id, 0)) as lines, asyncio.timeout(20):
        shown = [(await anext(lines)).event.number]
        await rows.event(EventType.INVOICE_UPDATED)
        services.feed.wake({rows.workspace_id: 2})
        (channel,) = services.feed._channels.values()
        (one,) = channel.followers
        await eventually(lambda: _has_told(one))
        shown.append((await anext(lines)).event.number)
        waiting = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0.05)  # for the end of the log to be read, and what was told to be passed over
        await rows.event(EventType.INVOICE_UPDATED)
        services.feed.wake({rows.workspace_id: 3})
        shown.append((await waiting).event.number)

    assert shown == [1, 2, 3]


async def _has_told(one: follow._Follower[Any]) -> bool:
    return bool(one._buffer)
