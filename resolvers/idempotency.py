"""Idempotency keys: the same key with the same input returns the first result; with other input it is a conflict."""

import hashlib
from typing import Final

import orjson

from database.access import fetch
from errors import ConflictError, InvalidInputError
from models.instant import utc_now
from resolvers.context import Context, Write

_MAX_KEY_LENGTH: Final = 255
_PATH: Final = ["input", "idempotencyKey"]
_EARLIER: Final = (
    "SELECT input_sha256, result_id FROM idempotency_keys WHERE workspace_id = $1 AND operation = $2 AND key = $3"
)


async def first_result(write: Write, operation: str, key: str | None, given: object, result_id: str) -> str:
    """Return the id that this key's first use returned; it is `result_id` if this is the first use, or without a key.

    Call it before anything is changed. If a key is used twice at once, the second use waits until the first has
    committed.

    Raises:
        ConflictError: The key was used with other input.
        InvalidInputError: The key is empty or too long.
    """
    if key is None:
        return result_id
    sha256 = _sha256_of(key, given)
    fresh = await write.tx.fetch(
        "INSERT INTO idempotency_keys (workspace_id, operation, key, input_sha256, result_id, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, operation, key) DO NOTHING RETURNING result_id",
        write.workspace_id,
        operation,
        key,
        sha256,
        result_id,
        utc_now(),
    )
    if fresh:
        return result_id
    earlier = await write.tx.fetch(_EARLIER, write.workspace_id, operation, key)
    return _the_same(earlier[0]["input_sha256"], sha256, earlier[0]["result_id"])


async def earlier_result(ctx: Context, operation: str, key: str | None, given: object) -> str | None:
    """Return the id that this key's first use returned, None if there was none: for steps before `first_result`.

    Raises:
        ConflictError: The key was used with other input.
        InvalidInputError: The key is empty or too long.
    """
    if key is None:
        return None
    sha256 = _sha256_of(key, given)
    earlier = await fetch(_EARLIER, ctx.workspace_id, operation, key)
    return _the_same(earlier[0]["input_sha256"], sha256, earlier[0]["result_id"]) if earlier else None


def _sha256_of(key: str, given: object) -> str:
    if not key.strip() or len(key) > _MAX_KEY_LENGTH or "\x00" in key:
        raise InvalidInputError(f"An idempotency key has 1 to {_MAX_KEY_LENGTH} characters.", path=_PATH)
    return hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()


def _the_same(earlier_sha256: str, sha256: str, result_id: str) -> str:
    if earlier_sha256 != sha256:
        raise ConflictError(
            "This idempotency key was used before with other input: use a new key for a new request.",
            code="IDEMPOTENCY_KEY_REUSED",
            path=_PATH,
        )
    return result_id
