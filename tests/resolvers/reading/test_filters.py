"""What a filter asks for, of the database and of a row at hand."""

from datetime import timedelta
from typing import Any

import pytest

from database.scope import scoped
from models.event import Event
from models.kinds import EventType, InvoiceStatus
from resolvers.reading.filters import meets
from tests.world.rows import AT, Rows


@pytest.mark.parametrize(
    ("restrictions", "count"),
    [
        ({}, 3),
        ({"type__in": [EventType.INVOICE_PAID, EventType.CUSTOMER_CREATED]}, 3),
        ({"type__in": []}, 0),
        ({"status__in": [InvoiceStatus.PAID]}, 2),
        ({"invoice_id": "inv_a"}, 1),
        ({"invoice_id": "inv_a", "actor": "system"}, 0),
        ({"occurred_at__gt": AT}, 1),
        ({"occurred_at__lt": AT + timedelta(hours=1), "actor": "stripe"}, 1),
    ],
)
async def test_a_row_at_hand_meets_what_the_database_finds(
    rows: Rows, restrictions: dict[str, Any], count: int
) -> None:
    paid, later = InvoiceStatus.PAID, AT + timedelta(hours=1)
    await rows.event(EventType.INVOICE_PAID, status=paid, invoice_id="inv_a", actor="stripe", occurred_at=AT)
    await rows.event(EventType.INVOICE_PAID, status=paid, invoice_id="inv_b", actor="system", occurred_at=later)
    await rows.event(EventType.CUSTOMER_CREATED, actor="system", occurred_at=AT)

    everything = await scoped(Event, rows.workspace_id)
    found = await scoped(Event, rows.workspace_id).filter(**restrictions)

    assert len(found) == count
    assert {event.id for event in everything if meets(restrictions)(event)} == {event.id for event in found}


def test_an_unknown_comparison_is_an_error() -> None:
    """Where it is declared, not at the first row."""
    with pytest.raises(KeyError):
        meets({"number__gte": 1})
