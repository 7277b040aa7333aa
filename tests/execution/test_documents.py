"""Documents are parsed once, and none is too large to look at."""

from typing import Final

import pytest
from graphql import DocumentNode, parse

from execution import documents, followed
from execution.cost import cost_of
from execution.documents import Document, _costs_of
from execution.schema import schema
from tests.world.caller import Caller

pytestmark = pytest.mark.long(module_database_url="postgres")  # it has nothing to do with the database


async def test_a_document_is_parsed_and_validated_once(reader: Caller) -> None:
    """The second time it is known by its text."""
    text = "{ viewer { workspace { id } } } # once"
    await reader.query(text)
    parsed, validated = documents._parsed.made, documents._validated.made

    await reader.query(text)

    assert documents._parsed.made == parsed
    assert documents._validated.made == validated
    assert isinstance(documents._parsed(text), DocumentNode)
    assert documents._parsed.made == parsed


async def test_what_is_kept_of_documents_is_bounded_by_their_characters(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are right or wrong; the least used are let go first."""
    monkeypatch.setattr(documents, "_MAX_KEPT_CHARACTERS", 1000)
    known = "{ viewer { workspace { id } } } # known"

    for number in range(100):
        await reader.query(known)
        await reader.execute(f"{{ nope{number} }} # {'x' * 100}")

    parsed = documents._parsed.made
    await reader.query(known)
    assert documents._parsed.made == parsed
    assert documents._parsed.characters <= 1000
    assert documents._validated.characters <= 1000


def test_what_is_too_long_to_be_kept_is_not_kept_as_a_name_either() -> None:
    kept = followed._followed_by.cache_info().currsize

    for number in range(10):
        assert followed.followed_by("subscription { events { cursor } }", f"{number}{'x' * 100_000}") is None
        assert followed.followed_by(f"subscription {{ events {{ cursor }} }} # {number}{'x' * 100_000}", None) is None

    assert followed._followed_by.cache_info().currsize == kept


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
    codes = {error["extensions"]["code"] for error in errors}
    assert codes <= {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ viewer ", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ invoices(first: true) { nodes { id } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { invoice(id: $id) { id } }", "BAD_USER_INPUT"),
    ],
)
async def test_each_error_has_a_code(reader: Caller, document: str, code: str) -> None:
    _, (error,) = await reader.execute(document)

    assert error["extensions"]["code"] == code


async def test_a_text_with_nul_is_refused(reader: Caller) -> None:
    """PostgreSQL can't hold it."""
    error = await reader.refusal('{ customers(search: "a\\u0000b") { totalCount } }')

    assert error["message"] == documents.NUL_REFUSED
    assert documents.has_nul({"input": {"lines": ["x", "a\x00b"]}})
    assert not documents.has_nul({"input": {"lines": ["x", 1, None]}})


_PAGES: Final = "query ($size: Int, $id: ID!) { customer(id: $id) { invoices(first: $size) { nodes { id } } } }"
_SERIES: Final = """
query ($size: Int, $since: DateTime!) {
  invoices(first: $size) { nodes { id } }
  revenue(since: $since, interval: DAY) { points { start } }
}
"""


@pytest.mark.parametrize("text", [_PAGES, _SERIES])
def test_what_an_operation_costs_is_known_by_its_sizes_and_is_what_it_would_cost_anew(text: str) -> None:
    document = parse(text)
    known = _costs_of(Document(text, document, schema._schema, ()))
    for size in (100, True, 1, 1.0, None, [2], "3", 7, 100, 1):
        for other in ("inv_1", "2026-11-01T00:00:00Z"):
            variables = {"size": size, "id": other, "since": other}

            assert known.of(None, variables) == cost_of(schema._schema, document, None, variables)
