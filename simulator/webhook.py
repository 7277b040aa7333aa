"""A webhook endpoint: which events it wants, where, and how they are signed."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulator.errors import Payload
from simulator.ids import new_id

API_VERSION: Final = "2026-10-28.endive"


@dataclass
class WebhookEndpoint:
    """One endpoint, as its account sees it, and its signing secrets."""

    payload: Payload
    secret: str
    previous_secret: str = ""
    previous_expires_at: float = 0.0

    @property
    def url(self) -> str:
        """Where its events are posted."""
        return str(self.payload["url"])

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are posted to it."""
        enabled = self.payload["enabled_events"]
        return self.payload["status"] == "enabled" and (event_type in enabled or "*" in enabled)

    def signature(self, body: bytes) -> str:
        """Sign a body as of now, with every valid secret."""
        still_good = time.time() < self.previous_expires_at
        return _signature(body, [self.secret, self.previous_secret] if still_good else [self.secret])

    def forged_signature(self, body: bytes) -> str:
        """Sign a body as of now, with a secret that is not the endpoint's."""
        return _signature(body, [new_id("whsec", 32)])

    def roll_secret(self, expires_in_s: float) -> None:
        """Sign with a new secret, and with the old one too until it expires."""
        self.previous_secret, self.secret = self.secret, new_id("whsec", 32)
        self.previous_expires_at = time.time() + expires_in_s


def _signature(body: bytes, secrets: Sequence[str]) -> str:
    now = int(time.time())
    signed = b"%d." % now + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={now}", *(f"v1={digest}" for digest in digests)])
