"""Declares fields that many inputs have."""

from typing import Any

import strawberry


def optional(description: str) -> Any:
    """Declare an optional field of an input; a field that is left out is not the same as null."""
    return strawberry.field(default=strawberry.UNSET, description=description)


def idempotency_key() -> Any:
    """Declare the field with which a client can safely repeat a mutation."""
    return optional("A repetition of the mutation with the same idempotency key and input returns the first result.")


def metadata_to_keep() -> Any:
    """Declare the metadata of a new object."""
    return optional("Your own data: up to 50 entries.")
