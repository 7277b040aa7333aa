"""Checks texts that people type: trims them, limits their length, and refuses what a database can't store."""

import re
from typing import Final

from errors import InvalidInputError

MAX_TEXT_LENGTH: Final = 4096
"""The longest text that any column holds; a longer search value can't match."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")


def required_text(value: str, what: str, path: list[str], most: int = 255) -> str:
    """Check a required text and trim it.

    Raises:
        InvalidInputError: It is empty, too long, or holds characters that can't be stored.
    """
    text = optional_text(value, what, path, most)
    if text is None:
        raise InvalidInputError(f"{what} is empty: give it 1 to {most} characters.", path=path)
    return text


def optional_text(value: str | None, what: str, path: list[str], most: int = 255) -> str | None:
    """Check an optional text and trim it; an empty one counts as missing.

    Raises:
        InvalidInputError: It is too long, or holds characters that can't be stored.
    """
    text = (value or "").strip()
    if _UNSTORABLE.search(text):
        raise InvalidInputError(f"{what} holds a NUL or half of a surrogate pair: remove it.", path=path)
    if len(text) > most:
        raise InvalidInputError(f"{what} has {len(text)} characters: shorten it to at most {most}.", path=path)
    return text or None


def email_address(value: str, path: list[str]) -> str:
    """Check that an email address has the form of one, without sending a message to it.

    Raises:
        InvalidInputError: It doesn't have the form of one.
    """
    email = required_text(value, "The email address", path, most=320)
    if not _EMAIL.fullmatch(email):
        raise InvalidInputError("This is not an email address: it needs the form name@example.com.", path=path)
    return email
