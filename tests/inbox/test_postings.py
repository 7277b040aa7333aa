"""What an integration still takes, and what is applied of it."""

from dataclasses import replace

import pytest

from inbox.delivery import delivery_of
from inbox.postings import Recipient
from models.instant import utc_now
from tests.world.desk import ORIGIN
from tests.world.stripe_payloads import body, payment_intent_succeeded


@pytest.mark.parametrize(
    ("is_active", "is_disconnected", "again", "is_admitted", "is_applied"),
    [
        (True, False, False, True, True),
        (True, False, True, True, True),
        (False, False, False, True, False),
        (False, False, True, True, False),
        (False, True, False, False, False),
        (False, True, True, True, True),
    ],
)
def test_an_integration_that_is_off_stores_and_one_that_is_disconnected_applies_what_it_had_before(
    is_active: bool, is_disconnected: bool, again: bool, is_admitted: bool, is_applied: bool
) -> None:
    delivery = replace(delivery_of(ORIGIN, body(payment_intent_succeeded()), utc_now()), again=again)
    recipient = Recipient(is_active, is_disconnected, None, None)

    assert recipient.admits(delivery) is is_admitted
    if is_admitted:
        assert recipient.applies(delivery) is is_applied
