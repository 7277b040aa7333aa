"""A webhook endpoint: which events it wants, where, and how they are signed."""

import hashlib
import hmac
import time
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
        """Sign a body as of now, with every secret that is still good."""
        now = time.time()
        secrets = [self.secret, self.previous_secret] if now < self.previous_expires_at else [self.secret]
        signed = b"%d." % int(now) + body
        digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
        return ",".join([f"t={int(now)}", *(f"v1={digest}" for digest in digests)])

    def roll_secret(self, expires_in_s: float) -> None:
        """Sign with a new secret, and with the old one too until it expires."""
        self.previous_secret, self.secret = self.secret, new_id("whsec", 32)
        self.previous_expires_at = time.time() + expires_in_s
