"""Documents by their hashes: automatic persisted queries as Apollo's clients speak them, and trusted documents."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from errors import ConfigurationError
from execution import persisted
from execution.persisted import DocumentRefusedError, PersistedDocuments, read_trusted
from tests.world.app import Cli, RunningApp, running_app, settings_env
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL

VIEWER = "query Viewer { viewer { workspace { mode } } }"
ANSWER = {"viewer": {"workspace": {"mode": "TEST"}}}
RESPONSE = "application/graphql-response+json"


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def by_hash(text: str, **more: Any) -> dict[str, Any]:
    """A request that names its document."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}}, **more}


def fresh(text: str, name: str) -> str:
    """A document that no other test asks for."""
    return f"{text} # {name}"


def code_of(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    code: str = error["extensions"]["code"]
    return code


def client_of(app: RunningApp) -> httpx.Client:
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}"}
    return httpx.Client(base_url=app.url, headers=authorization, timeout=30, **LOCAL)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, with nothing in it."""
    with running_app(cwd=tmp_path_factory.mktemp("persisted")) as app:
        yield app


@pytest.fixture
def http(app: RunningApp) -> Iterator[httpx.Client]:
    """Somebody with an API key."""
    with client_of(app) as http:
        yield http


# --- Automatic persisted queries ---------------------------------------------------------------------------------


def test_a_document_is_asked_by_its_hash_once_it_was_sent_with_it(http: httpx.Client) -> None:
    """Apollo: first the hash alone, then with the document, from then on the hash alone."""
    text = fresh(VIEWER, "post")

    unknown = http.post("/graphql", json=by_hash(text))
    told = http.post("/graphql", json=by_hash(text, query=text))
    known = http.post("/graphql", json=by_hash(text))

    assert unknown.status_code == 200
    assert unknown.json()["errors"] == [
        {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
    ]
    assert told.json()["data"] == known.json()["data"] == ANSWER


def test_a_query_is_asked_by_its_hash_by_get(http: httpx.Client) -> None:
    text = fresh(VIEWER, "get")
    named = {"extensions": json.dumps(by_hash(text)["extensions"])}
    headers = {"Accept": f"{RESPONSE}, text/html"}

    unknown = http.get("/graphql", params=named, headers=headers)
    told = http.get("/graphql", params={**named, "query": text}, headers=headers)
    known = http.get("/graphql", params=named, headers=headers)

    assert (unknown.status_code, code_of(unknown.json())) == (400, "PERSISTED_QUERY_NOT_FOUND")
    assert told.json()["data"] == known.json()["data"] == ANSWER


def test_a_mutation_is_not_asked_by_get_by_its_hash_either(http: httpx.Client) -> None:
    text = 'mutation { disconnectStripe(id: "int_1") { __typename } }'
    http.post("/graphql", json=by_hash(text, query=text))

    response = http.get("/graphql", params={"extensions": json.dumps(by_hash(text)["extensions"])})

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


def test_a_hash_that_is_not_the_documents_is_refused(http: httpx.Client) -> None:
    response = http.post("/graphql", json=by_hash(fresh(VIEWER, "other"), query=VIEWER))

    assert code_of(response.json()) == "PERSISTED_QUERY_HASH_MISMATCH"


@pytest.mark.parametrize(
    "named", [{}, {"version": 2, "sha256Hash": "x"}, {"version": 1}, {"version": 1, "sha256Hash": 1}, [], "x", 1]
)
def test_a_persisted_query_of_another_form_is_refused(http: httpx.Client, named: object) -> None:
    response = http.post("/graphql", json={"extensions": {"persistedQuery": named}})

    assert code_of(response.json()) == "PERSISTED_QUERY_NOT_SUPPORTED"


@pytest.mark.parametrize("text", ["{ nope }", "{ viewer", "{ " + "a: __typename " * 300 + "}"])
def test_only_what_can_be_executed_is_kept(http: httpx.Client, text: str) -> None:
    """Whoever sends other things fills nothing."""
    wrong = http.post("/graphql", json=by_hash(text, query=text))
    again = http.post("/graphql", json=by_hash(text))

    assert wrong.json()["errors"]
    assert code_of(again.json()) == "PERSISTED_QUERY_NOT_FOUND"


async def test_sockets_and_streams_name_documents_too(app: RunningApp) -> None:
    text = fresh(VIEWER, "socket")
    async with GraphQLClient(app.url, app.announced["apiKey"]).socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": by_hash(text)})
        unknown = await socket.receive()
        await socket.send({"id": "1", "type": "subscribe", "payload": by_hash(text, query=text)})
        told, complete = await socket.receive(), await socket.receive()
        await socket.send({"id": "1", "type": "subscribe", "payload": by_hash(text)})
        known = await socket.receive()
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}", "Accept": "text/event-stream"}
    async with httpx.AsyncClient(base_url=app.url, headers=authorization, timeout=30, **LOCAL) as http:
        streamed = await http.post("/graphql", json=by_hash(text))
        unknown_stream = await http.post("/graphql", json=by_hash(fresh(VIEWER, "never sent")))

    assert (unknown["type"], code_of({"errors": unknown["payload"]})) == ("error", "PERSISTED_QUERY_NOT_FOUND")
    assert told["payload"]["data"] == known["payload"]["data"] == ANSWER
    assert complete["type"] == "complete"
    assert json.dumps(ANSWER, separators=(",", ":")) in streamed.text
    assert (unknown_stream.status_code, code_of(unknown_stream.json())) == (400, "PERSISTED_QUERY_NOT_FOUND")


def test_a_document_id_names_what_was_kept(http: httpx.Client) -> None:
    text = fresh(VIEWER, "id")
    http.post("/graphql", json=by_hash(text, query=text))

    known = http.post("/graphql", json={"documentId": f"sha256:{hash_of(text)}"})
    odd = http.post("/graphql", json={"documentId": 7})

    assert known.json()["data"] == ANSWER
    assert (odd.status_code, code_of(odd.json())) == (200, "BAD_REQUEST")


def test_what_is_kept_is_bounded_by_count_and_the_least_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "MAX_KEPT", 2)
    documents = PersistedDocuments()
    first, second, third = (fresh(VIEWER, str(number)) for number in range(3))

    for text in (first, second):
        documents.text_of(by_hash(text, query=text))
    documents.text_of(by_hash(first))
    documents.text_of(by_hash(third, query=third))

    assert documents.text_of(by_hash(first)) == first
    assert documents.text_of(by_hash(third)) == third
    with pytest.raises(DocumentRefusedError):
        documents.text_of(by_hash(second))


def test_what_is_kept_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "MAX_KEPT_BYTES", 100)
    documents = PersistedDocuments()
    large, small = fresh(VIEWER, "é" * 20), VIEWER

    for text in (large, small):
        documents.text_of(by_hash(text, query=text))

    assert documents.text_of(by_hash(small)) == small
    with pytest.raises(DocumentRefusedError):
        documents.text_of(by_hash(large))


# --- Trusted documents -------------------------------------------------------------------------------------------

WATCH = "subscription Watch { invoicePaid { invoice { number } } }"
TRUSTED = {hash_of(VIEWER): VIEWER, "watch.v1": WATCH}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, which answers trusted documents only."""
    folder = tmp_path_factory.mktemp("trusted")
    (folder / "documents.json").write_text(json.dumps(TRUSTED))
    with running_app(cwd=folder, env={"FLUXRATE_TRUSTED_DOCUMENTS": "documents.json"}) as app:
        yield app


@pytest.mark.parametrize(
    "asked",
    [
        {"documentId": f"sha256:{hash_of(VIEWER)}"},
        {"documentId": hash_of(VIEWER)},
        by_hash(VIEWER),
        by_hash(VIEWER, query=VIEWER),
        {"query": VIEWER},
    ],
)
def test_a_trusted_document_is_asked_by_id_by_hash_or_as_it_is(strict: RunningApp, asked: dict[str, Any]) -> None:
    with client_of(strict) as http:
        response = http.post("/graphql", json=asked)

    assert response.json()["data"] == ANSWER


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "{ __typename }"},
        {"query": VIEWER + " "},
        {"documentId": "nope"},
        {"documentId": hash_of(VIEWER), "query": "{ __typename }"},
        by_hash("{ __typename }", query="{ __typename }"),
    ],
)
async def test_all_else_is_refused_by_every_way_in(strict: RunningApp, asked: dict[str, Any]) -> None:
    authorization = {"Authorization": f"Bearer {strict.announced['apiKey']}"}
    async with httpx.AsyncClient(base_url=strict.url, headers=authorization, timeout=30, **LOCAL) as http:
        response = await http.post("/graphql", json=asked, headers={"Accept": RESPONSE})
    async with GraphQLClient(strict.url, strict.announced["apiKey"]).socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": asked})
        frame = await socket.receive()

    assert (response.status_code, code_of(response.json())) == (400, "DOCUMENT_NOT_TRUSTED")
    assert (frame["type"], code_of({"errors": frame["payload"]})) == ("error", "DOCUMENT_NOT_TRUSTED")
    assert "trusted documents only" in response.json()["errors"][0]["message"]


def test_no_document_at_all_is_the_same_mistake_as_ever(strict: RunningApp) -> None:
    with client_of(strict) as http:
        response = http.post("/graphql", json={})

    assert (response.status_code, code_of(response.json())) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps({"a": VIEWER, "b": "{ nope }"}), "- b: Cannot query field 'nope' on type 'Query'."),
        (json.dumps({"c": "{"}), "- c: Syntax Error"),
        (json.dumps({"d": "{ " + "a: __typename " * 300 + "}"}), "- d: The document aliases or repeats fields"),
        (json.dumps([VIEWER]), "must be a JSON object of documents by their ids"),
        (json.dumps({"e": 1}), "must be a JSON object of documents by their ids"),
        ("{", "can't be read"),
    ],
)
def test_a_file_with_something_wrong_is_refused_with_what_it_is(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError) as refused:
        read_trusted(path)

    assert str(path) in refused.value.message
    assert sentence in refused.value.message


def test_many_wrong_documents_are_told_of_in_one_error_of_bounded_length(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({f"wrong{number}": "{ nope }" for number in range(25)}))

    with pytest.raises(ConfigurationError) as refused:
        read_trusted(path)

    assert refused.value.message.count("- wrong") == 20
    assert "- and 5 more" in refused.value.message


def test_the_product_does_not_start_with_documents_that_it_can_not_execute(tmp_path: Path) -> None:
    (tmp_path / "documents.json").write_text(json.dumps({"bad": "{ nope }"}))

    done = Cli(cwd=tmp_path).run("serve", "--port", "0", "--trusted-documents", "documents.json")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "- bad: Cannot query field 'nope' on type 'Query'." in done.stderr


def test_every_worker_trusts_the_documents_of_the_option(
    migrated_postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps(TRUSTED))
    app = RunningApp(
        ["--workers", "2", "--trusted-documents", str(path)], settings_env(migrated_postgres_url, valkey_url), None
    )
    try:
        key = app.workspace().api_key
        app.wait_until_ok("/readyz")
        answers = [ask(app, key, asked) for asked in ({"query": VIEWER}, {"query": "{ __typename }"}) for _ in range(8)]
    finally:
        app.forget()

    assert [answer["data"] for answer in answers[:8]] == [ANSWER] * 8
    assert {code_of(answer) for answer in answers[8:]} == {"DOCUMENT_NOT_TRUSTED"}


def ask(app: RunningApp, key: str, asked: dict[str, Any]) -> dict[str, Any]:
    """An answer over a connection of its own, which any worker may take."""
    headers = {"Authorization": f"Bearer {key}"}
    answer: dict[str, Any] = httpx.post(f"{app.url}/graphql", json=asked, headers=headers, **LOCAL).json()
    return answer
