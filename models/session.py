"""Sessions of browsers: an API key, by its id, for a while. Sealed, they are kept by the browser and by nobody else."""

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
    """What stands for an API key until an instant; the key itself is not in it."""

    api_key_id: str
    ends_at: datetime

    @classmethod
    def begun(cls, api_key_id: str) -> "Session":
        """A session that begins now."""
        return cls(api_key_id, utc_now() + LIFETIME)

    @property
    def remaining_s(self) -> float:
        """Seconds until it ends; 0 when it has."""
        return max(0.0, (self.ends_at - utc_now()).total_seconds())

    def sealed(self, keyring: Keyring) -> str:
        """The session as nobody else can make or read it, in characters that a cookie may hold."""
        plaintext = f"{self.api_key_id} {int(self.ends_at.timestamp())}"
        return keyring.seal(plaintext, _BOUND_TO).translate(_IN_A_COOKIE)

    @classmethod
    def opened(cls, sealed: str, keyring: Keyring) -> "Session | None":
        """The session in a sealed text, over or not; None where none of the keyring's keys sealed it."""
        try:
            api_key_id, ends_at = keyring.open(sealed.translate(_IN_BASE64), _BOUND_TO).split(" ")
        except SealError:
            return None
        return cls(api_key_id, from_epoch(int(ends_at)))
