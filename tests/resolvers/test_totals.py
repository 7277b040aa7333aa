"""What a list comes to: the same as its rows added up, however it is narrowed."""

from collections import defaultdict
from datetime import date
from random import Random
from typing import Any, Final

import pytest

from models.kinds import InvoiceStatus, PaymentStatus
from resolvers.reading import counts
from tests.world.caller import Caller
from tests.world.rows import AT, Rows

MAX: Final = 10**15


async def _made(rows: Rows) -> dict[str, str]:
    """Invoices and payments in two currencies, in all states; the ids of two customers."""
    chance = Random(11)
    integration = await rows.integration()
    customers = [await rows.customer(name=name, email="x@example.com") for name in ("Ada", "Bob")]
    for number in range(24):
        status = list(InvoiceStatus)[number % 5]
        total = chance.choice([0, 1999, MAX])
        paid = {"DRAFT": 0, "PAID": total + chance.choice([0, 7])}.get(status, total // 3)
        invoice = await rows.invoice(
            customers[number % 2],
            status=status,
            currency=chance.choice(["EUR", "USD", "JPY"]),
            total=total,
            amount_paid=paid // 2,
            amount_paid_out_of_band=paid - paid // 2,
            due_date=chance.choice([None, date(2026, 11, 1), date(2099, 1, 1)]),
        )
        amount = chance.choice([5, MAX])
        await rows.payment(
            integration,
            invoice,
            amount=amount,
            amount_refunded=chance.choice([0, amount // 2]),
            currency=invoice.currency,
            status=chance.choice(list(PaymentStatus)),
        )
    return {"ada": customers[0].id, "bob": customers[1].id}


_MONEY: Final = "{ minorUnits }"
_INVOICES: Final = f"""
  nodes {{ currency status total {_MONEY} amountPaid {_MONEY} amountRemaining {_MONEY} }}
  totals {{
    currency count precision total {_MONEY} amountPaid {_MONEY} amountRemaining {_MONEY} open {_MONEY}
  }}
"""
_PAYMENTS: Final = f"""
  nodes {{ status amount {{ currency minorUnits }} amountRefunded {_MONEY} }}
  totals {{ currency count precision received {_MONEY} refunded {_MONEY} net {_MONEY} }}
"""


def _units(money: dict[str, str]) -> int:
    return int(money["minorUnits"])


def _told(totals: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {
        each["currency"]: {
            name: value if isinstance(value, int) else _units(value)
            for name, value in each.items()
            if name not in {"currency", "precision"}
        }
        for each in totals
    }


def _of_invoices(nodes: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for node in nodes:
        sums = found[node["currency"]]
        sums["count"] += 1
        for name in ("total", "amountPaid", "amountRemaining"):
            sums[name] += _units(node[name])
        sums["open"] += _units(node["amountRemaining"]) if node["status"] == "OPEN" else 0
    return found


def _of_payments(nodes: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for node in nodes:
        sums, has_succeeded = found[node["amount"]["currency"]], node["status"] == "SUCCEEDED"
        received, refunded = _units(node["amount"]) * has_succeeded, _units(node["amountRefunded"]) * has_succeeded
        sums["count"] += 1
        sums["received"] += received
        sums["refunded"] += refunded
        sums["net"] += received - refunded
    return found


async def _ask(caller: Caller, selection: str, id_: str) -> Any:
    declared = "query ($id: ID!)" if "$id" in selection else "query"
    return await caller.query(f"{declared} {selection}", id=id_)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "(filter: {status: [OPEN, VOID]})",
        '(filter: {currency: "EUR"})',
        "(filter: {status: []})",
        "(orderBy: {field: TOTAL, direction: ASC}, first: 100)",
        "(filter: {customerId: $id})",
        "(filter: {overdue: true})",
        '(filter: {search: "ada"})',
        '(filter: {currency: "EUR", totalMin: 1})',
        '(filter: {customerIds: [$id], dueAfter: "2026-12-01"})',
    ],
)
async def test_totals_of_invoices_are_those_of_the_rows(reader: Caller, rows: Rows, asked: str) -> None:
    made = await _made(rows)

    answer = await _ask(reader, f"{{ invoices{asked} {{ {_INVOICES} }} }}", made["ada"])

    found = answer["invoices"]
    assert _told(found["totals"]) == _of_invoices(found["nodes"])
    assert list(_told(found["totals"])) == sorted(_told(found["totals"]))
    assert {each["precision"] for each in found["totals"]} <= {"EXACT"}


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "(filter: {status: [SUCCEEDED]})",
        '(filter: {allocation: APPLIED, currency: "USD"})',
        "(filter: {customerId: $id})",
        '(filter: {occurredBefore: "2026-11-24T00:00:00Z", currency: "EUR"})',
        '(filter: {occurredBefore: "2026-11-22T00:00:00Z"})',
    ],
)
async def test_totals_of_payments_are_those_of_the_rows(reader: Caller, rows: Rows, asked: str) -> None:
    made = await _made(rows)

    answer = await _ask(reader, f"{{ payments{asked} {{ {_PAYMENTS} }} }}", made["ada"])

    found = answer["payments"]
    assert _told(found["totals"]) == _of_payments(found["nodes"])


async def test_lists_within_an_invoice_and_a_customer_have_totals_of_their_own(reader: Caller, rows: Rows) -> None:
    made = await _made(rows)

    answer = await reader.query(
        f"""query ($id: ID!) {{ customer(id: $id) {{
          invoices {{ {_INVOICES} }} payments {{ {_PAYMENTS} }}
          newest: invoices(first: 1) {{ nodes {{ payments {{ {_PAYMENTS} }} }} }}
        }} }}""",
        id=made["bob"],
    )

    customer = answer["customer"]
    of_one = customer["newest"]["nodes"][0]["payments"]
    assert _told(customer["invoices"]["totals"]) == _of_invoices(customer["invoices"]["nodes"])
    assert _told(customer["payments"]["totals"]) == _of_payments(customer["payments"]["nodes"])
    assert _told(of_one["totals"]) == _of_payments(of_one["nodes"])


async def test_totals_of_a_customer_say_what_is_invoiced_paid_and_open(reader: Caller, rows: Rows) -> None:
    """Of each customer of a list, too; nothing of one that has no invoice."""
    ada, bob = await rows.customer(name="Ada"), await rows.customer(name="Bob")
    await rows.invoice(ada, total=1000, amount_paid=300, due_date=date(2026, 11, 1))
    await rows.invoice(ada, total=500, due_date=date(2099, 1, 1))
    await rows.invoice(ada, total=70, amount_paid=70, status=InvoiceStatus.PAID, paid_at=AT)
    for status in (InvoiceStatus.VOID, InvoiceStatus.DRAFT):
        await rows.invoice(ada, total=9, status=status)
    await rows.invoice(ada, total=8, currency="JPY", status=InvoiceStatus.UNCOLLECTIBLE)
    await _made(rows)

    answer = await reader.query(
        f"""query ($ids: ID!, $none: ID!) {{
          ada: customer(id: $ids) {{ totals {{
            currency count precision invoiced {_MONEY} paid {_MONEY} open {_MONEY} overdue {_MONEY}
          }} }}
          bob: customer(id: $none) {{ totals {{ currency }} }}
          customers {{ nodes {{ id totals {{ currency count precision invoiced {_MONEY} paid {_MONEY} open {_MONEY}
            overdue {_MONEY} }} }} }}
        }}""",
        ids=ada.id,
        none=bob.id,
    )

    assert _told(answer["ada"]["totals"]) == {
        "JPY": {"count": 1, "invoiced": 8, "paid": 0, "open": 0, "overdue": 0},
        "USD": {"count": 5, "invoiced": 1570, "paid": 370, "open": 1200, "overdue": 700},
    }
    assert answer["bob"]["totals"] == []
    together = {each["id"]: each["totals"] for each in answer["customers"]["nodes"]}
    assert together[ada.id] == answer["ada"]["totals"]
    assert len(together) == 4


async def test_what_no_sum_is_kept_of_is_added_up_to_a_bound(
    reader: Caller, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await _made(rows)
    monkeypatch.setattr(counts, "COUNTED", 5)

    answer = await reader.query(
        """query ($id: ID!) {
          all: invoices { totals { precision } }
          paid: payments(filter: {status: [SUCCEEDED]}) { totals { precision } }
          some: invoices(filter: {customerId: $id}) { totals { count precision } }
          few: invoices(filter: {customerId: $id, status: [DRAFT]}) { totals { precision } }
          payments(filter: {customerId: $id}) { totals { precision } }
          customer(id: $id) { totals { precision } }
        }""",
        id=made["ada"],
    )

    precisions = {name: {each["precision"] for each in found["totals"]} for name, found in answer.items()}
    assert precisions == {
        "all": {"EXACT"},
        "paid": {"EXACT"},
        "some": {"AT_LEAST"},
        "few": {"EXACT"},
        "payments": {"AT_LEAST"},
        "customer": {"AT_LEAST"},
    }
    assert 0 < sum(each["count"] for each in answer["some"]["totals"]) <= 6


async def test_totals_are_of_the_callers_workspace(stranger: Caller, rows: Rows) -> None:
    made = await _made(rows)

    answer = await stranger.query(
        "query ($id: ID!) { invoices { totals { count } } payments { totals { count } }"
        " of: invoices(filter: {customerId: $id}) { totals { count } } }",
        id=made["ada"],
    )

    assert answer == {"invoices": {"totals": []}, "payments": {"totals": []}, "of": {"totals": []}}
