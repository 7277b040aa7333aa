"""A business's own data about customers and invoices."""

from collections.abc import Sequence

import orjson
import strawberry

from models.metadata import changes_of
from resolvers.context import KEEP, Keep
from resolvers.metadata import Changes
from schema.context import Info, given


@strawberry.type(description="An entry of the business's own data about a customer or an invoice.")
class MetadataEntry:
    key: str = strawberry.field(description="The entry's key.")
    value: str = strawberry.field(description="The entry's value.")


@strawberry.input(description="A metadata entry to set or remove.")
class MetadataEntryInput:
    key: str = strawberry.field(description="The entry's key, of 1 to 40 characters.")
    value: str = strawberry.field(
        description="The entry's value, of up to 500 characters. An empty value removes the entry."
    )


async def metadata_of(info: Info, subject_id: str) -> list[MetadataEntry]:
    """Read the metadata of a customer or an invoice, by key."""
    row = await info.context.loaders.metadata.load(subject_id)
    entries: dict[str, str] = {} if row is None else orjson.loads(row.entries)
    return [MetadataEntry(key=key, value=value) for key, value in entries.items()]


def given_metadata(entries: Sequence[MetadataEntryInput] | None) -> Changes:
    """Read the metadata of a new object.

    Raises:
        InvalidInputError: It can't be taken as it is.
    """
    return changes_of([(entry.key, entry.value) for entry in given(entries) or ()])


def changed_metadata(entries: Sequence[MetadataEntryInput] | None) -> Changes | Keep | None:
    """Read an update's changes to metadata: an absent field changes nothing, null removes all.

    Raises:
        InvalidInputError: It can't be taken as it is.
    """
    if entries is strawberry.UNSET:
        return KEEP
    return None if entries is None else given_metadata(entries)
