"""Posts prepared HTTP requests, as fast as they are answered or at a fixed rate, over kept-alive connections."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """The answers of a round, and how long they took; `latencies_s` are in the order of the answers."""

    requests: int
    seconds: float
    latencies_s: list[float] = field(repr=False)
    statuses: dict[int, int]

    @property
    def per_second(self) -> float:
        """Compute the requests answered per second."""
        return self.requests / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Make the bytes of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


Due = tuple[float, bytes]
"""When a request is sent, in seconds since the start, and its bytes."""


class _Connection(asyncio.Protocol):
    """A connection that sends its next request when it is due and the last one is answered."""

    def __init__(self, queue: list[Due], outcome: Outcome, started: float, finished: "asyncio.Future[None]") -> None:
        self._queue, self._outcome, self._started, self._finished = queue, outcome, started, finished
        self._buffer = b""
        self._due_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if not self._queue:
            self._transport.close()
            return
        due_s, request = self._queue.pop()
        now = time.perf_counter()
        self._due_at = self._started + due_s if due_s else now
        if self._due_at > now:
            asyncio.get_running_loop().call_later(self._due_at - now, self._transport.write, request)  # type: ignore[attr-defined]
        else:
            self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, chunk: bytes) -> None:
        self._buffer += chunk
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(rest) < length:
            return
        status = int(head[9:12])
        self._outcome.statuses[status] = self._outcome.statuses.get(status, 0) + 1
        self._outcome.latencies_s.append(time.perf_counter() - self._due_at)
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio calls it so)
        if not self._finished.done():
            self._finished.set_result(None)


async def post_all(port: int, requests: Sequence[bytes], connections: int, per_second: float = 0.0) -> Outcome:
    """Post every request once, in their order as far as several connections allow it.

    With `per_second`, requests are due at this rate, and a latency counts from then on: a server that falls behind
    can't slow the senders down, as it does without.
    """
    loop = asyncio.get_running_loop()
    dues = [(number / per_second if per_second else 0.0, request) for number, request in enumerate(requests)]
    queue = dues[::-1]
    outcome = Outcome(len(requests), 0.0, [], {})
    finished = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for future in finished:
        await loop.create_connection(
            lambda future=future: _Connection(queue, outcome, started, future),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.gather(*finished)
    outcome.seconds = time.perf_counter() - started
    return outcome
