"""Documents are parsed once, and none is too large to look at."""

import pytest
from graphql import DocumentNode, parse

from schema import document
from schema.document import refused_for_cost
from tests.schema.caller import Caller


def _nested(levels: int) -> str:
    return "{ customers { nodes { " + "invoices { nodes { customer { " * levels + "id" + " } } }" * levels + " } } }"


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


async def test_a_selection_has_a_deepest_level(reader: Caller) -> None:
    """Through fragments too; GraphiQL's own introspection is well above it."""
    await reader.query(_nested(5))
    deep = await reader.refusal(_nested(7))
    through_fragments = await reader.refusal(
        "{ customers { nodes { ...A } } } fragment A on Customer { invoices { nodes { customer { "
        + "invoices { nodes { customer { " * 5
        + "id"
        + " } } }" * 6
        + " }"
    )

    assert "nested deeper than 20 levels" in deep["message"]
    assert "nested deeper than 20 levels" in through_fragments["message"]


@pytest.mark.parametrize(
    "text",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...Nope }",
        "{ " + "viewer { " * 1000 + "x" + " }" * 1001,
        "{ " + "a: __typename " * 6000 + "}",
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


def rows_refused(query: str, **variables: object) -> list[str]:
    """What the bound on rows says of a document."""
    return [error.message for error in refused_for_cost(parse(query), None, variables)]


def test_lists_within_lists_are_bounded_by_the_rows_that_they_could_hold() -> None:
    page = "{ invoices(first: 100) { nodes { id customer { name } payments(first: 50) { nodes { id } } } } }"
    loop = "{ invoices(first: 100) { nodes { customer { invoices(first: 100) { nodes { id } } } } } }"

    assert rows_refused(page) == []
    assert "10100 rows" in rows_refused(loop)[0]


def test_a_bound_given_by_a_variable_a_fragment_or_by_nothing_counts_too() -> None:
    query = """
    query ($n: Int) { customers(first: $n) { ...Page } }
    fragment Page on CustomerConnection { nodes { invoices { edges { node { ...Paid } } } } }
    fragment Paid on Invoice { payments(last: $n) { nodes { id } } }
    """

    assert rows_refused(query, n=10) == []
    assert "505100 rows" in rows_refused(query, n=100)[0]
    assert "505100 rows" in rows_refused(query)[0]


def test_a_fragment_on_a_row_is_not_taken_for_a_list() -> None:
    query = """
    { invoices(first: 100) { nodes { ...Row } } }
    fragment Row on Invoice { id customer { ...Name } payments(first: 50) { nodes { id } } }
    fragment Name on Customer { name }
    """

    assert rows_refused(query) == []
