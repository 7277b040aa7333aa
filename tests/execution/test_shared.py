"""Subscriptions that are the same are executed once; each is shown every event once, whatever the others do."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Final

import orjson
import pytest

from database.scope import scoped
from errors import UnavailableError
from execution import shown as shown_module
from execution.shared import Fanout
from execution.shown import Asked, Shown, StuckError, until_sent
from feed import follower
from feed.cursor import encode_cursor
from models.event import Event
from models.kinds import EventType, InvoiceStatus
from resolvers.context import Services
from tests.world.caller import Caller
from tests.world.long import few_or_many
from tests.world.rows import Rows
from tests.world.statements import statements

pytestmark = pytest.mark.long(module_database_url="postgres")  # it has nothing to do with the database

EVENTS: Final = "subscription ($after: String) { events(after: $after) { cursor invoice { id status } } }"
PATIENCE_S: Final = 20.0


class Dashboard:
    """A client that follows. `numbers` are those of the lines that it was shown; it reads while `reads` is set."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.hung_up = False
        self._shown = asyncio.Event()

    @property
    def numbers(self) -> list[int]:
        events = [orjson.loads(payload)["data"]["events"] for payload in self.payloads]
        return [int(event["cursor"].rpartition(".")[2]) for event in events]

    async def send(self, some: Sequence[Shown]) -> None:
        """What the server sends by."""
        if self.hung_up:
            raise OSError
        await self.reads.wait()
        self.payloads += [shown.payload for shown in some]
        self._shown.set()

    async def follow(self, fanout_: Fanout, asked: Asked, caller: Caller) -> None:
        """What a socket does for an operation."""
        async with aclosing(fanout_.results(asked, await caller.operation(), self.send)) as results:
            async for shown in results:
                await until_sent(self.send([shown]))

    async def has(self, count: int) -> None:
        """Wait until it was shown so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.payloads) < count:
                self._shown.clear()
                await self._shown.wait()


@asynccontextmanager
async def following(
    fanout_: Fanout, caller: Caller, dashboard: Dashboard, query: str = EVENTS, **variables: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """A dashboard that is up to date and follows within the block."""
    task = asyncio.create_task(dashboard.follow(fanout_, Asked(query, variables), caller))
    try:
        await up_to_date()
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def up_to_date() -> None:
    """Let those that begin to follow catch up."""
    await asyncio.sleep(0.1)


async def happens(rows: Rows, services: Services, times: int = 1, **about: Any) -> None:
    """Something is committed, and the feed is told."""
    for _ in range(times):
        event = await rows.event(EventType.INVOICE_UPDATED, **about)
        services.feed.wake({rows.workspace_id: event.number})


async def test_those_that_are_the_same_are_executed_once(reader: Caller, rows: Rows, services: Services) -> None:
    """However many they are: the database is asked as often as for one, and what is sent is the same."""
    invoice = await rows.invoice(await rows.customer(), status=InvoiceStatus.OPEN)
    asked: list[int] = []
    for count in (1, 50):
        shared, dashboards = Fanout(), [Dashboard() for _ in range(count)]
        async with AsyncExitStack() as stack:
            for dashboard in dashboards:
                await stack.enter_async_context(following(shared, reader, dashboard))
            await happens(rows, services, invoice_id=invoice.id)  # whoever was shown it has read the log
            for dashboard in dashboards:
                await dashboard.has(1)
            with statements() as sent:
                await happens(rows, services, invoice_id=invoice.id)
                for dashboard in dashboards:
                    await dashboard.has(2)
            asked.append(len([each for each in sent if "FROM" in each and "SELECT id, seq" not in each]))
            assert shared.group_count == 1
        assert len({dashboard.payloads[1] for dashboard in dashboards}) == 1

    assert asked[0] == asked[1]


OF_INVOICE: Final = "subscription ($id: ID) { events(filter: {invoiceId: $id}) { cursor } }"


async def test_another_workspace_scope_variable_or_document_is_another_execution(
    reader: Caller, admin: Caller, stranger: Caller
) -> None:
    shared = Fanout()
    other = "subscription ($after: String) { events(after: $after) { cursor } }"
    sized = "subscription ($n: Int) { events { invoice { payments(first: $n) { nodes { id } } } } }"
    both = "subscription ($id: ID!) { events(filter: {invoiceId: $id}) { invoice { id @skip(if: false) } } }"
    by_state = "subscription ($s: [WebhookEventStatus!]) { webhookEvents(status: $s) { cursor } }"

    async with (
        following(shared, reader, Dashboard()),
        following(shared, reader, Dashboard(), after=None),
        following(shared, admin, Dashboard()),
        following(shared, stranger, Dashboard()),
        following(shared, reader, Dashboard(), other),
        following(shared, reader, Dashboard(), sized, n=1),
        following(shared, reader, Dashboard(), sized, n=2),
        following(shared, reader, Dashboard(), by_state, s=["FAILED"]),
        following(shared, reader, Dashboard(), by_state, s=["HELD"]),
        following(shared, reader, Dashboard(), both, id="inv_a"),
    ):
        assert shared.group_count == 9


async def test_those_that_choose_other_events_share_an_execution_and_are_shown_their_own(
    reader: Caller, rows: Rows, services: Services
) -> None:
    customer = await rows.customer()
    ours, theirs, nobodys = [await rows.invoice(customer) for _ in range(3)]
    shared, first, again, second = Fanout(), Dashboard(), Dashboard(), Dashboard()

    async with (
        following(shared, reader, first, OF_INVOICE, id=ours.id),
        following(shared, reader, second, OF_INVOICE, id=theirs.id),
        following(shared, reader, again, OF_INVOICE, id=ours.id),
    ):
        assert shared.group_count == 1
        for invoice in (ours, theirs, nobodys, theirs, ours):
            await happens(rows, services, invoice_id=invoice.id)
        await asyncio.gather(first.has(2), second.has(2), again.has(2))

    assert (first.numbers, again.numbers, second.numbers) == ([1, 5], [1, 5], [2, 4])


async def test_each_is_shown_what_it_missed_and_then_what_all_are(
    reader: Caller, rows: Rows, services: Services
) -> None:
    shared, early, late = Fanout(), Dashboard(), Dashboard()
    await happens(rows, services, 3)
    start = encode_cursor(rows.workspace_id, 1)

    async with following(shared, reader, early), following(shared, reader, late, after=start):
        assert shared.group_count == 1
        await happens(rows, services, 2)
        await asyncio.gather(early.has(2), late.has(4))

    assert (early.numbers, late.numbers) == ([4, 5], [2, 3, 4, 5])


async def test_a_wrong_cursor_is_an_error_for_its_sender_alone(reader: Caller, rows: Rows, services: Services) -> None:
    shared, dashboard = Fanout(), Dashboard()
    asked = Asked(EVENTS, {"after": "made up"})

    wrong = [shown async for shown in shared.results(asked, await reader.operation())]
    async with following(shared, reader, dashboard):
        await happens(rows, services)
        await dashboard.has(1)

    assert [(shown.is_last, b"not an event cursor" in shown.payload) for shown in wrong] == [(True, True)]
    assert dashboard.numbers == [1]


@pytest.mark.slow
@pytest.mark.longer
@pytest.mark.parametrize("seed", range(few_or_many(1, 10)))
async def test_whoever_joins_whenever_is_shown_all_without_gap_or_repeat(
    reader: Caller, rows: Rows, services: Services, seed: int
) -> None:
    """While several commit at once, and each follows another choice of events."""
    dice, shared, total = random.Random(seed), Fanout(), 120
    customer = await rows.customer()
    invoices = [(await rows.invoice(customer)).id for _ in range(3)]
    dashboards = [Dashboard() for _ in range(24)]
    starts = [dice.randrange(3) for _ in dashboards]
    choices = [dice.choice([None, *invoices]) for _ in dashboards]
    about: list[str] = []
    query = (
        "subscription ($after: String, $id: ID)"
        " { events(after: $after, filter: {invoiceId: $id}) { cursor invoice { id } } }"
    )

    async def happen(times: int) -> None:
        for _ in range(times):
            about.append(dice.choice(invoices))
            await happens(rows, services, invoice_id=about[-1])

    async def join(dashboard: Dashboard, start: int, choice: str | None) -> None:
        await asyncio.sleep(dice.random() * 0.4)
        asked = Asked(query, {"after": encode_cursor(rows.workspace_id, start), "id": choice})
        await dashboard.follow(shared, asked, reader)

    await happen(2)
    tasks = [asyncio.create_task(join(*each)) for each in zip(dashboards, starts, choices, strict=True)]
    await asyncio.gather(*(happen(total // 4) for _ in range(4)))
    log = {event.number: event.invoice_id for event in await scoped(Event, rows.workspace_id)}
    wanted = [
        sorted(number for number, id_ in log.items() if number > start and choice in {None, id_})
        for start, choice in zip(starts, choices, strict=True)
    ]
    await asyncio.gather(*(each.has(len(numbers)) for each, numbers in zip(dashboards, wanted, strict=True)))
    groups = shared.group_count
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert [dashboard.numbers for dashboard in dashboards] == wanted
    assert (groups, shared.group_count) == (1, 0)


async def test_one_that_does_not_read_for_a_while_reads_the_log_and_others_do_not_notice(
    reader: Caller, rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MAX_BUFFERED", 5)
    shared, slow, quick = Fanout(), Dashboard(), Dashboard()

    async with following(shared, reader, slow), following(shared, reader, quick):
        slow.reads.clear()
        await happens(rows, services, 20)
        await quick.has(20)
        behind = list(slow.payloads)
        slow.reads.set()
        await slow.has(20)

    assert behind == []
    assert slow.numbers == quick.numbers == list(range(1, 21))


async def test_one_that_never_reads_is_given_up_and_others_do_not_notice(
    reader: Caller, rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_module, "STUCK_AFTER_S", 0.2)
    shared, stuck, quick = Fanout(), Dashboard(), Dashboard()

    async with following(shared, reader, stuck) as task, following(shared, reader, quick):
        stuck.reads.clear()
        await happens(rows, services, 5)
        with pytest.raises(StuckError):
            async with asyncio.timeout(PATIENCE_S):
                await task
        await happens(rows, services, 2)
        await quick.has(7)

    assert quick.numbers == list(range(1, 8))


async def test_one_that_has_hung_up_does_not_stop_the_others(reader: Caller, rows: Rows, services: Services) -> None:
    shared, gone, quick = Fanout(), Dashboard(), Dashboard()

    async with following(shared, reader, gone), following(shared, reader, quick):
        gone.hung_up = True
        await happens(rows, services, 3)
        await quick.has(3)

    assert (gone.payloads, quick.numbers) == ([], [1, 2, 3])


async def test_an_error_of_an_event_is_told_to_all_and_the_next_event_too(
    reader: Caller, rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that fails is null, with an error; nothing of why is told."""
    shared, dashboards = Fanout(), [Dashboard(), Dashboard()]
    query = "subscription { events { cursor invoice { id } } }"

    async with following(shared, reader, dashboards[0], query), following(shared, reader, dashboards[1], query):
        with monkeypatch.context() as broken:
            broken.setattr("schema.types.invoice.Invoice.of", lambda _: 1 / 0)
            invoice = await rows.invoice(await rows.customer())
            await happens(rows, services, invoice_id=invoice.id)
            await asyncio.gather(*(each.has(1) for each in dashboards))
        await happens(rows, services)
        await asyncio.gather(*(each.has(2) for each in dashboards))

    first, second = [orjson.loads(payload) for payload in dashboards[0].payloads]
    assert first["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert b"division" not in dashboards[0].payloads[0]
    assert "errors" not in second
    assert dashboards[0].payloads == dashboards[1].payloads


async def test_an_event_that_is_cut_short_ends_those_that_follow_it_and_no_others(
    reader: Caller, rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They follow again after it, and lose nothing."""
    query = "subscription ($id: ID) { events(filter: {invoiceId: $id}) { cursor invoice { id } } }"
    customer = await rows.customer()
    ours, theirs = await rows.invoice(customer), await rows.invoice(customer)
    shared, first, second = Fanout(), Dashboard(), Dashboard()

    def unavailable(_: object) -> None:
        raise UnavailableError("The database is unavailable right now.")

    async with (
        following(shared, reader, first, query, id=ours.id) as ended,
        following(shared, reader, second, query, id=theirs.id) as others,
    ):
        with monkeypatch.context() as broken:
            broken.setattr("schema.types.invoice.Invoice.of", unavailable)
            await happens(rows, services, invoice_id=ours.id)
            await first.has(1)
            await asyncio.wait_for(ended, PATIENCE_S)
        assert shared.group_count == 1
        await happens(rows, services, invoice_id=ours.id)
        await happens(rows, services, invoice_id=theirs.id)
        await second.has(1)
        async with following(shared, reader, again := Dashboard(), query, id=ours.id):
            assert shared.group_count == 1
            await happens(rows, services, invoice_id=ours.id)
            await again.has(1)
        assert not others.done()

    assert b"UNAVAILABLE" in first.payloads[0]
    assert (len(first.payloads), second.numbers, again.numbers) == (1, [3], [4])
    assert shared.group_count == 0


async def test_what_ends_the_execution_ends_all_who_share_it(
    reader: Caller, rows: Rows, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever events they choose: nobody is left to wait for an execution that is over."""
    customer = await rows.customer()
    invoices = [await rows.invoice(customer) for _ in range(2)]
    shared, dashboards = Fanout(), [Dashboard(), Dashboard()]
    is_lost = False

    def choosing(restrictions: dict[str, Any]) -> Callable[[Event], bool]:
        def is_wanted(event: Event) -> bool:
            if is_lost:
                raise UnavailableError("The database is unavailable right now.")
            return bool(event.invoice_id == restrictions["invoice_id"])

        return is_wanted

    monkeypatch.setattr("resolvers.event.meets", choosing)
    async with AsyncExitStack() as stack:
        tasks = [
            await stack.enter_async_context(following(shared, reader, dashboard, OF_INVOICE, id=invoice.id))
            for dashboard, invoice in zip(dashboards, invoices, strict=True)
        ]
        await happens(rows, services, invoice_id=invoices[0].id)
        await dashboards[0].has(1)
        is_lost = True
        await happens(rows, services, invoice_id=invoices[0].id)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*tasks)

    assert [b"UNAVAILABLE" in dashboard.payloads[-1] for dashboard in dashboards] == [True, True]
    assert shared.group_count == 0


async def test_queries_are_answered_and_over(reader: Caller) -> None:
    shared = Fanout()

    results = [
        shown async for shown in shared.results(Asked("{ viewer { workspace { name } } }"), await reader.operation())
    ]

    assert [orjson.loads(shown.payload) for shown in results] == [{"data": {"viewer": {"workspace": {"name": "Acme"}}}}]
    assert [shown.number for shown in results] == [0]
    assert shared.group_count == 0


@pytest.mark.slow
async def test_who_leaves_leaves_nothing_behind(reader: Caller, services: Services) -> None:
    """Thousands of subscriptions come and go, at whatever moment they are cut off."""
    shared, context = Fanout(), await reader.operation()
    before = len(asyncio.all_tasks())

    async def come_and_go(turns: int) -> None:
        results = shared.results(Asked(EVENTS, {}), context.sibling(), Dashboard().send)
        waiting = asyncio.ensure_future(anext(results))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await results.aclose()

    for round_ in range(20):
        await asyncio.gather(*(come_and_go(number % 40) for number in range(round_, round_ + 100)))
    await asyncio.sleep(0.1)

    assert (shared.group_count, services.feed.follower_count) == (0, 0)
    assert len(asyncio.all_tasks()) <= before
