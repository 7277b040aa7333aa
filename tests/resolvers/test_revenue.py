"""What came in over time: exact by any zone's clocks, and the same money as the totals'."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest

from models.instant import utc_now
from models.kinds import InvoiceStatus, PaymentStatus
from models.sums import merge_all
from resolvers.revenue import MAX_POINTS
from tests.world.caller import Caller
from tests.world.long import few_or_many
from tests.world.rows import AT, Rows

Json = dict[str, Any]

REVENUE: Final = """
query ($since: DateTime!, $until: DateTime, $interval: RevenueInterval!, $zone: String, $currency: String) {
  revenue(since: $since, until: $until, interval: $interval, timeZone: $zone, currency: $currency) {
    currency points { start end received { amount minorUnits } refunded { amount minorUnits } net { amount } }
  }
}
"""
TOTALS: Final = """
query ($since: DateTime, $until: DateTime) {
  totals(since: $since, until: $until) { currency paid { minorUnits } refunded { minorUnits } open { minorUnits } }
}
"""


def _points(series: Json) -> list[tuple[str, str, str]]:
    """What was received and refunded of each point, after when it begins."""
    return [
        (point["start"], point["received"]["amount"], point["refunded"]["amount"])
        for point in series["points"]
    ]  # fmt: skip


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# --- What is told ----------------------------------------------------------------------------------------------


async def test_points_say_what_came_in_and_went_back(reader: Caller, rows: Rows) -> None:
    """Day by day without a gap; unapplied money, failed attempts and what came outside of the range are in none."""
    integration, customer = await rows.integration(), await rows.customer()
    invoice = await rows.invoice(customer, total=10_000)
    await rows.payment(integration, invoice, amount=2_500, amount_refunded=500)
    await rows.payment(integration, invoice, amount=700, occurred_at=AT + timedelta(days=2))
    await rows.payment(integration, invoice, amount=9_999, status=PaymentStatus.FAILED)
    await rows.payment(integration, None, amount=800)
    await rows.payment(integration, invoice, amount=1, occurred_at=_at("2026-11-22T23:59:59.999999Z"))
    await rows.payment(integration, invoice, amount=1, occurred_at=_at("2026-11-26T00:00:00Z"))
    await rows.invoice(customer, status=InvoiceStatus.PAID, total=300, amount_paid_out_of_band=300)

    answer = await reader.query(REVENUE, since="2026-11-23T00:00:00Z", until="2026-11-26T00:00:00Z", interval="DAY")

    (series,) = answer["revenue"]
    assert series["currency"] == "USD"
    assert _points(series) == [
        ("2026-11-23T00:00:00Z", "28.00", "5.00"),
        ("2026-11-24T00:00:00Z", "0.00", "0.00"),
        ("2026-11-25T00:00:00Z", "7.00", "0.00"),
    ]
    assert [point["net"]["amount"] for point in series["points"]] == ["23.00", "0.00", "7.00"]
    assert [point["end"] for point in series["points"]][-1] == "2026-11-26T00:00:00Z"


async def test_a_series_for_each_currency_has_its_own_digits(reader: Caller, rows: Rows) -> None:
    integration, customer = await rows.integration(), await rows.customer()
    for currency in ("USD", "KWD", "JPY"):
        invoice = await rows.invoice(customer, currency=currency)
        await rows.payment(integration, invoice, currency=currency, amount=12_345, amount_refunded=45)
    day = {"since": "2026-11-23T00:00:00Z", "until": "2026-11-24T00:00:00Z", "interval": "DAY"}

    answer = await reader.query(REVENUE, **day)
    one = await reader.query(REVENUE, **day, currency="kwd")
    none = await reader.query(REVENUE, **day, currency="EUR")

    amounts = {series["currency"]: _points(series)[0][1:] for series in answer["revenue"]}
    assert list(amounts.items()) == [
        ("JPY", ("12345", "45")),
        ("KWD", ("12.345", "0.045")),
        ("USD", ("123.45", "0.45")),
    ]
    assert one["revenue"] == [series for series in answer["revenue"] if series["currency"] == "KWD"]
    assert [(series["currency"], _points(series)) for series in none["revenue"]] == [
        ("EUR", [("2026-11-23T00:00:00Z", "0.00", "0.00")])
    ]


async def test_days_are_those_of_the_time_zone_when_its_clocks_are_set(reader: Caller, rows: Rows) -> None:
    """A day of 25 hours takes what came in each of them, one of 23 no more than that."""
    integration, customer = await rows.integration(), await rows.customer()
    invoice = await rows.invoice(customer)
    for time in ("2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"):
        await rows.payment(integration, invoice, amount=100, occurred_at=_at(time))
    for time in ("2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"):
        await rows.payment(integration, invoice, amount=100, occurred_at=_at(time))
    berlin = {"interval": "DAY", "zone": "Europe/Berlin"}

    autumn = await reader.query(REVENUE, since="2026-10-24T00:00:00+02:00", until="2026-10-27T00:00:00+01:00", **berlin)
    spring = await reader.query(REVENUE, since="2026-03-29T00:00:00+01:00", until="2026-03-31T00:00:00+02:00", **berlin)

    assert _points(autumn["revenue"][0]) == [
        ("2026-10-23T22:00:00Z", "1.00", "0.00"),
        ("2026-10-24T22:00:00Z", "2.00", "0.00"),
        ("2026-10-25T23:00:00Z", "1.00", "0.00"),
    ]
    assert _points(spring["revenue"][0]) == [
        ("2026-03-28T23:00:00Z", "2.00", "0.00"),
        ("2026-03-29T22:00:00Z", "1.00", "0.00"),
    ]


async def test_without_an_end_it_is_told_up_to_now(reader: Caller, rows: Rows) -> None:
    integration, customer = await rows.integration(), await rows.customer()
    now = utc_now()
    await rows.payment(integration, await rows.invoice(customer), occurred_at=now - timedelta(minutes=1))

    answer = await reader.query(REVENUE, since=(now - timedelta(minutes=30)).isoformat(), interval="MONTH")

    (series,) = answer["revenue"]
    assert sum(int(point["received"]["minorUnits"]) for point in series["points"]) == 500
    assert now <= datetime.fromisoformat(series["points"][-1]["end"]) <= utc_now()


async def test_another_workspaces_money_is_nobody_elses(reader: Caller, stranger: Caller, rows: Rows) -> None:
    await rows.payment(await rows.integration(), await rows.invoice(await rows.customer()))
    asked = {"since": "2026-11-23T12:20:00Z", "until": "2026-11-23T12:40:00Z", "interval": "HOUR"}

    assert (await stranger.query(REVENUE, **asked))["revenue"] == []
    assert len((await reader.query(REVENUE, **asked))["revenue"]) == 1


# --- What is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"zone": "Berlin"}, "UNKNOWN_TIME_ZONE", "'Berlin' is not a time zone"),
        ({"zone": ""}, "UNKNOWN_TIME_ZONE", "is not a time zone"),
        ({"currency": "dollars"}, "UNKNOWN_CURRENCY", "ISO 4217"),
        ({"until": "2026-11-01T00:00:00Z"}, "EMPTY_RANGE", "let `until` be after `since`"),
        ({"until": "2026-10-01T00:00:00Z"}, "EMPTY_RANGE", "let `until` be after `since`"),
        ({"since": "2999-01-01T00:00:00Z", "until": None}, "EMPTY_RANGE", "give a `since` in the past"),
        ({"since": "1969-12-31T23:59:59Z"}, "OUT_OF_RANGE", "give a `since` from 1970 to 9998"),
        ({"since": "0001-01-01T00:00:00Z"}, "OUT_OF_RANGE", "give a `since` from 1970 to 9998"),
        ({"until": "9999-12-31T23:59:59Z"}, "OUT_OF_RANGE", "give a `until` from 1970 to 9998"),
        ({"until": "9998-12-31T23:59:59Z"}, "TOO_MANY_POINTS", "more than 400 points of DAY"),
        ({"until": "2027-12-06T00:00:00.000001Z"}, "TOO_MANY_POINTS", "choose a longer interval"),
        ({"interval": "HOUR"}, "TOO_MANY_POINTS", "more than 400 points of HOUR"),
    ],
)
async def test_what_cannot_be_told_is_refused(reader: Caller, asked: Json, code: str, told: str) -> None:
    given = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z", "interval": "DAY"}

    error = await reader.refusal(REVENUE, **(given | asked))

    assert error["extensions"]["code"] == code
    assert told in error["message"]


async def test_as_many_points_as_may_be_are_told(reader: Caller) -> None:
    answer = await reader.query(
        REVENUE, since="2026-11-01T00:00:00Z", until="2027-12-06T00:00:00Z", interval="DAY", currency="USD"
    )

    assert len(answer["revenue"][0]["points"]) == MAX_POINTS


async def test_totals_of_a_range_that_ends_before_it_begins_are_refused(reader: Caller) -> None:
    for until in ("2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z"):
        error = await reader.refusal(TOTALS, since="2026-11-01T00:00:00Z", until=until)

        assert error["extensions"]["code"] == "EMPTY_RANGE"


# --- The same money, however it is asked for -------------------------------------------------------------------

ZONES: Final = (
    "UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham",
    "Australia/Lord_Howe", "America/New_York",
)  # fmt: skip
CURRENCIES: Final = ("USD", "JPY", "KWD")
CHANGES: Final = (datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 1, 3, 30, tzinfo=UTC))
"""Near to these clocks are set in some of the zones."""


def _some_instant(chance: Random) -> datetime:
    """Within three weeks around the changes; often at the border of an interval, or a moment before."""
    at = CHANGES[0] + timedelta(seconds=chance.randint(-7 * 86_400, 14 * 86_400))
    if chance.random() < 0.5:
        at = at.replace(minute=chance.choice([0, 15, 30, 45]), second=0)
        at -= chance.choice([timedelta(0), timedelta(0), timedelta(microseconds=1)])
    return at


async def _come_in(chance: Random, rows: Rows) -> tuple[datetime, str, int, int]:
    """Money for an invoice: when, in what, how much, and how much of it went back."""
    at, currency, amount = _some_instant(chance), chance.choice(CURRENCIES), chance.randint(1, 10**6)
    customer = await rows.customer()
    if chance.random() < 0.25:
        paid = {"status": InvoiceStatus.PAID, "paid_at": at, "amount_paid_out_of_band": amount, "total": amount}
        await rows.invoice(customer, currency=currency, **paid)
        return at, currency, amount, 0
    refunded = chance.choice([0, 0, amount, amount // 3])
    invoice = await rows.invoice(customer, status=InvoiceStatus.VOID, currency=currency)
    integration = await rows.integration()
    values = {"amount": amount, "amount_refunded": refunded, "currency": currency, "occurred_at": at}
    await rows.payment(integration, invoice, **values)
    return at, currency, amount, refunded


async def _noise(chance: Random, rows: Rows) -> None:
    """What is no revenue."""
    integration, at = await rows.integration(), _some_instant(chance)
    await rows.payment(integration, None, occurred_at=at)
    invoice = await rows.invoice(await rows.customer())
    await rows.payment(integration, invoice, occurred_at=at, status=PaymentStatus.PENDING)


@pytest.mark.timeout(120)
@pytest.mark.longer
async def test_points_are_what_is_counted_by_hand_and_together_the_totals(reader: Caller, rows: Rows) -> None:
    """For any range, interval and zone; whether sums are merged already or not; beside another workspace's money."""
    chance, payments, questions = Random(20_261_025), few_or_many(60, 180), few_or_many(40, 400)
    came = []
    for number in range(payments):
        came.append(await _come_in(chance, rows))
        await _noise(chance, rows) if number % 9 == 0 else None
        await merge_all() if number in {payments // 3, 2 * payments // 3} else None

    for _ in range(questions):
        since, until = sorted((_some_instant(chance), _some_instant(chance)))
        until += timedelta(microseconds=1)
        interval = chance.choice(["HOUR", "DAY", "WEEK", "MONTH"])
        since = max(since, until - timedelta(days=16)) if interval == "HOUR" else since
        given = {"since": since.isoformat(), "until": until.isoformat()}
        revenue = (await reader.query(REVENUE, **given, interval=interval, zone=chance.choice(ZONES)))["revenue"]
        totals = (await reader.query(TOTALS, **given))["totals"]

        assert [series["currency"] for series in revenue] == sorted({c for at, c, *_ in came if since <= at < until})
        for series in revenue:
            for point in series["points"]:
                start, end = _at(point["start"]), _at(point["end"])
                here = [each for each in came if each[1] == series["currency"] and start <= each[0] < end]
                assert _minor_units([point]) == (sum(each[2] for each in here), sum(each[3] for each in here)), point
        told = {each["currency"]: _minor_units([each], "paid") for each in totals if each["paid"]["minorUnits"] != "0"}
        assert told == {series["currency"]: _minor_units(series["points"]) for series in revenue}


def _minor_units(told: list[Json], received: str = "received") -> tuple[int, ...]:
    """What was received and what was refunded, of all that is told."""
    return tuple(sum(int(each[name]["minorUnits"]) for each in told) for name in (received, "refunded"))


async def test_what_came_in_is_counted_up_to_an_instant(reader: Caller, rows: Rows) -> None:
    """From whenever on; what stands open is told as it is now."""
    integration, customer = await rows.integration(), await rows.customer()
    invoice = await rows.invoice(customer, total=10_000)
    await rows.payment(integration, invoice, amount=500)
    await rows.payment(integration, invoice, amount=200, occurred_at=AT + timedelta(seconds=2))

    (before,) = (await reader.query(TOTALS, until=(AT + timedelta(seconds=2)).isoformat()))["totals"]
    (never,) = (await reader.query(TOTALS, until=AT.isoformat()))["totals"]

    assert [before[name]["minorUnits"] for name in ("paid", "open")] == ["500", "10000"]
    assert [never[name]["minorUnits"] for name in ("paid", "open")] == ["0", "10000"]
