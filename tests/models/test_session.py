"""Sessions as they are sealed."""

import base64
from datetime import timedelta

import pytest

from models.instant import utc_now
from models.secret import KEY_BYTES, Keyring
from models.session import LIFETIME, Session

OLD, NEW, FOREIGN = (base64.b64encode(bytes([number]) * KEY_BYTES).decode() for number in (1, 2, 3))
KEYRING = Keyring.parse([NEW, OLD])


def test_a_session_lasts_twelve_hours() -> None:
    session = Session.begun("key_1")

    assert timedelta(hours=12) == LIFETIME
    assert session.remaining_s == pytest.approx(LIFETIME.total_seconds(), abs=5)


def test_a_session_is_opened_as_it_was_sealed() -> None:
    session = Session("key_1", utc_now().replace(microsecond=0) - timedelta(days=1))

    opened = Session.opened(session.sealed(KEYRING), KEYRING)

    assert opened == session
    assert opened is not None
    assert opened.remaining_s == 0


def test_a_sealed_session_tells_nothing_and_needs_no_quotes_in_a_cookie() -> None:
    sealed = [Session.begun("key_1").sealed(KEYRING) for _ in range(50)]

    assert len(set(sealed)) == 50
    assert not any("key_1" in text for text in sealed)
    assert all(
        set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.") for text in sealed
    )


def test_an_encryption_key_that_was_replaced_still_opens_sessions_until_it_is_removed() -> None:
    sealed = Session.begun("key_1").sealed(Keyring.parse([OLD]))

    assert Session.opened(sealed, KEYRING) is not None
    assert Session.opened(sealed, Keyring.parse([NEW])) is None


def test_a_session_with_any_character_changed_is_none() -> None:
    sealed = Session.begun("key_1").sealed(KEYRING)
    start = sealed.index(":") + 1

    changed = [
        sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :] for at in range(start, len(sealed) - 4)
    ]

    assert {Session.opened(text, KEYRING) for text in changed} == {None}


@pytest.mark.parametrize("text", ["", ":", "é", "key_1 99999999999", f"{KEYRING.primary_id}:", "x" * 5000])
def test_what_nobody_sealed_is_no_session(text: str) -> None:
    assert Session.opened(text, KEYRING) is None


def test_a_secret_of_a_row_is_no_session() -> None:
    """Who can write rows can't make one, nor who reads them."""
    sealed = KEYRING.seal("key_1 99999999999", "integrations/int_1/secret_key_sealed")

    assert Session.opened(sealed, KEYRING) is None
    assert Session.opened(Session.begun("key_1").sealed(Keyring.parse([FOREIGN])), KEYRING) is None
