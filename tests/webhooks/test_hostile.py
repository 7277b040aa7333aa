"""Bodies that are signed and hostile all the same: answered, kept as they came, and explained."""

import asyncio
import copy
import gzip
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from database.access import fetch, reading_dialect
from database.scope import unscoped
from models.integration import Integration
from models.kinds import Scope, WebhookEventStatus
from models.workspace import Workspace
from resolvers.context import Services
from tests.webhooks.conftest import Stripe
from tests.world import books, migrated
from tests.world import stripe_payloads as payloads
from tests.world.app import RunningApp, running_app
from tests.world.books import ours
from tests.world.caller import caller_with
from tests.world.local import LOCAL
from tests.world.long import is_long
from tests.world.seed import WEBHOOK_SECRET, Seeded, add_integration, rows, within
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers
from webhooks.body import MAX_BODY_BYTES

DEPTH: Final = 100_000
AT_ONCE: Final = 100
EVENTS_OF_AN_INVOICE: Final = 30

REPLACEMENTS: Final[tuple[Any, ...]] = (None, True, 1, -1, 1.5, "x", [], {}, "x" * 5000)

SHOWN: Final = """
query ($after: String) { webhookEvents(first: 100, after: $after) {
  nodes { id stripeEventId type status livemode apiVersion reason { code message fix } payload invoice { id } payment { id } }
  pageInfo { hasNextPage endCursor }
} }
"""  # noqa: E501


async def shown(services: Services, workspace_id: str) -> list[dict[str, Any]]:
    """Every webhook event as the API shows it."""
    workspace = await unscoped(Workspace).get(id=workspace_id)
    reader = await caller_with(services, workspace, Scope.READ)
    nodes: list[dict[str, Any]] = []
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        connection = (await reader.query(SHOWN, after=page["endCursor"]))["webhookEvents"]
        nodes += connection["nodes"]
        page = connection["pageInfo"]
    return nodes


def is_explained(node: dict[str, Any]) -> bool:
    """Whether it was decided on, and why is told unless it was applied."""
    decided = {WebhookEventStatus.PROCESSED, WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED}
    applied, reason = node["status"] == WebhookEventStatus.PROCESSED, node["reason"]
    return node["status"] in decided and (applied or (reason is not None and all(reason.values())))


def chunks(whole: bytes) -> Iterator[bytes]:
    """A body without a length, seven bytes at first."""
    yield whole[:7]
    yield whole[7:]


@dataclass(frozen=True)
class Door:
    """A running server, and one integration's URL of it."""

    app: RunningApp
    database_url: str
    integration: Seeded

    def answer(self, content: bytes | Iterator[bytes], headers: Any) -> int:
        """The status of a post's answer."""
        with httpx.Client(base_url=self.app.url, **LOCAL, timeout=30) as http:
            return http.post(self.integration.webhook_path, content=content, headers=headers).status_code

    def connection(self) -> socket.socket:
        """A bare connection."""
        address = urlsplit(self.app.url)
        return socket.create_connection((address.hostname or "", address.port or 0), timeout=30)

    def head(self, *lines: str) -> bytes:
        """The head of a post."""
        first = f"POST {self.integration.webhook_path} HTTP/1.1"
        return "\r\n".join([first, "Host: x", *lines, "", ""]).encode()

    def keeps(self, payload: bytes, reason: str = "NO_METADATA") -> bool:
        """Whether a body is kept as it came, for the reason given."""
        kept = rows(self.database_url, "SELECT reason_code FROM webhook_events WHERE payload = $1", payload)
        return [row["reason_code"] for row in kept] == [reason]

    def keeps_none_of(self, payload: bytes) -> bool:
        """Whether nothing is kept that begins as a body does."""
        kept = rows(self.database_url, "SELECT payload FROM webhook_events")
        return not any(bytes(row["payload"]).startswith(payload[:100]) for row in kept)


# --- Bodies that are no event ----------------------------------------------------------------------------------


def an_event(**fields: Any) -> bytes:
    """An ordinary event about no invoice, with a field of its object replaced."""
    event = payment_intent_succeeded()
    event["data"]["object"] |= fields
    return body(event)


def with_raw(number: bytes) -> bytes:
    """An event whose amount is written as JSON's grammar or Python's would not."""
    return an_event(amount_received="HERE").replace(b'"HERE"', number)


UNREADABLE: Final = {
    "empty": b"",
    "a blank": b" \n",
    "not JSON": b"event=payment_intent.succeeded",
    "cut off": an_event()[:-20],
    "two documents": an_event() + an_event(),
    "invalid UTF-8": an_event().replace(b'"usd"', b'"\xff\xfe"'),
    "UTF-16": an_event().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + an_event(),
    "a NUL": b"\x00",
    "a NUL in a text": an_event().replace(b'"usd"', b'"u\x00d"'),
    "a number": b"1",
    "a text": b'"evt_1"',
    "null": b"null",
    "true": b"true",
    "a list": b"[" + an_event() + b"]",
    "an empty object": b"{}",
    "lists 100,000 deep": b"[" * DEPTH + b"]" * DEPTH,
    "objects 100,000 deep": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "a deep field": with_raw(b"[" * DEPTH + b"]" * DEPTH),
    "NaN": with_raw(b"NaN"),
    "Infinity": with_raw(b"-Infinity"),
    "1e400": with_raw(b"1e400"),
    "a huge integer": with_raw(b"9" * 4000),
    "more than 64 bits": with_raw(str(2**64).encode()),
    "a lone surrogate": an_event().replace(b'"usd"', rb'"\ud800"'),
    "hexadecimal": with_raw(b"0x7d0"),
    "a comment": an_event() + b"// paid",
    "a thin event": b'{"id": "evt_thin", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",'
    b' "created": "2026-11-23T12:00:00.000Z", "livemode": false, "related_object": {"id": "mtr_1"}}',
}

READABLE: Final = {
    "an escaped NUL in the metadata": an_event(metadata={"invoice_id": "inv_\x00", "\x00": "\x00"}),
    "an escaped NUL in its id": an_event(id="pi_\x00"),
    "a key twice": an_event().replace(b'"currency"', b'"currency": "eur", "currency"'),
    "a key ten thousand times": an_event().replace(b'"currency"', b'"x": 1, ' * 10_000 + b'"currency"'),
    "a pair of surrogates": an_event(description="\U0001f4b8"),
    "right-to-left marks": an_event(description="\u202e\u2066paid\u200f"),
    "markup": an_event(description="<script>alert(1)</script>"),
    "an injection": an_event(metadata={"invoice_id": "inv_'; DROP TABLE invoices; --"}),
    "a prototype": an_event(metadata={"__proto__": {"invoice_id": "inv_1"}}),
}


async def test_what_is_signed_and_hostile_is_acknowledged_kept_and_explained(
    stripe: Stripe, services: Services, workspace_id: str, integration: Seeded
) -> None:
    for name, hostile in {**UNREADABLE, **READABLE}.items():
        assert (await stripe.post(integration, hostile, WEBHOOK_SECRET)).status == 200, name

    kept = await fetch("SELECT payload, status, reason_code FROM webhook_events")
    found = {bytes(row["payload"]): (row["status"], row["reason_code"]) for row in kept}
    assert len(kept) == len(UNREADABLE) + len(READABLE)
    for name, hostile in UNREADABLE.items():
        status = "UNAPPLIED" if b'"payment_intent.succeeded"' in hostile else "IGNORED"  # it may be about money
        assert found[hostile] == (status, "UNREADABLE_PAYLOAD"), name
    assert set(READABLE.values()) <= set(found)
    nodes = await shown(services, workspace_id)
    assert len(nodes) == len(kept)
    assert all(is_explained(node) for node in nodes)


# --- Events with a field of another type -----------------------------------------------------------------------

Place = tuple[str | int, ...]

MONEY_BACK: Final = (
    payloads.charge_refunded,
    payloads.refund_failed,
    payloads.dispute,
    partial(payloads.dispute, status="lost"),
)


def paths(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where anything stands in a document, itself left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from paths(child, (*at, key))


def replaced(event: payloads.Event, path: Place, value: Any) -> payloads.Event:
    """An event with another value in a place."""
    event = copy.deepcopy(event)
    parent: Any = event
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return event


def distortions(make: Any, told: dict[str, Any]) -> Sequence[tuple[Place, Any]]:
    """Where an event can hold another type, and what: each of nine values; of a place of both shapes, half in each."""
    old, new = (set(paths(make(**{**told, "shape": shape}))) for shape in payloads.SHAPES)
    turn = {
        place: number for number, place in enumerate(sorted(old & new, key=str), payloads.SHAPES.index(told["shape"]))
    }
    return [
        (place, value)
        for place in paths(make(**told))
        for value in (REPLACEMENTS[turn[place] % 2 :: 2] if place in turn else REPLACEMENTS)
    ]


def distorted(make: Any, told: dict[str, Any]) -> Iterator[bytes]:
    """An event in every way in which one field can have another type; each an event of its own."""
    for place, value in distortions(make, told):
        yield body(replaced(make(**told), place, value))


async def distorted_of_invoices(make: Any, account: Integration, shape: payloads.Shape) -> AsyncIterator[bytes]:
    """The same, about an invoice for every few: each payment has all that its invoice has counted anew."""
    told = {**ours(await books.add_invoice(account)), "shape": shape}
    for number, (place, value) in enumerate(distortions(make, told), 1):
        if number % EVENTS_OF_AN_INVOICE == 0:
            told = {**ours(await books.add_invoice(account)), "shape": shape}
        yield body(replaced(make(**told), place, value))


@pytest.mark.timeout(300)
@pytest.mark.longer
async def test_an_event_with_any_field_of_another_type_is_acknowledged_kept_and_explained(
    stripe: Stripe, services: Services, workspace_id: str, integration: Seeded
) -> None:
    """Every field of every type that is handled, replaced by each of nine values.

    What is read depends on no database: PostgreSQL is shown a tenth of the newest shape, each field with another value.
    SQLite is shown that shape whole, and the older ones with --long.
    """
    account = await unscoped(Integration).get(id=integration.id)
    paid = payloads.fresh("pi")
    sent = [body(payment_intent_succeeded(payment_intent=paid, **ours(await books.add_invoice(account))))]
    assert (await stripe.post(integration, sent[0], WEBHOOK_SECRET)).status == 200
    for shape in payloads.SHAPES if is_long() and reading_dialect() == "sqlite" else payloads.SHAPES[-1:]:
        for make in payloads.HANDLED:
            sent += [each async for each in distorted_of_invoices(make, account, shape)]
        for make in MONEY_BACK:
            sent += distorted(make, {"payment_intent": paid, "shape": shape})
    if reading_dialect() != "sqlite":
        sent = [sent[0], *sent[1 :: len(REPLACEMENTS) + 1]]

    for some in batched_bodies(sent[1:]):
        answers = await asyncio.gather(*(stripe.post(integration, each, WEBHOOK_SECRET) for each in some))
        assert {answer.status for answer in answers} == {200}

    kept = await fetch("SELECT deliveries, payload FROM webhook_events")
    assert sum(row["deliveries"] for row in kept) == len(sent)
    assert {bytes(row["payload"]) for row in kept} >= {each for each in sent if has_own_id(each)}
    nodes = await shown(services, workspace_id)
    assert len(nodes) == len(kept)
    assert [node for node in nodes if not is_explained(node)] == []


def batched_bodies(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """So many at once."""
    for start in range(0, len(bodies), AT_ONCE):
        yield bodies[start : start + AT_ONCE]


def has_own_id(raw: bytes) -> bool:
    """Whether an event's id is not what was replaced."""
    return str(json.loads(raw)["id"]).startswith("evt_")


# --- Requests that are no post of Stripe's ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_door(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server and an integration that is ready."""
    url = migrated.sqlite_url(Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("door"))))
    with running_app(url) as app:
        workspace = app.workspace()
        yield Door(app, url, within(url, lambda: add_integration(workspace.id)))


def test_a_body_of_ten_megabytes_is_refused_unread(open_door: Door) -> None:
    large = b" " * (10 * MAX_BODY_BYTES)

    announced = open_door.answer(large, signed_headers(large, WEBHOOK_SECRET))
    in_chunks = open_door.answer(chunks(large), signed_headers(large, WEBHOOK_SECRET))

    assert (announced, in_chunks) == (413, 413)
    assert open_door.keeps_none_of(large)


def test_a_body_that_drips_is_given_up(open_door: Door) -> None:
    with open_door.connection() as connection:
        connection.sendall(open_door.head("Content-Length: 1000"))
        connection.settimeout(1.0)
        answer = b""
        while not answer:
            connection.sendall(b" ")
            with suppress(TimeoutError):
                answer = connection.recv(1000)

    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "flood",
    [
        "\r\n".join(f"X-{number}: x" for number in range(20_000)),
        "\r\n".join(["Stripe-Signature: t=1,v1=" + "0" * 64] * 2000),
        "Stripe-Signature: " + "v1=0," * 40_000,
        f"X-Long: {'x' * 200_000}",
        f"X-{'x' * 200_000}: x",
    ],
    ids=["many", "signatures", "a long signature", "a long value", "a long name"],
)
def test_a_flood_of_headers_is_refused(open_door: Door, flood: str) -> None:
    with open_door.connection() as connection:
        with suppress(OSError):  # who answers early need not read to the end
            connection.sendall(open_door.head(flood, "Content-Length: 2") + b"{}")
        answer = connection.recv(1000)

    assert re.match(rb"HTTP/1.1 4\d\d ", answer)


def test_the_last_signature_of_few_counts_and_the_others_do_no_harm(open_door: Door) -> None:
    event = an_event()
    signed = signed_headers(event, WEBHOOK_SECRET)
    several = [*[("Stripe-Signature", "t=1,v1=0")] * 20, *signed.items()]

    assert open_door.answer(event, several) == 200
    assert open_door.keeps(event)


def test_a_compressed_body_is_kept_as_it_came_and_not_unpacked(open_door: Door) -> None:
    """Stripe does not compress; what unpacks to a gigabyte stays the megabyte that it is."""
    compressed = gzip.compress(an_event())
    headers = {**signed_headers(compressed, WEBHOOK_SECRET), "Content-Encoding": "gzip"}

    assert open_door.answer(compressed, headers) == 200
    assert open_door.keeps(compressed, "UNREADABLE_PAYLOAD")


def test_a_body_in_chunks_is_verified_as_a_whole(open_door: Door) -> None:
    event = an_event()

    assert open_door.answer(chunks(event), signed_headers(event, WEBHOOK_SECRET)) == 200
    assert open_door.answer(chunks(event[:-1]), signed_headers(event, WEBHOOK_SECRET)) == 400
    assert open_door.keeps(event)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_whatever_type_a_body_claims_to_be_its_bytes_decide(open_door: Door, content_type: str) -> None:
    event = an_event()

    assert open_door.answer(event, signed_headers(event, WEBHOOK_SECRET) | {"Content-Type": content_type}) == 200
    assert open_door.keeps(event)
