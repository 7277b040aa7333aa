"""Stores answers under the idempotency keys of their calls."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from simulator.errors import ExecutionError, StripeError

MAX_KEY_LENGTH: Final = 255


@dataclass(frozen=True)
class Answer:
    """An answer of the API, before it is sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    is_kept: bool = False
    """Whether the idempotency key replays this answer, because the work had begun."""

    @classmethod
    def refusing(cls, error: StripeError) -> "Answer":
        """Put a refusal in Stripe's envelope."""
        is_kept = isinstance(error, ExecutionError)
        return cls(error.status, orjson.dumps(error.envelope), error.headers, is_kept)


@dataclass(frozen=True)
class Kept:
    """A stored answer, and its call's fingerprint."""

    fingerprint: bytes
    answer: Answer
    request_id: str


class IdempotencyKeys:
    """The keys that one account has used, each with the answer that it replays."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def replay(self, key: str, fingerprint: bytes) -> Answer | None:
        """Return the answer that is stored under a key, marked as replayed.

        Raises:
            StripeError: The key was used for something else, or is too long.
        """
        if len(key) > MAX_KEY_LENGTH:
            message = f"Idempotency keys can have up to {MAX_KEY_LENGTH} characters."
            raise StripeError(message, type="idempotency_error")
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(message, type="idempotency_error")
        replayed = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
        return replace(kept.answer, headers=kept.answer.headers | replayed)

    def keep(self, key: str, fingerprint: bytes, answer: Answer, request_id: str) -> None:
        """Keep the answer of a call whose work began."""
        self._kept[key] = Kept(fingerprint, answer, request_id)


def fingerprint(method: str, path: str, params: dict[str, Any]) -> bytes:
    """Write a call as a text that is equal for equal calls."""
    return orjson.dumps([method, path, params], option=orjson.OPT_SORT_KEYS)
