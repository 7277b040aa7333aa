"""What migrations make of rows that are there already."""

import contextlib
import importlib
import pkgutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import asyncpg
import pytest

import migrations
from migrations._sql import _TYPES, Sql

Ask = Callable[[str], Awaitable[list[tuple[Any, ...]]]]

BEFORE: Final = (
    "INSERT INTO workspaces (id, name, mode, seq, created_at) VALUES ('ws_1', 'Acme', 'TEST', 0, '{at}')",
    "INSERT INTO integrations (id, workspace_id, name, mode, is_active, secret_key_preview, created_at, updated_at)"
    " VALUES ('int_1', 'ws_1', 'Stripe', 'TEST', TRUE, 'sk', '{at}', '{at}')",
    "INSERT INTO customers (id, workspace_id, name, email, external_id, created_at, updated_at)"
    " VALUES ('cust_1', 'ws_1', 'Ada Lovelace', 'ada@example.com', 'C-1', '{at}', '{at}')",
    "INSERT INTO invoices (id, workspace_id, customer_id, number, status, currency, total, created_at, updated_at,"
    " finalized_at) VALUES ('inv_1', 'ws_1', 'cust_1', 'INV-1', 'OPEN', 'USD', 500, '{at}', '{at}', '{at}')",
    *(
        "INSERT INTO payments (id, workspace_id, integration_id, provider_payment_id, status, amount, currency,"
        " allocation, unapplied_code, decided_by, occurred_at, created_at)"
        f" VALUES ('pay_{name}', 'ws_1', 'int_1', '{name}', 'SUCCEEDED', 500, 'USD', 'UNAPPLIED',"
        " 'INVOICE_NOT_FOUND', 'x', '{at}', '{at}')"
        for name in ("pi_1", "in_2", "pi_3")
    ),
    *(
        "INSERT INTO payment_references (workspace_id, provider_id, payment_id) VALUES ('ws_1', "
        f"'{name}', 'pay_{payment}')"
        for name, payment in (("pi_1", "pi_1"), ("in_1", "pi_1"), ("in_2", "in_2"), ("pi_3", "pi_3"))
    ),
    *(
        "INSERT INTO webhook_events (id, workspace_id, integration_id, delivery_key, status, reason_code, deliveries,"
        f" attempts, payload, received_at) VALUES ('whe_{code}', 'ws_1', 'int_1', '{code}', '{status}', '{code}', 1, 1,"
        " {payload}, '{at}')"
        for status, code in (
            ("UNAPPLIED", "OUT_OF_BAND_PARTLY"),
            ("IGNORED", "UNREADABLE_PAYLOAD"),
            ("IGNORED", "OTHER"),
        )
    ),
)


def statements(dialect: str, first: str, last: str) -> Iterator[str]:
    """The statements of some migrations, for one of the databases."""
    for module in sorted(module.name for module in pkgutil.iter_modules(migrations.__path__)):
        if first <= module <= last and module.startswith("m"):
            for operation in importlib.import_module(f"migrations.{module}").Migration.operations:
                assert isinstance(operation, Sql)
                for statement in (*operation.statements, *operation.own[dialect]):
                    yield statement.format(**_TYPES[dialect])


def rows(payload: str) -> list[str]:
    """The rows that an earlier version has written."""
    return [row.format(at="2026-11-23 12:30:00+00:00", payload=payload) for row in BEFORE]


@pytest.fixture(params=["sqlite", "postgres"])
async def ask(request: pytest.FixtureRequest) -> AsyncIterator[Ask]:
    """Asks a database that an earlier version has filled, brought up to date."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    payload = {"sqlite": "x'7b7d'", "postgres": "'x'::bytea"}[request.param]
    work = [
        *statements(request.param, "m0001", "m0004_z"), *rows(payload), *statements(request.param, "m0005", "m9")
    ]  # fmt: skip
    if request.param == "postgres":
        session = await asyncpg.connect(url)
        async with session.transaction():
            for statement in work:
                await session.execute(statement)

        async def asked(sql: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await session.fetch(sql)]

        yield asked
        await session.close()
        return
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite://"))) as connection:
        for statement in work:
            connection.execute(statement)

        async def found(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        yield found


async def test_what_payments_of_a_stripe_invoice_have_in_common_is_no_name_of_theirs_any_more(ask: Ask) -> None:
    assert await ask("SELECT id, order_id FROM payments ORDER BY id") == [
        ("pay_in_2", "in_2"),
        ("pay_pi_1", "in_1"),
        ("pay_pi_3", None),
    ]
    assert await ask("SELECT provider_id FROM payment_references ORDER BY 1") == [("in_2",), ("pi_1",), ("pi_3",)]


async def test_what_was_left_to_a_person_is_tried_again_by_a_reader_that_knows_more(ask: Ask) -> None:
    assert await ask("SELECT reason_code, reader_version FROM webhook_events ORDER BY 1") == [
        ("OTHER", None),
        ("OUT_OF_BAND_PARTLY", 2),
        ("UNREADABLE_PAYLOAD", 2),
    ]


FOUND: Final = {
    "sqlite": "SELECT t.id FROM customer_search s JOIN customer_texts t ON t.number = s.rowid"
    " WHERE customer_search MATCH '\"lovel\"'",
    "postgres": "SELECT id FROM customer_texts WHERE search_grams(workspace_id, text) @> search_grams('ws_1', 'lovel')",
}


async def test_what_is_there_is_searched(ask: Ask, request: pytest.FixtureRequest) -> None:
    texts = await ask("SELECT id, workspace_id, text FROM customer_texts")

    assert texts == [("cust_1", "ws_1", "Ada Lovelace\nada@example.com\nC-1")]
    assert await ask("SELECT text FROM invoice_texts") == [("INV-1\n",)]
    assert await ask(FOUND[request.node.callspec.params["ask"]]) == [("cust_1",)]


async def test_what_is_there_is_summed(ask: Ask) -> None:
    found = await ask("SELECT currency, day, status, allocation, amount, is_merged FROM payment_sums")

    assert found == [("USD", "2026-11-23", "SUCCEEDED", "UNAPPLIED", 1500, True)]
    of_all_time = "SELECT currency, status, allocation, number, amount, is_merged FROM payment_totals"
    assert await ask(of_all_time) == [("USD", "SUCCEEDED", "UNAPPLIED", 3, 1500, True)]
    assert await ask("SELECT SUM(number) FROM webhook_event_sums") == [(3,)]
    by_time = "SELECT quarter_hour, currency, allocation, amount, is_merged FROM payment_quarter_hour_sums"
    assert await ask(by_time) == [("2026-11-23 12:30", "USD", "UNAPPLIED", 1500, True)]
