"""The states of an invoice, its amounts and its number."""

import asyncio
import random
from itertools import product

import pytest

from database.access import Database, transaction
from errors import InvalidTransitionError
from models.invoice import COLLECTING, Invoice, check_draft, check_open, check_transition, next_number
from models.kinds import InvoiceStatus, Mode
from models.workspace import Workspace, add_workspace
from tests.models.rows import RolledBackError, rehearsal

ALLOWED = {
    "DRAFT": "OPEN",
    "OPEN": "PAID VOID UNCOLLECTIBLE",
    "PAID": "",
    "VOID": "",
    "UNCOLLECTIBLE": "PAID VOID",
}
"""As the domain has it; everything else is refused."""

PAIRS = list(product(InvoiceStatus, repeat=2))


def _is_allowed(status: InvoiceStatus, to: InvoiceStatus) -> bool:
    return to.value in ALLOWED[status.value].split()


@pytest.mark.parametrize(("status", "to"), [pair for pair in PAIRS if _is_allowed(*pair)])
def test_an_invoice_may_go_where_the_domain_says(status: InvoiceStatus, to: InvoiceStatus) -> None:
    check_transition(status, to)


@pytest.mark.parametrize(("status", "to"), [pair for pair in PAIRS if not _is_allowed(*pair)])
def test_an_invoice_may_go_nowhere_else(status: InvoiceStatus, to: InvoiceStatus) -> None:
    with pytest.raises(InvalidTransitionError) as refusal:
        check_transition(status, to)

    assert (refusal.value.from_status, refusal.value.to_status) == (status.value, to.value)
    assert to.value in refusal.value.message
    assert refusal.value.path == ["id"]


def test_the_whole_product_of_states_is_tested() -> None:
    assert len(PAIRS) == 25
    assert sum(_is_allowed(*pair) for pair in PAIRS) == 6


@pytest.mark.parametrize("status", InvoiceStatus)
def test_only_a_draft_is_edited(status: InvoiceStatus) -> None:
    if status is InvoiceStatus.DRAFT:
        check_draft(status)
    else:
        with pytest.raises(InvalidTransitionError, match="Only a draft"):
            check_draft(status)


@pytest.mark.parametrize("status", InvoiceStatus)
def test_only_an_open_invoice_has_a_payment_link(status: InvoiceStatus) -> None:
    if status is InvoiceStatus.OPEN:
        check_open(status)
    else:
        with pytest.raises(InvalidTransitionError, match="Payment Link"):
            check_open(status)


def test_a_payment_moves_what_may_become_paid_and_nothing_else() -> None:
    assert {status for status in InvoiceStatus if _is_allowed(status, InvoiceStatus.PAID)} == COLLECTING


@pytest.mark.parametrize(
    ("total", "paid", "out_of_band", "remaining", "overpaid"),
    [(1000, 0, 0, 1000, 0), (1000, 400, 100, 500, 0), (1000, 1000, 0, 0, 0), (1000, 900, 300, 0, 200), (0, 0, 0, 0, 0)],
)
def test_what_remains_and_what_is_too_much_are_never_negative(
    total: int, paid: int, out_of_band: int, remaining: int, overpaid: int
) -> None:
    invoice = Invoice(total=total, amount_paid=paid, amount_paid_out_of_band=out_of_band)

    assert (invoice.amount_remaining, invoice.amount_overpaid) == (remaining, overpaid)
    assert invoice.received == total - remaining + overpaid


# --- Numbers ---------------------------------------------------------------------------------------------------


async def _finalize(workspace: Workspace, year: int, fails: bool = False) -> str | None:
    try:
        async with transaction() as tx:
            number = await next_number(tx, workspace.id, year)
            await asyncio.sleep(0)
            if fails:
                raise RolledBackError
            return number
    except RolledBackError:
        return None


async def test_numbers_given_at_once_have_no_gap_though_some_are_given_back(
    database: Database, workspace: Workspace
) -> None:
    chance = random.Random(7)
    fails = [chance.random() < 0.4 for _ in range(60)]

    given = await asyncio.gather(*(_finalize(workspace, 2026, one) for one in fails))

    assert sorted(number for number in given if number) == [
        f"INV-2026-{number:04d}" for number in range(1, fails.count(False) + 1)
    ]


async def test_every_year_and_every_workspace_counts_for_itself(database: Database, workspace: Workspace) -> None:
    async with transaction() as tx:
        other = await add_workspace(tx, "Umbrella", Mode.TEST)

    given = [await _finalize(*one) for one in [(workspace, 2026), (workspace, 2027), (other, 2026), (workspace, 2026)]]

    assert given == ["INV-2026-0001", "INV-2027-0001", "INV-2026-0001", "INV-2026-0002"]


async def test_the_number_after_9999_has_one_digit_more(database: Database, workspace: Workspace) -> None:
    async with rehearsal() as tx:
        await tx.execute("INSERT INTO invoice_sequences VALUES ($1, 2026, 9998)", workspace.id)

        assert [await next_number(tx, workspace.id, 2026) for _ in range(2)] == ["INV-2026-9999", "INV-2026-10000"]
