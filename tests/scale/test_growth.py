"""Nothing costs more in a larger workspace: every list, filter, look-up, mutation and webhook, on both databases."""

import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

from benchmarks.filling import OPEN, TABLES, Filled, fill
from benchmarks.questions import READS, changes, pay
from benchmarks.visits import visits
from database.access import Database, transaction, unwritable_because
from database.scope import unscoped
from database.transaction import Row, Transaction
from models.kinds import Mode, Scope
from models.sums import merge_all
from models.workspace import Workspace, add_workspace
from resolvers.context import Services
from tests.world.apart import run_apart
from tests.world.business import opened_services
from tests.world.caller import Caller, caller_with
from tests.world.long import few_or_many
from tests.world.migrated import make_sqlite_template, one_file, sqlite_url
from tests.world.postgres import Postgres
from tests.world.seed import add_integration
from workers.links import LinkSweep
from workers.sweep import Sweep

SMALL: Final = 1_000
LARGE: Final = few_or_many(4_000, 12_000)
NOBODY: Final = "http://127.0.0.1:1"

PLANNED: Final = few_or_many(1_000, 4_000)
"""So many invoices are enough where to walk through them all is told by 200."""


class Template(NamedTuple):
    """A database of one kind with a small workspace and its large neighbour, by its path or name."""

    kind: str
    name: str
    small: Filled
    large: Filled


class Grown(NamedTuple):
    """A copy of it."""

    url: str
    small: Filled
    large: Filled


async def _grow(url: str) -> tuple[Filled, Filled]:
    async with Database(url):
        return await _filled(SMALL), await _filled(LARGE)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What each test copies: filling takes longer than most of them."""
    if request.param == "sqlite":
        path = make_sqlite_template(tmp_path_factory.mktemp("grown") / "grown.sqlite3")
        grown = run_apart(_grow, sqlite_url(path))
        return Template("sqlite", str(one_file(path)), *grown)
    server: Postgres = request.getfixturevalue("postgres_server")
    name = server.create_database(server.migrated)
    return Template("postgres", name, *run_apart(_grow, server.url(name)))


@pytest.fixture
def grown(template: Template, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Grown]:
    """A database of the test's own with both workspaces."""
    about = template.small, template.large
    if template.kind == "sqlite":
        yield Grown(sqlite_url(Path(shutil.copy(template.name, tmp_path))), *about)
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database(template.name) as url:
            yield Grown(url, *about)


@pytest.fixture
def small_url(template: Template, request: pytest.FixtureRequest) -> str:
    """A database of the same kind, without rows."""
    url: str = request.getfixturevalue(f"migrated_{template.kind}_url")
    return url


async def _filled(invoices: int, *, is_analyzed: bool = True) -> Filled:
    """A workspace of that size."""
    async with transaction() as tx:
        workspace = await add_workspace(tx, "Acme", Mode.TEST)
    integration = await add_integration(workspace.id)
    return await fill(workspace.id, integration.id, invoices, is_analyzed=is_analyzed)


async def _admin_of(services: Services, filled: Filled) -> Caller:
    """Somebody who may do everything."""
    return await caller_with(services, await unscoped(Workspace).get(id=filled.workspace_id), Scope.ADMIN)


async def _reads(services: Services, small: Filled, large: Filled) -> list[dict[str, int]]:
    """What each question costs in either, once its document is known; it is as well known in the other.

    What is read is planned anew each time, so that to ask more often would tell no more.
    """
    asked_by = [(filled, await _admin_of(services, filled)) for filled in (small, large)]
    counted: list[dict[str, int]] = [{}, {}]
    for name, (document, variables) in READS.items():
        await asked_by[0][1].query(document, **variables(small))
        for told, (filled, caller) in zip(counted, asked_by, strict=True):
            told[name] = await visits(_once(caller, document, variables(filled)))
    return counted


def _once(caller: Caller, document: str, asked: dict[str, Any]) -> Callable[[], Awaitable[object]]:
    return lambda: caller.query(document, **asked)


SLACK: Final = 40
"""What an index that is a level deeper, or a page that is split, may add."""


def _grew(small: dict[str, int], large: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What costs more in the large workspace than 1.3 times what it costs in the small one."""
    return {name: (cost, large[name]) for name, cost in small.items() if large[name] > 1.3 * cost + SLACK}


STILL_GROW: Final = frozenset(
    {
        "customers by search, short",
        "invoices by search, short",
    }
)
"""A search for one or two characters, which are in no index, walks 10,000 rows at most."""

MAY_GROW: Final = frozenset(
    {
        "payments in the order of AMOUNT ASC by occurredBefore",
        "payments in the order of AMOUNT DESC by occurredBefore",
    }
)
"""What is near the limit, so that chance decides: a walk by amount ends after 200 keys, beyond which at most 10,000
payments of that time are looked up."""


@pytest.mark.timeout(300)
@pytest.mark.longer
async def test_what_is_asked_for_costs_as_much_in_a_large_workspace(grown: Grown) -> None:
    async with opened_services(grown.url, NOBODY) as services:
        small, large = await _reads(services, grown.small, grown.large)

    assert STILL_GROW <= _grew(small, large).keys() <= STILL_GROW | MAY_GROW


OTHERS: Final = 500

_OTHERS: Final = {
    "customers": (
        "id, workspace_id, name, email, created_at, updated_at",
        "'cust_z' || substr(id, 8), $1, name, email, created_at, updated_at",
    ),
    "invoices": (
        "id, workspace_id, customer_id, integration_id, status, currency, total, created_at, updated_at",
        "'inv_z' || substr(id, 7), $1, (SELECT min(id) FROM customers WHERE workspace_id = $1), $3, 'DRAFT', currency,"
        " total, created_at, updated_at",
    ),
    "payments": (
        "id, workspace_id, integration_id, provider_payment_id, status, amount, currency, allocation,"
        " unapplied_code, decided_by, occurred_at, created_at, is_whole",
        "'pay_z' || substr(id, 7), $1, $3, id, status, amount, currency, 'UNAPPLIED', 'INVOICE_UNKNOWN',"
        " decided_by, occurred_at, created_at, is_whole",
    ),
    "webhook_events": (
        "id, workspace_id, integration_id, delivery_key, provider_event_id, type, livemode, api_version, payload,"
        " received_at, status, processed_at, attempts, deliveries",
        "'whe_z' || substr(id, 7), $1, $3, id, provider_event_id, type, livemode, api_version, payload,"
        " received_at, status, processed_at, attempts, deliveries",
    ),
}
"""The columns of what another workspace adds, and what it copies into them: its ids are the newest of all."""


_LISTED: Final = (
    "a customer's page",
    "a customer's payments",
    "customers",
    "invoices by createdAfter",
    "invoices by customerId",
    "invoices by customerIds",
    "invoices by integrationId",
    "invoices in the order of CUSTOMER DESC, first",
    "payments by customerId",
    "payments by integrationId",
    "webhookEvents by integrationId",
    "webhookEvents by receivedAfter",
)


@pytest.mark.parametrize("template", ["postgres"], indirect=True)
async def test_a_list_passes_over_nothing_that_others_have_added_since(grown: Grown) -> None:
    """Not even in a workspace with nearly all rows, for which the planner would take the primary key."""
    read, most = {}, grown.large
    session = await asyncpg.connect(grown.url)
    for table in reversed(TABLES):
        await session.execute(f"DELETE FROM {table} WHERE workspace_id = $1", grown.small.workspace_id)
    await session.close()
    async with opened_services(grown.url, NOBODY) as services:
        async with transaction() as tx:
            other = await add_workspace(tx, "Newcomer", Mode.TEST)
        integration = await add_integration(other.id)
        async with transaction() as tx:
            for table, (columns, copied) in _OTHERS.items():
                await tx.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {copied} FROM {table}"
                    f" WHERE workspace_id = $2 AND $3 <> '' ORDER BY id DESC LIMIT {OTHERS}",
                    *(other.id, most.workspace_id, integration.id),
                )
            await tx.execute("ANALYZE")
        caller = await _admin_of(services, most)
        for question in _LISTED:
            document, variables = READS[question]
            read[question] = await visits(_once(caller, document, variables(most)))

    assert {question: number for question, number in read.items() if number >= OTHERS / 2} == {}


# --- Writing ---------------------------------------------------------------------------------------------------


async def _writes(services: Services, filled: Filled) -> dict[str, int]:
    """Each is done several times, to rows of its own, before it is counted."""
    counted, caller = {}, await _admin_of(services, filled)
    for name, work in changes(services, filled, caller.query).items():
        for _ in range(5):
            await work()
        counted[name] = await visits(work)
    return counted


@pytest.mark.timeout(300)
@pytest.mark.longer
async def test_what_is_changed_costs_as_much_in_a_large_workspace(grown: Grown) -> None:
    async with opened_services(grown.url, NOBODY) as services:
        small = await _writes(services, grown.small)
        large = await _writes(services, grown.large)

    assert _grew(small, large) == {}


@pytest.mark.longer
async def test_a_plan_that_was_made_while_nothing_was_there_is_no_burden_later(migrated_postgres_url: str) -> None:
    """The sessions that write plan once, for good: after a vacuum of empty tables whatever is cheap for no rows."""
    session = await asyncpg.connect(migrated_postgres_url)
    await session.execute("VACUUM ANALYZE")
    await session.close()
    async with opened_services(migrated_postgres_url, NOBODY) as services:
        first = await _filled(2 * OPEN + 1, is_analyzed=False)
        for invoice_id in first.open_ids[:10]:
            await pay(services, first, invoice_id)
        filled = await _filled(PLANNED, is_analyzed=False)

        read = [await visits(_payment_of(services, filled, invoice_id)) for invoice_id in filled.open_ids[:10]]

    assert max(read) < MAX_ROWS_PER_WEBHOOK


MAX_ROWS_PER_WEBHOOK: Final = 200


def _payment_of(services: Services, filled: Filled, invoice_id: str) -> Callable[[], Awaitable[object]]:
    return lambda: pay(services, filled, invoice_id)


# --- In the background -----------------------------------------------------------------------------------------


async def _jobs(services: Services) -> dict[str, int]:
    """What is done every few seconds, when there is nothing to do."""
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "the sweep": Sweep(services.inbox, services.quarantine, services.feed.wake).sweep,
        "due links": LinkSweep(services.link_maker).run_due,
        "merging": merge_all,
        "readiness": unwritable_because,
    }
    counted = {}
    for name, work in works.items():
        await work()
        counted[name] = await visits(work)
    return counted


@pytest.mark.timeout(300)
@pytest.mark.longer
async def test_what_is_done_in_the_background_costs_as_much_beside_a_large_workspace(
    small_url: str, grown: Grown
) -> None:
    async with opened_services(small_url, NOBODY) as services:
        await _filled(SMALL)
        small = await _jobs(services)
    async with opened_services(grown.url, NOBODY) as services:
        large = await _jobs(services)

    assert _grew(small, large) == {}


# --- By the plans ----------------------------------------------------------------------------------------------


@pytest.mark.long(workspaces=2)
@pytest.mark.long(workspaces=4)
@pytest.mark.parametrize("workspaces", [2, 3, 4])
async def test_on_sqlite_no_change_walks_through_a_table_whatever_is_known_of_it(
    migrated_sqlite_url: str, workspaces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the statistics that ANALYZE leaves, which come by themselves: how many rows an integration has, and so on."""
    walked: set[str] = set()
    answered = Transaction.fetch

    async def fetch(tx: Transaction, sql: str, *values: object) -> Sequence[Row]:
        if sql.startswith(("SELECT", "UPDATE", "DELETE")):
            for step in await answered(tx, f"EXPLAIN QUERY PLAN {sql}", *values):
                if step["detail"].startswith("SCAN ") and not step["detail"].startswith("SCAN json_each"):
                    walked.add(f"{step['detail']}: {sql}")
        return await answered(tx, sql, *values)

    async with opened_services(migrated_sqlite_url, NOBODY) as services:
        for size in (300, 3000, 500)[: workspaces - 1]:
            await _filled(size)
        filled = await _filled(400)
        caller = await _admin_of(services, filled)
        monkeypatch.setattr(Transaction, "fetch", fetch)
        for work in changes(services, filled, caller.query).values():
            await work()

    assert walked == set()
