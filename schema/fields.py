"""Declares fields that many inputs have."""

from typing import Any

import strawberry


def optional(description: str) -> Any:
    """Declare an optional field of an input; a field that is left out is not the same as null."""
    return strawberry.field(default=strawberry.UNSET, description=description)


def idempotency_key() -> Any:
    """Declare the field with which a client can safely repeat a mutation."""
    return optional(
        "Makes the mutation safe to repeat. If you send the mutation again with the same"
        " `idempotencyKey` and the same input, Fluxrate creates nothing new, and returns the"
        " object that it created the first time."
    )


def metadata_to_keep() -> Any:
    """Declare the metadata of a new object."""
    return optional("Your own data, in up to 50 entries.")
