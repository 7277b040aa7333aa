"""Whatever is wrong with a signature, the route refuses it without saying why, and the right one still counts."""

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.world.documents import CONNECT, UPDATE_INTEGRATION, WEBHOOK_EVENTS
from tests.world.house import LARGE, SECRET, House, secret_key_of
from tests.world.stripe_payloads import body

OTHERS_SECRET: Final = "whsec_ofAnotherWorkspace1"
REFUSED: Final = (400, b'{"error":"refused"}')
YEAR_9999: Final = 253_402_300_799

Post = tuple[bytes | None, bytes]
"""The Stripe-Signature header, None for no header, and the body."""


def sign(raw: bytes, secret: str = SECRET, at: object = None) -> str:
    """The signature of a body, as of now unless told otherwise."""
    timestamp = int(time.time()) if at is None else at
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256).hexdigest()


def header(raw: bytes, secret: str = SECRET, at: object = None, scheme: str = "v1") -> bytes:
    """A header that is right but for what is given."""
    timestamp = int(time.time()) if at is None else at
    return f"t={timestamp},{scheme}={sign(raw, secret, timestamp)}".encode()


def many(raw: bytes, right: int | None = None) -> bytes:
    """200 signatures, all wrong but the one at a place."""
    wrong = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
    if right is not None:
        wrong[right] = sign(raw)
    return f"t={int(time.time())},".encode() + ",".join(f"v1={each}" for each in wrong).encode()


def ago(seconds: int) -> int:
    return int(time.time()) - seconds


HOSTILE: Final[dict[str, Callable[[bytes], Post]]] = {
    "none": lambda raw: (None, raw),
    "empty": lambda raw: (b"", raw),
    "garbage": lambda raw: (b"\x80garbage;;==,", raw),
    "wrong": lambda raw: (header(raw, "whsec_wrong0123456789"), raw),
    "another workspace's": lambda raw: (header(raw, OTHERS_SECRET), raw),
    "tampered": lambda raw: (header(raw), raw.replace(b"4620", b"4621")),
    "truncated": lambda raw: (header(raw), raw[:-1]),
    "re-serialised": lambda raw: (header(raw), json.dumps(json.loads(raw), separators=(",", ":")).encode()),
    "301 s old": lambda raw: (header(raw, at=ago(301)), raw),
    "1 h ahead": lambda raw: (header(raw, at=ago(-3600)), raw),
    "year 9999": lambda raw: (header(raw, at=YEAR_9999), raw),
    "v0 only": lambda raw: (header(raw, scheme="v0"), raw),
    "5,000 digits of t": lambda raw: (header(raw, at="9" * 5000), raw),
    "non-ASCII v1": lambda raw: (header(raw)[:-2] + "é".encode(), raw),
    "200 wrong": lambda raw: (many(raw), raw),
    "uppercase hex": lambda raw: (b"t=" + str(ago(0)).encode() + b",v1=" + sign(raw).upper().encode(), raw),
}


def post(url: str, signature: bytes | None, raw: bytes) -> tuple[int, bytes]:
    """Post bytes as they are, which no client's idea of a header changes; the status and the body of the answer."""
    to = urlsplit(url)
    head = [f"POST {to.path} HTTP/1.1".encode(), b"Host: x", b"Connection: close", b"Content-Length: %d" % len(raw)]
    head += [] if signature is None else [b"Stripe-Signature: " + signature]
    with socket.create_connection((to.hostname or "", to.port or 0), timeout=30) as connection:
        connection.sendall(b"\r\n".join([*head, b"", b""]) + raw)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status_line, _, rest = answer.partition(b"\r\n")
    return int(status_line.split()[1]), rest.partition(b"\r\n\r\n")[2]


async def states(house: House, invoice: dict[str, Any]) -> tuple[str, list[str]]:
    """The invoice's status, and those of all webhook events."""
    seen = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["nodes"]
    return (await house.invoice(invoice["id"]))["status"], [node["status"] for node in seen]


async def save_elsewhere(house: House, secret: str) -> None:
    """Have another workspace save a webhook secret."""
    made = house.app.workspace()
    async with type(house.client)(house.app.url, made.api_key) as client:
        given = {"name": "Stripe", "secretKey": secret_key_of(made.id), "webhookSecret": secret}
        assert (await client.mutate(CONNECT, input=given))["integration"]["status"] == "READY"


@pytest.mark.long(servers=LARGE)
async def test_what_is_not_signed_as_it_should_be_has_no_effect(house: House) -> None:
    """Also where it is the very event that pays the invoice, which then comes signed as it should be."""
    await save_elsewhere(house, OTHERS_SECRET)
    invoices = {what: await house.open_invoice() for what in HOSTILE}
    bodies = {what: body(house.paid(invoice)) for what, invoice in invoices.items()}
    url = house.integration["webhookUrl"]

    answers = {what: post(url, *hostile(bodies[what])) for what, hostile in HOSTILE.items()}
    before = {what: await house.invoice(invoice["id"]) for what, invoice in invoices.items()}
    seen = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["nodes"]
    signed = {what: post(url, header(raw), raw)[0] for what, raw in bodies.items()}

    assert answers == dict.fromkeys(HOSTILE, REFUSED)
    assert {what: invoice["status"] for what, invoice in before.items()} == dict.fromkeys(HOSTILE, "OPEN")
    assert [node["status"] for node in seen] == ["QUARANTINED"] * len(HOSTILE)
    assert signed == dict.fromkeys(HOSTILE, 200)
    after = {what: (await house.invoice(invoice["id"]))["status"] for what, invoice in invoices.items()}
    assert after == dict.fromkeys(HOSTILE, "PAID")


@pytest.mark.parametrize("place", [0, 1])
async def test_a_right_signature_among_others_counts(house: House, place: int) -> None:
    invoice = await house.open_invoice()
    raw = body(house.paid(invoice))
    both = [sign(raw), sign(raw, "whsec_rolledAwayYesterday")]
    ordered = both if place == 0 else both[::-1]

    answer = post(
        house.integration["webhookUrl"],
        f"t={int(time.time())},".encode() + ",".join(f"v1={each}" for each in ordered).encode(),
        raw,
    )

    assert answer[0] == 200
    assert await states(house, invoice) == ("PAID", ["PROCESSED"])


async def test_what_was_refused_for_its_secret_is_applied_when_that_is_saved(house: House) -> None:
    """What was tampered with or was old already stays: nothing ever verifies it."""
    invoice = await house.open_invoice()
    raw = body(house.paid(invoice))
    url = house.integration["webhookUrl"]
    later = "whsec_savedLater0123456"
    for signature, content in [
        (header(raw, later), raw),
        (header(raw, later), raw.replace(b"4620", b"4621")),
        (header(raw + b" ", later, at=ago(301)), raw + b" "),
    ]:
        assert post(url, signature, content) == REFUSED

    await house.client.mutate(UPDATE_INTEGRATION, input={"id": house.integration["id"], "webhookSecret": later})

    status, events = await states(house, invoice)
    assert (status, sorted(events)) == ("PAID", ["PROCESSED", "QUARANTINED", "QUARANTINED"])
