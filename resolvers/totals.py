"""What stands open and what came in, currency by currency."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
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


_OF_INVOICES: Final = """
    SELECT currency,
        SUM(CASE WHEN status = 'OPEN' THEN total - amount_paid - amount_paid_out_of_band ELSE 0 END) AS open,
        SUM(CASE WHEN status = 'OPEN' AND due_date < $2
            THEN total - amount_paid - amount_paid_out_of_band ELSE 0 END) AS overdue,
        SUM(CASE WHEN paid_at >= $3 THEN amount_paid_out_of_band ELSE 0 END) AS paid
    FROM invoices WHERE workspace_id = $1 AND status <> 'DRAFT' GROUP BY currency
"""


_OF_PAYMENTS: Final = """
    SELECT currency,
        SUM(CASE WHEN allocation = 'APPLIED' THEN amount ELSE 0 END) AS paid,
        SUM(CASE WHEN allocation = 'APPLIED' THEN amount_refunded ELSE 0 END) AS refunded,
        SUM(CASE WHEN allocation = 'APPLIED' THEN overpaid ELSE 0 END) AS overpaid,
        SUM(CASE WHEN allocation = 'UNAPPLIED' THEN amount - amount_refunded ELSE 0 END) AS unapplied
    FROM payments WHERE workspace_id = $1 AND status = 'SUCCEEDED' AND occurred_at >= $2 GROUP BY currency
"""


async def totals(ctx: Context, since: datetime | None) -> list[CurrencyTotals]:
    """What stands open now and came in since an instant, per currency, in the order of their codes.

    What came in is counted by the payment's `occurred_at`, what was paid out of band by the invoice's `paid_at`.
    Unapplied money is net of refunds and in no other total.
    """
    ctx.require(Scope.READ)
    now = utc_now()
    begin = since or datetime.min.replace(tzinfo=now.tzinfo)
    of_invoices = await fetch(_OF_INVOICES, ctx.workspace_id, now.date(), begin)
    of_payments = await fetch(_OF_PAYMENTS, ctx.workspace_id, begin)
    return _summed([*of_invoices, *of_payments])


def _summed(rows: Sequence[Row]) -> list[CurrencyTotals]:
    names = [field.name for field in fields(CurrencyTotals) if field.name != "currency"]
    return [
        CurrencyTotals(
            currency=currency,
            **{name: sum(int(row.get(name, 0)) for row in rows if row["currency"] == currency) for name in names},
        )
        for currency in sorted({row["currency"] for row in rows})
    ]
