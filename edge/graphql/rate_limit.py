"""Rate limits per API key and per address. If several processes serve, they share the counts in Redis.

An address has two limits: one for requests with a valid API key, and a smaller one for those without. So somebody who
guesses keys is stopped, while valid clients at the same address, such as behind an unknown proxy, are not.

While Redis is unavailable each process counts its own requests, so no request is refused or delayed because of it.
"""

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from errors import RateLimitedError

log = structlog.get_logger(__name__)

FAILURE_COUNTS: Final = 20
"""How much smaller the limit of an address without a valid API key is, so that nobody can guess keys."""

_REDIS_TIMEOUT_S: Final = 0.1
_REDIS_REST_S: Final = 5.0
_MAX_CONNECTIONS: Final = 16
_SWEEP_INTERVAL_S: Final = 10.0
_MAX_COUNTERS: Final = 100_000


class Standing(NamedTuple):
    """A limit, what is left of it, and when all of it is left if no request follows (Unix seconds)."""

    limit: int
    remaining: int
    resets_at: int


class RateLimits:
    """Counts requests in a sliding window. `per_key` and `per_address` are like "12000/minute"; None is no limit."""

    def __init__(self, url: str, per_key: str | None, per_address: str | None) -> None:
        self._per_key = _RateLimit("perKey", "for one API key", per_key) if per_key else None
        self._per_address = _RateLimit("perAddress", "from one address", per_address) if per_address else None
        self._failures = _failures_of(per_address) if per_address else None
        self._local = SlidingWindowCounterRateLimiter(_Memory())
        self._shared = _Shared(url) if url.startswith(("redis://", "rediss://")) else None
        self._refused_until: dict[tuple[str, str], float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def count_operation(self, key_id: str, times: int = 1) -> None:
        """Count operations of an API key; if they don't all fit, all are refused.

        Raises:
            RateLimitedError: There were too many.
        """
        await self._count(self._per_key, key_id, times)

    async def standing(self, key_id: str) -> Standing | None:
        """Return how much of an API key's limit is left; None if there is no limit."""
        if self._per_key is None:
            return None
        item, name = self._per_key.item, self._per_key.counted_as
        standing: Standing = await self._ask(lambda limiter: _standing(limiter.storage, item, name, key_id))
        return standing

    def check_address(self, host: str | None) -> None:
        """Refuse an address that is over its limit, before any look-up; count nothing.

        Raises:
            RateLimitedError: There were too many.
        """
        self._check(self._per_address, address_of(host))

    async def count_request(self, host: str | None) -> None:
        """Count a request with a valid API key, or one that needs none.

        Raises:
            RateLimitedError: There were too many.
        """
        await self._count(self._per_address, address_of(host))

    async def count_failure(self, host: str | None) -> None:
        """Count a request without a valid API key.

        Raises:
            RateLimitedError: There were too many of these.
        """
        await self._count(self._failures, address_of(host))

    def _check(self, limit: "_RateLimit | None", who: str) -> None:
        if limit is not None:
            now = time.monotonic()
            if (until := self._refused_until.get((limit.counted_as, who), 0.0)) > now:
                raise limit.refusal(math.ceil(until - now))

    async def _count(self, limit: "_RateLimit | None", who: str, times: int = 1) -> None:
        self._check(limit, who)
        if limit is None or not who:
            return
        item, name = limit.item, limit.counted_as
        if not await self._ask(lambda limiter: limiter.hit(item, name, who, cost=times)):
            window = await self._ask(lambda limiter: limiter.get_window_stats(item, name, who))
            retry_after_s = min(max(1, math.ceil(window.reset_time - time.time())), item.get_expiry())
            if times == 1:  # a single operation may still fit
                self._refuse(limit, who, retry_after_s)
            raise limit.refusal(retry_after_s)

    def _refuse(self, limit: "_RateLimit", who: str, for_s: float) -> None:
        """Refuse a key or an address for `for_s` seconds without reading the counters again."""
        if len(self._refused_until) >= _MAX_COUNTERS:
            self._refused_until.clear()
        self._refused_until[limit.counted_as, who] = time.monotonic() + for_s

    async def _ask(self, ask: Callable[[SlidingWindowCounterRateLimiter], Any]) -> Any:
        if self._shared is not None and self._shared.is_usable():
            try:
                return await self._shared.ask(ask)
            except Exception as error:
                self._shared.pause(error)
        return await ask(self._local)


async def _standing(storage: Any, item: RateLimitItem, name: str, who: str) -> Standing:
    """Compute when the whole limit is free again; the library's `get_window_stats` says when one request is."""
    length = item.get_expiry()
    previous, previous_s, current, current_s = await storage.get_sliding_window(item.key_for(name, who), length)
    used = math.floor(previous * previous_s / length + current)
    resets_in_s = current_s if current else previous_s
    return Standing(item.amount, max(0, item.amount - used), math.ceil(time.time() + resets_in_s))


class _RateLimit:
    """A limit with its name, and the name of its counters."""

    def __init__(self, name: str, whose: str, rate: str, counted_as: str | None = None) -> None:
        self.name = name
        self.counted_as = counted_as or name
        self.item: RateLimitItem = parse(rate)
        self._rate = rate
        self._whose = whose

    def refusal(self, retry_after_s: int) -> RateLimitedError:
        return RateLimitedError(self.name, self._rate, self._whose, retry_after_s)


def _failures_of(per_address: str) -> _RateLimit:
    amount, _, unit = per_address.partition("/")
    rate = f"{max(1, int(amount) // FAILURE_COUNTS)}/{unit}"
    return _RateLimit("perAddress", "from one address without a valid API key", rate, "failuresPerAddress")


@lru_cache(10_000)
def address_of(host: str | None) -> str:
    """Return what counts as one address: of IPv6 the /64 network, since a customer gets a whole one."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


class _Memory(MemoryStorage):
    """Counters in this process. The library's own looks for expired ones at every hit, this every 10 s."""

    def __init__(self) -> None:
        super().__init__()
        self._sweep_at = 0.0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        if now >= self._sweep_at or len(self.storage) > _MAX_COUNTERS:
            self._sweep(now)
        self.storage[key] = count = await self.get(key) + amount
        self.expirations.setdefault(key, now + expiry)
        return count

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + _SWEEP_INTERVAL_S
        over = [key for key, expires_at in self.expirations.items() if expires_at <= now]
        if len(self.storage) - len(over) > _MAX_COUNTERS:
            over = list(self.storage)
        for key in over:
            self.storage.pop(key, None)
            self.expirations.pop(key, None)


class _Shared:
    """Counters in Redis; after it failed it is not used for a while."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import BlockingConnectionPool  # slow to load, and most installations have no Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=_REDIS_TIMEOUT_S,
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage(
            f"async+{url}", implementation="redispy", key_prefix="fluxrate:rate", connection_pool=pool
        )
        self._pool = pool
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._next_try_at = 0.0
        self._is_away = False

    def is_usable(self) -> bool:
        """Whether to use Redis; while it is unavailable, one request every five seconds tries."""
        if not self._is_away:
            return True
        now = time.monotonic()
        if now < self._next_try_at:
            return False
        self._next_try_at = now + _REDIS_REST_S
        return True

    async def ask(self, ask: Callable[[SlidingWindowCounterRateLimiter], Any]) -> Any:
        async with asyncio.timeout(_REDIS_TIMEOUT_S):
            answer = await ask(self._limiter)
        if self._is_away:
            self._is_away = False
            log.info("redis counts requests again")
        return answer

    def pause(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("redis unreachable, each process counts requests on its own", error=repr(error))
        self._is_away = True
        self._next_try_at = time.monotonic() + _REDIS_REST_S

    async def close(self) -> None:
        await self._pool.aclose()
