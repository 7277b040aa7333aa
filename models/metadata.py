"""A business's own data about a customer or an invoice: a few texts by key, as Stripe's objects have them.

The limits and the way of merging changes are Stripe's. Source: Stripe, "Metadata".
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from errors import InvalidInputError
from models.text import optional_text, required_text

MAX_ENTRIES: Final = 50
MAX_KEY_CHARACTERS: Final = 40
MAX_VALUE_CHARACTERS: Final = 500

PATH: Final = ["input", "metadata"]


class Metadata(Model):
    """All entries of one customer or invoice, its `subject`: a JSON object of texts, never empty."""

    subject_id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    entries = fields.TextField()

    class Meta:
        table = "metadata"
        manager = WorkspaceManager()


def changes_of(given: Sequence[tuple[str, str]]) -> dict[str, str | None]:
    """Read the changes that a client gives, by key; None, for an empty value, removes the entry.

    Raises:
        InvalidInputError: There are too many, a key comes twice, or a text can't be taken as it is.
    """
    _check_count(len(given))
    changes: dict[str, str | None] = {}
    for position, (given_key, value) in enumerate(given):
        path = [*PATH, str(position)]
        key = required_text(given_key, "The key", [*path, "key"], MAX_KEY_CHARACTERS)
        if key in changes:
            raise InvalidInputError(f"The key {key!r} is given twice: give it once.", path=[*path, "key"])
        changes[key] = optional_text(value, "The value", [*path, "value"], MAX_VALUE_CHARACTERS)
    return changes


def merged(entries: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Apply changes to entries; return them in the order of their keys.

    Raises:
        InvalidInputError: There would be too many.
    """
    both = {**entries, **changes}
    kept = {key: value for key, value in sorted(both.items()) if value is not None}
    _check_count(len(kept))
    return kept


def _check_count(count: int) -> None:
    if count > MAX_ENTRIES:
        raise InvalidInputError(
            f"There would be {count} entries, but only {MAX_ENTRIES} are allowed: remove some by giving them an empty"
            " value.",
            path=PATH,
        )
