"""Stripe's webhook signatures, verified over the raw bytes.

Source: Stripe, "Verify webhook signatures manually". Stripe's own library accepts timestamps in the future and raises
on odd bytes; this does neither.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from models.reason import Reason

TOLERANCE_S: Final = 300
"""How far the signed timestamp may be from now, in either direction."""

MAX_SIGNATURES: Final = 16
"""How many v1 signatures of a header are checked; Stripe sends one, or two while a secret is rolled."""

_MAX_DIGITS: Final = 20


def verify(header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether a Stripe-Signature header signs a body with one of the secrets; never raises. `now`: Unix seconds."""
    timestamp, signatures = _parse(header)
    if not signatures or not _is_recent(timestamp, now):
        return False
    signed = b"%b.%b" % (timestamp, body)
    return any(_matches(signed, secret, signatures) for secret in secrets if secret)


def could_sign(header: bytes | str | None, now: float) -> bool:
    """Whether a header that came now could be valid with some secret: it has a signature with a recent timestamp."""
    timestamp, signatures = _parse(header)
    return bool(signatures) and _is_recent(timestamp, now)


def examine(header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float) -> tuple[Reason, str | None]:
    """Find out why a header does not sign a body: the code of the diagnosis, and its detail."""
    if not secrets:
        return Reason.WEBHOOK_SECRET_MISSING, None
    timestamp, signatures = _parse(header)
    if not signatures:
        return Reason.SIGNATURE_MISSING, None
    signed = b"%b.%b" % (timestamp, body)
    if timestamp.isdigit() and any(_matches(signed, secret, signatures) for secret in secrets):
        off = f"{abs(now - int(timestamp)):.0f} seconds" if len(timestamp) <= _MAX_DIGITS else "very long"
        return Reason.SIGNATURE_TIMESTAMP, off
    return Reason.SIGNATURE_MISMATCH, None


def _parse(header: bytes | str | None) -> tuple[bytes, list[bytes]]:
    """Parse the first timestamp and the v1 signatures; other schemes are ignored, as Stripe prescribes."""
    if isinstance(header, str):
        header = header.encode("utf-8", "replace")
    timestamp: bytes | None = None
    signatures: list[bytes] = []
    for item in (header or b"").split(b","):
        scheme, _, value = item.strip().partition(b"=")
        if scheme == b"v1" and len(signatures) < MAX_SIGNATURES:
            signatures.append(value)
        elif scheme == b"t" and timestamp is None:
            timestamp = value
    return timestamp or b"", signatures


def _is_recent(timestamp: bytes, now: float) -> bool:
    return timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS and abs(now - int(timestamp)) <= TOLERANCE_S


def _matches(signed: bytes, secret: str, signatures: list[bytes]) -> bool:
    expected = hmac.digest(secret.encode(), signed, "sha256").hex().encode()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)
