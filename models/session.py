"""Browser sessions: an API key's id and an expiry, encrypted. Only the browser keeps a session."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from errors import SealError
from models.instant import from_epoch, utc_now
from models.secret import Keyring

LIFETIME: Final = timedelta(hours=12)

_BOUND_TO: Final = "sessions"
_IN_A_COOKIE: Final = str.maketrans("+/=", "-_.")
_IN_BASE64: Final = str.maketrans("-_.", "+/=")


@dataclass(frozen=True, slots=True)
class Session:
    """A session of an API key until an instant; it does not contain the key itself."""

    api_key_id: str
    ends_at: datetime

    @classmethod
    def begun(cls, api_key_id: str) -> "Session":
        """Begin a session now."""
        return cls(api_key_id, utc_now() + LIFETIME)

    @property
    def remaining_s(self) -> float:
        """Return the seconds until it ends; 0 if it has ended."""
        return max(0.0, (self.ends_at - utc_now()).total_seconds())

    def sealed(self, keyring: Keyring) -> str:
        """Encrypt the session as a text that a cookie may contain; nobody else can make or read it."""
        plaintext = f"{self.api_key_id} {int(self.ends_at.timestamp())}"
        return keyring.seal(plaintext, _BOUND_TO).translate(_IN_A_COOKIE)

    @classmethod
    def opened(cls, sealed: str, keyring: Keyring) -> "Session | None":
        """Decrypt a session, ended or not; None if none of the keyring's keys encrypted it."""
        try:
            api_key_id, ends_at = keyring.open(sealed.translate(_IN_BASE64), _BOUND_TO).split(" ")
        except SealError:
            return None
        return cls(api_key_id, from_epoch(int(ends_at)))
