"""Documents are parsed once, and none is too large to look at."""

import pytest
from graphql import DocumentNode

from schema import document
from tests.schema.caller import Caller


async def test_a_document_is_parsed_and_validated_once(reader: Caller) -> None:
    """The second time it is known by its text."""
    text = "{ viewer { workspace { id } } } # once"
    await reader.query(text)
    parsed, validated = document._parsed.cache_info(), document._validated.cache_info()

    await reader.query(text)

    assert document._parsed.cache_info().misses == parsed.misses
    assert document._validated.cache_info().misses == validated.misses
    assert isinstance(document._parsed(text), DocumentNode)


async def test_a_wrong_document_is_as_wrong_the_second_time(reader: Caller) -> None:
    """Errors are kept with it."""
    first, second = await reader.refusal("{ nope }"), await reader.refusal("{ nope }")

    assert first == second


@pytest.mark.parametrize(
    "text",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...Nope }",
    ],
)
async def test_an_odd_document_is_refused_not_our_fault(reader: Caller, text: str) -> None:
    """Whatever it tries."""
    _, errors = await reader.execute(text)

    assert errors
    assert all("extensions" not in error for error in errors)


async def test_a_text_with_nul_is_refused(reader: Caller) -> None:
    """PostgreSQL can't hold it."""
    error = await reader.refusal('{ customers(search: "a\\u0000b") { totalCount } }')

    assert error["message"] == document.NUL_REFUSED
    assert document.has_nul({"input": {"lines": ["x", "a\x00b"]}})
    assert not document.has_nul({"input": {"lines": ["x", 1, None]}})
