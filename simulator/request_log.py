"""A log of the API's calls."""

import re
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final

from simulator.errors import Payload

LENGTH: Final = 10_000
"""How many calls are remembered."""

SECRET: Final = re.compile(r"\b(?:sk|rk|pk|whsec)_[A-Za-z0-9_]+")


@dataclass
class ReceivedCall:
    """A call; fields that are not known yet are None."""

    method: str
    path: str
    params: Any = None
    idempotency_key: str | None = None
    account: str | None = None
    status: int | None = None


class RequestLog:
    """The latest calls, the oldest first."""

    def __init__(self) -> None:
        self._calls: deque[ReceivedCall] = deque(maxlen=LENGTH)

    def receive(self, method: str, path: str) -> ReceivedCall:
        """Remember a call; the rest is filled in as it becomes known."""
        call = ReceivedCall(method, path)
        self._calls.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def describe(self) -> list[Payload]:
        """Write all calls, without keys and secrets."""
        return [asdict(call) | {"params": _without_secrets(call.params)} for call in self._calls]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return SECRET.sub("***", value)
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
