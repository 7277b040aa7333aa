"""Identifiers and secrets in Stripe's form."""

import hashlib
import secrets
import string
from typing import Final

ALPHABET: Final = string.ascii_letters + string.digits


def random_text(length: int) -> str:
    """Make unguessable letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_id(prefix: str, length: int = 24) -> str:
    """Make the id of a new object: `plink_…`, `evt_…`."""
    return f"{prefix}_{random_text(length)}"


def account_id(name: str) -> str:
    """Derive the id of an account from its name: the same in every run."""
    digest = hashlib.sha256(name.encode()).digest()
    return "acct_" + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:16])
