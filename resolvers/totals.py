"""What stands open and what came in, currency by currency."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from database.door import Row, fetch
from models.instant import utc_now
from models.kinds import Scope
from resolvers.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyTotals:
    """What stands open and came in, of one currency, in minor units."""

    currency: str
    open: int = 0
    overdue: int = 0
    paid: int = 0
    refunded: int = 0
    overpaid: int = 0
    unapplied: int = 0


_OPEN: Final = """
    SELECT currency, SUM(remaining) AS open, SUM(CASE WHEN due <> '' AND due < $2 THEN remaining ELSE 0 END) AS overdue
    FROM invoice_sums WHERE workspace_id = $1 AND status = 'OPEN' GROUP BY currency
"""


_OUT_OF_BAND: Final = """
    SELECT currency, SUM(out_of_band) AS paid
    FROM invoice_sums WHERE workspace_id = $1 AND paid_on >= $2 AND paid_on <> '' GROUP BY currency
"""


_OUT_OF_BAND_THAT_DAY: Final = """
    SELECT currency, SUM(amount_paid_out_of_band) AS paid
    FROM invoices WHERE workspace_id = $1 AND amount_paid_out_of_band > 0 AND paid_at >= $2 AND paid_at < $3
    GROUP BY currency
"""

_RECEIVED: Final = """
    SELECT currency,
        SUM(CASE WHEN allocation = 'APPLIED' THEN amount ELSE 0 END) AS paid,
        SUM(CASE WHEN allocation = 'APPLIED' THEN refunded ELSE 0 END) AS refunded,
        SUM(CASE WHEN allocation = 'APPLIED' THEN overpaid ELSE 0 END) AS overpaid,
        SUM(CASE WHEN allocation = 'UNAPPLIED' THEN amount - refunded ELSE 0 END) AS unapplied
"""

_RECEIVED_SINCE: Final = f"""
    {_RECEIVED}
    FROM payment_sums WHERE workspace_id = $1 AND status = 'SUCCEEDED' AND day >= $2 GROUP BY currency
"""


_RECEIVED_THAT_DAY: Final = f"""
    {_RECEIVED.replace("refunded", "amount_refunded").replace("AS amount_refunded", "AS refunded")}
    FROM payments
    WHERE workspace_id = $1 AND status = 'SUCCEEDED' AND occurred_at >= $2 AND occurred_at < $3 GROUP BY currency
"""


async def totals(ctx: Context, since: datetime | None) -> list[CurrencyTotals]:
    """What stands open now and came in since an instant, per currency, in the order of their codes.

    What came in is counted by the payment's `occurred_at`, what was paid out of band by the invoice's `paid_at`.
    Unapplied money is net of refunds and in no other total. Whole days come from the sums that are kept; the rest of
    the first day is counted.
    """
    ctx.require(Scope.READ)
    workspace_id = ctx.workspace_id
    midnight = None if since is None else _midnight_after(since)
    first_day = "" if midnight is None else midnight.date().isoformat()
    rows = [
        *await fetch(_OPEN, workspace_id, utc_now().date().isoformat()),
        *await fetch(_OUT_OF_BAND, workspace_id, first_day),
        *await fetch(_RECEIVED_SINCE, workspace_id, first_day),
    ]
    if since is not None and midnight is not None:
        since = since.astimezone(UTC)
        rows += await fetch(_OUT_OF_BAND_THAT_DAY, workspace_id, since, midnight)
        rows += await fetch(_RECEIVED_THAT_DAY, workspace_id, since, midnight)
    return _summed(rows)


def _midnight_after(instant: datetime) -> datetime:
    """When the next day begins, in UTC; of the last day there is, its end."""
    day = instant.astimezone(UTC).date()
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _summed(rows: Sequence[Row]) -> list[CurrencyTotals]:
    names = [field.name for field in fields(CurrencyTotals) if field.name != "currency"]
    summed = {
        currency: {name: sum(int(row.get(name, 0)) for row in rows if row["currency"] == currency) for name in names}
        for currency in sorted({row["currency"] for row in rows})
    }
    return [
        CurrencyTotals(currency=currency, **amounts) for currency, amounts in summed.items() if any(amounts.values())
    ]
