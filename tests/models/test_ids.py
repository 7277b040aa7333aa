"""Ids that say what they name and sort by time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import Prefix, is_id, new_id, prefix_of

INVOICE = "inv_01k2x3y4z5abcdefghjkmnpqrs"


def test_ids_made_later_sort_later() -> None:
    made = [new_id(Prefix.EVENT) for _ in range(20_000)]
    time.sleep(0.002)
    made.append(new_id(Prefix.EVENT))

    assert made == sorted(made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("prefix", Prefix)
def test_an_id_says_what_it_names(prefix: Prefix) -> None:
    made = new_id(prefix)

    assert prefix_of(made) is prefix
    assert [known for known in Prefix if is_id(made, known)] == [prefix]
    assert len(made) <= 64


@pytest.mark.parametrize(
    "value",
    [
        "",
        "inv_",
        INVOICE.upper(),
        INVOICE[:-1],
        f"{INVOICE}0",
        f"{INVOICE}\n",
        f" {INVOICE}",
        INVOICE.replace("_", "-"),
        INVOICE.replace("_0", "_8"),
        INVOICE.replace("a", "i"),
        INVOICE.replace("a", "l"),
        INVOICE.replace("a", "o"),
        INVOICE.replace("a", "u"),
        INVOICE.replace("a", "٣"),
        f"inv_{INVOICE}",
        None,
        42,
        b"inv_01k2x3y4z5abcdefghjkmnpqrs",
        ["inv_01k2x3y4z5abcdefghjkmnpqrs"],
    ],
)
def test_what_is_not_of_our_form_is_no_id(value: object) -> None:
    assert is_id(INVOICE, Prefix.INVOICE)
    assert not is_id(value, Prefix.INVOICE)


def test_a_prefix_that_we_do_not_use_names_nothing() -> None:
    assert prefix_of(INVOICE.replace("inv", "order")) is None
    assert prefix_of("in_1QxAbCdEfGhIjKlM") is None


@pytest.mark.slow
@given(st.text())
def test_any_text_is_told_to_be_an_id_or_not(text: str) -> None:
    assert prefix_of(text) in {None, *Prefix}
    assert sum(is_id(text, prefix) for prefix in Prefix) == (prefix_of(text) is not None)
