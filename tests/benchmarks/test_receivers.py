"""The receivers that benchmarks.receivers compares do the work that it says they do."""

import asyncio
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from benchmarks.load import Outcome, post_all
from benchmarks.receivers import Receiver, djstripe, fluxrate_on_postgres, plain_tortoise
from benchmarks.servers import djstripe_python

pytestmark = pytest.mark.long

Start = Callable[[int], AbstractContextManager[Receiver]]


def post(receiver: Receiver, requests: list[bytes]) -> Outcome:
    """Post requests over two connections."""
    return asyncio.run(post_all(receiver.server.port, requests, connections=2))


@pytest.mark.parametrize("start", [plain_tortoise, djstripe, fluxrate_on_postgres])
def test_each_receiver_stores_every_webhook(start: Start) -> None:
    if start is djstripe:
        try:
            djstripe_python()
        except subprocess.SubprocessError:
            pytest.skip("dj-stripe can't be installed here")
    with start(10) as receiver:
        outcomes = [post(receiver, receiver.new_requests(count)) for count in (4, 6)]

        receiver.check_stored()

    assert [outcome.statuses for outcome in outcomes] == [{200: 4}, {200: 6}]


def test_a_webhook_that_is_missing_is_found() -> None:
    with plain_tortoise(3) as receiver:
        post(receiver, receiver.new_requests(3)[1:])

        with pytest.raises(RuntimeError, match="2 instead of 3 rows"):
            receiver.check_stored()


def test_the_plain_handler_stores_a_webhook_once_that_comes_twice() -> None:
    with plain_tortoise(1) as receiver:
        requests = receiver.new_requests(1)

        outcomes = [post(receiver, requests) for _ in range(2)]

        receiver.check_stored()
    assert [outcome.statuses for outcome in outcomes] == [{200: 1}, {200: 1}]


def test_the_plain_handler_refuses_a_forged_signature() -> None:
    with plain_tortoise(1) as receiver:
        [request] = receiver.new_requests(1)

        outcome = post(receiver, [request.replace(b",v1=", b",v1=0")])

        assert outcome.statuses == {400: 1}
        with pytest.raises(RuntimeError, match="0 instead of 1 rows"):
            receiver.check_stored()
