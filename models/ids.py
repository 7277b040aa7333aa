"""Prefixed ids that sort by time: TypeIDs, which are a UUIDv7 in lower-case base32 after a prefix."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

from typeid.codecs import base32
from uuid_utils import uuid7

MAX_ID_LENGTH: Final = 64
"""The longest id that a client may send."""


class Prefix(StrEnum):
    """The first letters of an id, which say what it names."""

    WORKSPACE = "ws"
    API_KEY = "key"
    INTEGRATION = "int"
    CUSTOMER = "cust"
    INVOICE = "inv"
    LINE_ITEM = "li"
    PAYMENT_LINK = "pl"
    PAYMENT = "pay"
    WEBHOOK_EVENT = "whe"
    EVENT = "ev"


_PREFIXES: Final = {prefix.value: prefix for prefix in Prefix}
_LAST_MILLISECOND: Final = 2**48 - 1
_FORM: Final = re.compile(r"([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}")


def new_id(prefix: Prefix) -> str:
    """Make an id; later ids sort after earlier ones."""
    return f"{prefix}_{base32.encode(uuid7().bytes)}"


def first_id_at(prefix: Prefix, instant: datetime) -> str:
    """Return the smallest id that can be made at an instant or later, to the millisecond."""
    milliseconds = min(max(0, int(instant.timestamp() * 1000)), _LAST_MILLISECOND)
    return f"{prefix}_{base32.encode((milliseconds << 80).to_bytes(16, 'big'))}"


def is_id(value: object, prefix: Prefix) -> bool:
    """Whether a value has the form of an id with this prefix."""
    if not isinstance(value, str):
        return False
    form = _FORM.fullmatch(value)
    return form is not None and form[1] == prefix


def prefix_of(value: str) -> Prefix | None:
    """Return what an id names; None if it doesn't have our form."""
    form = _FORM.fullmatch(value)
    return _PREFIXES.get(form[1]) if form else None
