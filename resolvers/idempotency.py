"""Idempotency keys: the same key and input gives the first result again; with other input it is a conflict."""

import hashlib
from typing import Final

import orjson

from models.errors import Conflict, InvalidInput
from models.instant import utc_now
from resolvers.context import Write

_LONGEST: Final = 255
_PATH: Final = ["input", "idempotencyKey"]


async def first_result(write: Write, operation: str, key: str | None, given: object, result_id: str) -> str:
    """The id that this key's first use answered: `result_id` itself when this is the first, or there is no key.

    Of two uses at once the second waits until the first has committed. To be called before anything is changed.

    Raises:
        Conflict: The key was used with other input.
        InvalidInput: The key is empty or too long.
    """
    if key is None:
        return result_id
    if not key.strip() or len(key) > _LONGEST or "\x00" in key:
        raise InvalidInput(f"An idempotency key has 1 to {_LONGEST} characters.", path=_PATH)
    sha256 = hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()
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
    earlier = await write.tx.fetch(
        "SELECT input_sha256, result_id FROM idempotency_keys WHERE workspace_id = $1 AND operation = $2 AND key = $3",
        write.workspace_id,
        operation,
        key,
    )
    if earlier[0]["input_sha256"] != sha256:
        raise Conflict(
            "This idempotency key was used before with other input: use a new key for a new request.",
            code="IDEMPOTENCY_KEY_REUSED",
            path=_PATH,
        )
    return str(earlier[0]["result_id"])
