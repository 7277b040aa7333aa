"""Coroutines for those who have no event loop, and for those who must not use the one they have."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run_apart(call: Callable[P, Coroutine[object, object, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a coroutine to its end in a loop, a thread and a context of its own.

    So a synchronous fixture may use it whatever loop the test runs in, and nothing that the coroutine leaves
    in a contextvar (Tortoise does) reaches the test.
    """

    def run() -> T:
        return asyncio.run(call(*args, **kwargs))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()
