"""Fields that many inputs have."""

from typing import Any

import strawberry


def optional(description: str) -> Any:
    """Declare a field of an input that may be left out, which is not the same as null."""
    return strawberry.field(default=strawberry.UNSET, description=description)


def idempotency_key() -> Any:
    """Declare the field by which a client can send a mutation again."""
    return optional("A repetition with the same key and input returns the first result.")


def metadata_to_keep() -> Any:
    """Declare the metadata of something new."""
    return optional("Your own data about it: up to 50 entries.")
