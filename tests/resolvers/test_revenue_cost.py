"""What revenue costs, in a database that has nothing else in it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from benchmarks.visits import visits
from database.access import transaction
from database.bulk import insert_rows
from models.ids import Prefix, new_id
from models.kinds import Allocation, Mode, PaymentStatus, Scope
from models.sums import merge_all
from models.workspace import add_workspace
from tests.resolvers.test_revenue import REVENUE
from tests.world.business import opened_services
from tests.world.caller import Caller, caller_with
from tests.world.long import few_or_many
from tests.world.rows import Rows

DENSE: Final = few_or_many(15, 40)
FIRST: Final = datetime(2026, 11, 1, tzinfo=UTC)


async def _fill(workspace_id: str, integration_id: str, invoice_id: str, each_quarter_hour: int) -> None:
    """Four days in which as many payments came in each quarter of an hour."""
    types = {
        "id": "text", "workspace_id": "text", "integration_id": "text", "provider_payment_id": "text",
        "invoice_id": "text", "status": "text", "amount": "bigint", "currency": "text", "allocation": "text",
        "decided_by": "text", "occurred_at": "timestamptz", "created_at": "timestamptz",
    }  # fmt: skip
    made: list[tuple[object, ...]] = []
    for quarter in range(4 * 96):
        for place in range(each_quarter_hour):
            at, id_ = FIRST + timedelta(minutes=15 * quarter, seconds=20 * place), new_id(Prefix.PAYMENT)
            made.append(
                (id_, workspace_id, integration_id, f"pi_{id_}", invoice_id, PaymentStatus.SUCCEEDED.value, 100, "USD",
                 Allocation.APPLIED.value, "", at, at)
            )  # fmt: skip
    async with transaction() as tx:
        await insert_rows(tx, "payments", types, made)
        await tx.execute("ANALYZE")
    await merge_all()


GRAINS: Final = (("DAY", "Asia/Kolkata"), ("HOUR", "Asia/Kathmandu"), ("DAY", "UTC"))


async def _asked(reader: Caller, interval: str, zone: str) -> tuple[int, int]:
    """What the four days cost to ask for, and how much came in."""
    given = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-05T00:00:00Z", "interval": interval, "zone": zone}
    await reader.query(REVENUE, **given)  # its document is known from now on
    cost = await visits(lambda: reader.query(REVENUE, **given))
    (series,) = (await reader.query(REVENUE, **given))["revenue"]
    return cost, sum(int(point["received"]["minorUnits"]) for point in series["points"])


@pytest.mark.timeout(120)
@pytest.mark.longer
async def test_points_cost_the_same_however_many_payments_came(database_url: str) -> None:
    """Half an hour of payments aside that are counted one by one at the ends, less than a quarter each."""
    async with opened_services(database_url, None) as own:
        async with transaction() as tx:
            workspace = await add_workspace(tx, "Acme", Mode.TEST)
        reader, rows = await caller_with(own, workspace, Scope.READ), Rows(workspace.id)
        integration, invoice = await rows.integration(), await rows.invoice(await rows.customer())

        await _fill(rows.workspace_id, integration.id, invoice.id, 1)
        few = {grain: await _asked(reader, *grain) for grain in GRAINS}
        await _fill(rows.workspace_id, integration.id, invoice.id, DENSE - 1)
        many = {grain: await _asked(reader, *grain) for grain in GRAINS}

    assert [received for _, received in few.values()] == [4 * 96 * 100] * len(GRAINS)
    assert [received for _, received in many.values()] == [DENSE * 4 * 96 * 100] * len(GRAINS)
    assert [grain for grain in GRAINS if many[grain][0] > 1.3 * few[grain][0] + 40] == []
