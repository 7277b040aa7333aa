"""What a delivery is known by, so that the same one counts once."""

import hashlib
from typing import Final

OF_A_BODY: Final = "sha256:"


IN_QUARANTINE: Final = "quarantine:"
"""What the keys of bodies begin with that have no event id, or none that is verified."""


def body_key(body: bytes) -> str:
    """What a body is known by when no event id can be read from it."""
    return f"{OF_A_BODY}{hashlib.sha256(body).hexdigest()}"


def event_key(event_id: str | None, body: bytes) -> str:
    """What an event is known by: its id, unless it has none or one that would be taken for a body's key."""
    if event_id is None or event_id.startswith((OF_A_BODY, IN_QUARANTINE)):
        return body_key(body)
    return event_id
