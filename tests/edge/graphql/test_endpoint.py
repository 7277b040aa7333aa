"""GraphQL over HTTP on a real port: with which status and media type an answer comes."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.world.app import RunningApp, running_app
from tests.world.local import LOCAL

RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"

WRONG: Final[dict[str, dict[str, Any]]] = {
    "syntax": {"query": "{ viewer "},
    "unknown field": {"query": "{ nonsense }"},
    "unknown argument": {"query": "{ invoices(newest: 3) { totalCount } }"},
    "missing selection": {"query": "{ viewer }"},
    "missing argument": {"query": "{ invoice { id } }"},
    "unknown enum member": {"query": "{ invoices(order: SIDEWAYS) { totalCount } }"},
    "wrong literal": {"query": "{ invoices(first: true) { totalCount } }"},
    "unknown fragment": {"query": "{ viewer { ...nowhere } }"},
    "variable never defined": {"query": "{ invoice(id: $id) { id } }"},
    "variable of the wrong type": {
        "query": "query ($n: Int) { invoices(first: $n) { totalCount } }",
        "variables": {"n": "3"},
    },
    "variable missing": {"query": "query ($id: ID!) { invoice(id: $id) { id } }"},
    "variable null": {"query": "query ($id: ID!) { invoice(id: $id) { id } }", "variables": {"id": None}},
    "unknown enum member in a variable": {
        "query": "query ($o: OrderDirection) { invoices(order: $o) { totalCount } }",
        "variables": {"o": "SIDEWAYS"},
    },
    "unknown member of an input": {
        "query": "query ($f: InvoiceFilter) { invoices(filter: $f) { totalCount } }",
        "variables": {"f": {"colour": "red"}},
    },
    "scalar that is none": {
        "query": "query ($f: InvoiceFilter) { invoices(filter: $f) { totalCount } }",
        "variables": {"f": {"createdAfter": "yesterday"}},
    },
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with a key."""
    with running_app(cwd=tmp_path_factory.mktemp("view")) as app:
        yield from _client(app)


def _client(app: RunningApp) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {app.announced['apiKey']}"}
    with httpx.Client(base_url=app.url, headers=key, timeout=30, **LOCAL) as client:
        yield client


def media_type(answer: httpx.Response) -> str:
    """The media type of an answer, which is in UTF-8."""
    type_, charset = answer.headers["content-type"].split("; ")
    assert charset == "charset=utf-8"
    return str(type_)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(("accept", "status"), [(RESPONSE, 400), (JSON, 200)])
def test_what_cannot_be_executed_has_errors_and_no_data(
    http: httpx.Client, wrong: dict[str, Any], accept: str, status: int
) -> None:
    """Under 400 where the client knows the newer media type, under 200 where it knows plain JSON only."""
    answer = http.post("/graphql", json=wrong, headers={"Accept": accept})

    assert (answer.status_code, media_type(answer)) == (status, accept)
    assert answer.json().keys() == {"errors", "extensions"}
    assert all(error["message"] for error in answer.json()["errors"])


@pytest.mark.parametrize("accept", [RESPONSE, JSON])
def test_an_error_of_a_field_is_an_answer_with_data(http: httpx.Client, accept: str) -> None:
    """It was executed, so the status is 200 for both."""
    query = '{ viewer { workspace { id } } events(after: "made up") { totalCount } }'

    answer = http.post("/graphql", json={"query": query}, headers={"Accept": accept})

    assert (answer.status_code, media_type(answer)) == (200, accept)
    assert answer.json()["data"] is None
    assert answer.json()["errors"][0]["path"] == ["events"]


@pytest.mark.parametrize("operation_name", ["Nobody", "", None])
def test_one_of_several_operations_must_be_named(http: httpx.Client, operation_name: str | None) -> None:
    asked = {"query": "query A { __typename } query B { __typename }", "operationName": operation_name}

    answer = http.post("/graphql", json=asked, headers={"Accept": RESPONSE})

    assert answer.status_code == 400
    assert "operation" in answer.json()["errors"][0]["message"].lower()


def test_a_subscription_needs_a_way_to_be_told(http: httpx.Client) -> None:
    """The refusal names them."""
    answer = http.post("/graphql", json={"query": "subscription { events { type } }"}, headers={"Accept": RESPONSE})

    assert answer.status_code == 400
    assert "text/event-stream" in answer.json()["errors"][0]["message"]
