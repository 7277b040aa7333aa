"""Open and received amounts, per currency."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from database.access import fetch
from errors import InvalidInputError
from models.calendar import Span
from models.instant import utc_now
from models.kinds import Scope
from resolvers.context import Context
from resolvers.reading.receipts import ALWAYS, Receipts, receipts

AGES: Final[tuple[tuple[int, int | None], ...]] = ((1, 30), (31, 60), (61, 90), (91, None))
"""Each bucket's days overdue, first and last."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """OPEN invoices that are overdue for a number of days: their count, and what remains of them in minor units."""

    from_days: int
    to_days: int | None
    count: int = 0
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyTotals:
    """Open and received amounts in one currency, in minor units."""

    currency: str
    open: int
    overdue_by_age: list[Bucket]
    received: Receipts

    @property
    def overdue(self) -> int:
        """What remains of invoices whose due date is past."""
        return sum(bucket.amount for bucket in self.overdue_by_age)


_OPEN: Final = f"""
    SELECT currency, SUM(number) AS number, SUM(remaining) AS remaining,
        CASE WHEN due = '' OR due >= $2 THEN -1 {{}} ELSE {len(AGES) - 1} END AS age
    FROM invoice_sums WHERE workspace_id = $1 AND paid_on = '' AND status = 'OPEN' GROUP BY 1, 4
""".format(" ".join(f"WHEN due >= ${place + 3} THEN {place}" for place in range(len(AGES) - 1)))  # noqa: S608
"""What remains of OPEN invoices, by the place of their bucket, -1 for those not overdue.

The sums have a row per due date.
"""


async def totals(ctx: Context, since: datetime | None, until: datetime | None) -> list[CurrencyTotals]:
    """Add up open amounts now and money received between two instants, in the order of currency codes.

    Payments count by `occurred_at`, what was paid out of band by the invoice's `paid_at`. Unapplied money is net of
    refunds and in no other total.

    Raises:
        InvalidInputError: The range ends before it begins.
    """
    ctx.require(Scope.READ)
    within = Span((since or ALWAYS.start).astimezone(UTC), (until or ALWAYS.end).astimezone(UTC))
    if until is not None and within.start >= within.end:
        raise InvalidInputError(
            "This range is empty: let `until` be after `since`.", code="EMPTY_RANGE", path=["until"]
        )
    received = {currency: found[0] for currency, found in (await receipts(ctx.workspace_id, [within])).items()}
    open_buckets = await _open(ctx.workspace_id, utc_now().date())
    return [
        _of_currency(currency, open_buckets.get(currency, {}), received.get(currency, Receipts()))
        for currency in sorted({*received, *open_buckets})
        if any(received.get(currency, ())) or any(bucket.amount for bucket in open_buckets.get(currency, {}).values())
    ]


async def _open(workspace_id: str, today: date) -> dict[str, dict[int, Bucket]]:
    """Add up OPEN invoices by currency and the place of their bucket, -1 for those not overdue."""
    youngest = [(today - timedelta(days=to)).isoformat() for _, to in AGES if to is not None]
    found: dict[str, dict[int, Bucket]] = defaultdict(dict)
    for row in await fetch(_OPEN, workspace_id, today.isoformat(), *youngest):
        first, last = (0, 0) if row["age"] < 0 else AGES[row["age"]]
        found[row["currency"]][row["age"]] = Bucket(first, last, int(row["number"]), int(row["remaining"]))
    return found


def _of_currency(currency: str, open_buckets: Mapping[int, Bucket], received: Receipts) -> CurrencyTotals:
    return CurrencyTotals(
        currency=currency,
        open=sum(bucket.amount for bucket in open_buckets.values()),
        overdue_by_age=[open_buckets.get(place, Bucket(*bounds)) for place, bounds in enumerate(AGES)],
        received=received,
    )
