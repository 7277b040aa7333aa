"""Posts prepared HTTP requests as fast as they are answered, over a fixed number of kept-alive connections."""

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


class _Connection(asyncio.Protocol):
    """A connection that sends its next request when the last one is answered."""

    def __init__(self, queue: "list[bytes]", outcome: Outcome, finished: "asyncio.Future[None]") -> None:
        self._queue, self._outcome, self._finished = queue, outcome, finished
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if not self._queue:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._queue.pop())  # type: ignore[attr-defined]

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
        self._outcome.latencies_s.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio calls it so)
        if not self._finished.done():
            self._finished.set_result(None)


async def post_all(port: int, requests: Sequence[bytes], connections: int) -> Outcome:
    """Post every request once, in their order as far as several connections allow it."""
    loop = asyncio.get_running_loop()
    queue = list(reversed(requests))
    outcome = Outcome(len(requests), 0.0, [], {})
    finished = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for future in finished:
        await loop.create_connection(lambda future=future: _Connection(queue, outcome, future), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*finished)
    outcome.seconds = time.perf_counter() - started
    return outcome
