"""The inbox while its database is away."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from database.access import Database
from errors import UnavailableError
from inbox.delivery import Receipt
from inbox.queue import Inbox
from models.kinds import EventType, InvoiceStatus, WebhookEventStatus
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, ours
from tests.world.postgres import Postgres


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A PostgreSQL that the test may stop."""
    with Postgres() as server:
        yield server


@pytest.fixture
async def database(server: Postgres) -> AsyncIterator[Database]:
    """A migrated database on it, open."""
    async with Database(server.url(server.create_database(server.migrated))) as opened:
        yield opened


async def test_a_database_that_is_gone_refuses_and_what_comes_again_is_counted_once(
    server: Postgres, database: Database
) -> None:
    workspace = await books.add_workspace()
    integration = await books.add_integration(workspace)
    invoices = [await books.add_invoice(integration) for _ in range(40)]
    given = deliveries(integration, [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices])
    async with Inbox(database, lambda _: None, lambda: None) as inbox:
        stopping = asyncio.ensure_future(asyncio.to_thread(server.stop))
        early: list[Receipt | BaseException] = []
        while not stopping.done():
            early += await asyncio.gather(*(inbox.accept(each) for each in given[:20]), return_exceptions=True)
        await stopping

        with pytest.raises(UnavailableError):
            await inbox.accept(given[20])
        late = await asyncio.gather(*(inbox.accept(each) for each in given), return_exceptions=True)

        await asyncio.to_thread(server.start)
        receipts = await asyncio.gather(*(inbox.accept(each) for each in given))

    for answer in early:
        assert isinstance(answer, UnavailableError) or answer.status is WebhookEventStatus.PROCESSED  # type: ignore[union-attr]
    assert {type(answer) for answer in late} == {UnavailableError}
    assert {receipt.status for receipt in receipts} == {WebhookEventStatus.PROCESSED}
    assert len(await books.payments_of(workspace)) == 40
    assert {(await books.again(invoice)).status for invoice in invoices} == {InvoiceStatus.PAID}
    log = await books.log_of(workspace)
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert Counter(entry.type for entry in log)[EventType.INVOICE_PAID] == 40
