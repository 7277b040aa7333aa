"""Random histories through the real inbox and database: the same ends as of books that hear them in order.

There are 6 on each database, 60 with --long, or as many as FLUXRATE_INBOX_HISTORIES says.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from database.access import Database
from inbox.queue import Inbox
from models.invoice import InvoiceState
from tests.models.histories.machine import Histories
from tests.models.histories.shelf import Shelf
from tests.models.histories.twin import Twin
from tests.world.long import few_or_many

HISTORIES: Final = few_or_many(6, 60, "FLUXRATE_INBOX_HISTORIES")
HOW: Final = settings(
    max_examples=HISTORIES,
    stateful_step_count=14,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.longer
@pytest.mark.timeout(300 + HISTORIES * 10)
async def test_the_inbox_ends_as_the_model_does_whatever_order_it_hears_in(database: Database, inbox: Inbox) -> None:
    loop = asyncio.get_running_loop()

    class Stored(Histories):
        def make_twins(self, drafts: Sequence[InvoiceState], seed: int) -> Sequence[Twin]:
            return [Twin(drafts), Shelf(drafts, Random(seed), inbox, loop)]

    await asyncio.to_thread(run_state_machine_as_test, seed(1)(Stored), settings=HOW)
