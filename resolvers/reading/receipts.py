"""Adds up received money by time: from stored sums for all time, whole days and whole quarters of an hour.

For the rest of a range it reads payments one by one. A payment and its refunds, whenever they were made, count at its
`occurred_at`; what was paid out of band counts at its invoice's `paid_at`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import orjson

from database.access import fetch, reading_dialect
from models.calendar import Span

ALWAYS: Final = Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class Receipts(NamedTuple):
    """Received money in minor units. `refunded` and `overpaid` are parts of `paid`; `unapplied` is net of refunds."""

    paid: int = 0
    refunded: int = 0
    overpaid: int = 0
    unapplied: int = 0


class _Source(NamedTuple):
    """What is read: a table, its column of time (None if it holds all time), which rows count, and the amounts."""

    table: str
    at: str | None
    where: str
    amount: str
    refunded: str = "0"
    overpaid: str = "0"
    allocation: str = "'APPLIED'"


class _Grain(NamedTuple):
    """The precision of some sources: their times are `step` apart, or exact if it is None.

    A source's time is a text with the first `characters` of an instant's ISO 8601.
    """

    step: timedelta | None
    characters: int | None
    sources: tuple[_Source, ...]


_GRAINS: Final = (
    _Grain(
        ALWAYS.end - ALWAYS.start,
        0,
        (
            _Source("payment_totals", None, "status = 'SUCCEEDED'", "amount", "refunded", "overpaid", "allocation"),
            _Source("invoice_totals", None, "TRUE", "out_of_band"),
        ),
    ),
    _Grain(
        timedelta(days=1),
        len("2026-11-23"),
        (
            _Source("payment_sums", "day", "status = 'SUCCEEDED'", "amount", "refunded", "overpaid", "allocation"),
            _Source("invoice_sums", "paid_on", "TRUE", "out_of_band"),
        ),
    ),
    _Grain(
        timedelta(minutes=15),
        len("2026-11-23 12:30"),
        (
            _Source(
                "payment_quarter_hour_sums", "quarter_hour", "TRUE", "amount", "refunded", "overpaid", "allocation"
            ),
            _Source("out_of_band_quarter_hour_sums", "quarter_hour", "TRUE", "amount"),
        ),
    ),
    _Grain(
        None,
        None,
        (
            _Source(
                "payments", "occurred_at", "status = 'SUCCEEDED'", "amount", "amount_refunded", "overpaid", "allocation"
            ),
            _Source("invoices", "paid_at", "amount_paid_out_of_band > 0", "amount_paid_out_of_band"),
        ),
    ),
)
"""From the coarsest to the finest: each adds up what the ones before it could not."""

_AMOUNTS: Final = """
    SUM(CASE WHEN {allocation} = 'APPLIED' THEN {amount} ELSE 0 END) AS paid,
    SUM(CASE WHEN {allocation} = 'APPLIED' THEN {refunded} ELSE 0 END) AS refunded,
    SUM(CASE WHEN {allocation} = 'APPLIED' THEN {overpaid} ELSE 0 END) AS overpaid,
    SUM(CASE WHEN {allocation} = 'UNAPPLIED' THEN {amount} - {refunded} ELSE 0 END) AS unapplied
"""

_ON_SQLITE: Final = """
    SELECT json_extract(r.value, '$[0]') AS place, t.currency, {amounts}
    FROM json_each(${parameter}) r CROSS JOIN {source.table} t
    WHERE t.workspace_id = $1 AND {source.where}{only}{within}
    GROUP BY 1, 2
"""

_WITHIN_ON_SQLITE: Final = " AND t.{at} >= json_extract(r.value, '$[1]') AND t.{at} < json_extract(r.value, '$[2]')"

_ON_POSTGRES: Final = """
    SELECT (r ->> 0)::int AS place, found.*
    FROM json_array_elements(${parameter}::json) r CROSS JOIN LATERAL (
        SELECT t.currency, {amounts} FROM {source.table} t
        WHERE t.workspace_id = $1 AND {source.where}{only}{within}
        GROUP BY t.currency
    ) found
"""

_WITHIN_ON_POSTGRES: Final = " AND t.{at} >= (r ->> 1)::{type} AND t.{at} < (r ->> 2)::{type}"

_Range = tuple[int, str, str]
"""A span: its index among those asked for, and its bounds in the form of a source's column."""


async def receipts(
    workspace_id: str, spans: Sequence[Span], currency: str | None = None
) -> dict[str, dict[int, Receipts]]:
    """Add up the money received within each span, by currency and the span's index; spans without money are left out.

    One statement reads all, so that all spans show the same moment. It reads a few rows for all time, otherwise a row
    of the sums for each whole day and each whole quarter of an hour with money, and the payments of the rest.
    """
    values: list[object] = [workspace_id]
    only = ""
    if currency is not None:
        values.append(currency)
        only = " AND t.currency = $2"
    parts = []
    for grain, ranges in _shared_out(spans):
        values.append(orjson.dumps(ranges).decode())
        parts += [_part(grain, source, len(values), only) for source in grain.sources]
    found: dict[str, dict[int, Receipts]] = defaultdict(lambda: defaultdict(Receipts))
    for row in await fetch(" UNION ALL ".join(parts), *values):
        received = Receipts(*(int(row[name]) for name in Receipts._fields))
        of_currency = found[row["currency"]]
        of_currency[row["place"]] = added(of_currency[row["place"]], received)
    return found


def added(one: Receipts, other: Receipts) -> Receipts:
    """Add receipts up."""
    return Receipts(*map(sum, zip(one, other, strict=True)))


def _part(grain: _Grain, source: _Source, parameter: int, only: str) -> str:
    """Write the query of a source's sums for some ranges, each looked up in its index by time."""
    form, within = (
        (_ON_SQLITE, _WITHIN_ON_SQLITE) if reading_dialect() == "sqlite" else (_ON_POSTGRES, _WITHIN_ON_POSTGRES)
    )
    amounts = _AMOUNTS.format(**source._asdict())
    bounds = within.format(at=source.at, type="text" if grain.step else "timestamptz") if source.at else ""
    return form.format(source=source, amounts=amounts, parameter=parameter, only=only, within=bounds)


# --- Sharing spans out among the grains ------------------------------------------------------------------------


def _shared_out(spans: Sequence[Span]) -> Iterator[tuple[_Grain, list[_Range]]]:
    """Choose the grains that are needed, each with the ranges that it can add up."""
    left = list(enumerate(spans))
    for grain in _GRAINS:
        fitting = left
        if grain.step is not None:
            fitting, left = _in_steps(left, grain.step)
        if fitting:
            yield grain, [(place, _text(span.start, grain), _text(span.end, grain)) for place, span in fitting]


def _in_steps(
    spans: Iterable[tuple[int, Span]], step: timedelta
) -> tuple[list[tuple[int, Span]], list[tuple[int, Span]]]:
    """Split spans into whole steps, and the remainders at their ends."""
    whole, left = [], []
    for place, span in spans:
        first, last = _at_or_after(span.start, step), _before(span.end, step)
        if first >= last:
            left.append((place, span))
            continue
        whole.append((place, Span(first, last)))
        ends = (Span(span.start, first), Span(last, span.end))
        left += [(place, end) for end in ends if end.start < end.end]
    return whole, left


def _before(at: datetime, step: timedelta) -> datetime:
    """Return the beginning of the step that contains an instant."""
    return at - (at - ALWAYS.start) % step


def _at_or_after(at: datetime, step: timedelta) -> datetime:
    """Return the beginning of the first step that begins at or after an instant; after the last step, its end."""
    begun = _before(at, step)
    if begun == at:
        return at
    return begun + step if begun < ALWAYS.end - step else ALWAYS.end


def _text(at: datetime, grain: _Grain) -> str:
    return at.isoformat(" ")[: grain.characters]
