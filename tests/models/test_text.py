"""Text that people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.access import Database, fetch, transaction
from errors import InvalidInputError
from models.kinds import Mode
from models.text import email_address, optional_text, required_text
from models.workspace import add_workspace

PATH = ["input", "name"]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u2003"])
def test_a_text_that_is_only_spaces_counts_as_missing(text: str) -> None:
    assert optional_text(text, "The memo", PATH) is None
    with pytest.raises(InvalidInputError, match=r"The name is empty.*1 to 255") as refusal:
        required_text(text, "The name", PATH)

    assert refusal.value.path == PATH


def test_none_is_missing() -> None:
    assert optional_text(None, "The memo", PATH) is None


def test_spaces_around_a_text_are_dropped_and_those_inside_are_kept() -> None:
    assert required_text("  Ada  Lovelace \n", "The name", PATH) == "Ada  Lovelace"


def test_a_text_may_be_as_long_as_allowed_and_no_longer() -> None:
    assert required_text(f" {'é' * 255} ", "The name", PATH) == "é" * 255
    with pytest.raises(InvalidInputError, match="has 256 characters: shorten it to at most 255"):
        required_text("é" * 256, "The name", PATH)


@pytest.mark.parametrize("character", [0x0, 0xD800, 0xDC80, 0xDFFF])
def test_what_a_database_cannot_hold_is_refused(character: int) -> None:
    with pytest.raises(InvalidInputError, match="NUL or half of a surrogate pair"):
        optional_text(f"Ada{chr(character)}Lovelace", "The name", PATH)


@pytest.mark.parametrize("text", ["Ada 🙂", "\U0010ffff", "\x01", "\ufeff", "\u202eevil", "'; --", "\\", "%s$1?1"])
async def test_what_is_taken_comes_back_from_the_database_as_it_was(database: Database, text: str) -> None:
    name = required_text(f"<{text}>", "The name", PATH)

    async with transaction() as tx:
        await add_workspace(tx, name, Mode.TEST)

    rows = await fetch("SELECT name FROM workspaces")
    assert rows[0]["name"] == f"<{text}>"


@given(st.text(max_size=300), st.integers(1, 300))
def test_any_text_is_taken_trimmed_or_refused(text: str, most: int) -> None:
    try:
        taken = optional_text(text, "The memo", PATH, most)
    except InvalidInputError:
        return

    assert taken is None or (taken == text.strip() and 1 <= len(taken) <= most)


@pytest.mark.parametrize("email", ["ada@example.com", " ada@example.com ", "a+b@sub.example.co.uk", "root@localhost"])
def test_an_email_address_is_taken(email: str) -> None:
    assert email_address(email, ["email"]) == email.strip()


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "a@b@c.com"])
def test_what_has_not_the_form_of_an_email_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidInputError, match="email address") as refusal:
        email_address(email, ["email"])

    assert refusal.value.path == ["email"]


def test_an_email_address_has_at_most_320_characters() -> None:
    with pytest.raises(InvalidInputError, match="at most 320"):
        email_address(f"{'a' * 320}@example.com", ["email"])
