"""Nothing that a client sends is our fault: whatever it is, the answer is below 500 and the next one is right."""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.world.app import RunningApp, running_app
from tests.world.local import LOCAL

FRIEND: Final = "https://dashboard.example.com"
JSON: Final = {"Content-Type": "application/json"}
NESTED: Final = 100_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, with nothing in it, for this machine and one origin."""
    env = {"FLUXRATE_ALLOWED_ORIGINS": FRIEND}
    with running_app(cwd=tmp_path_factory.mktemp("hostile"), env=env) as app:
        yield app
        faults = [line for line in app.log() if line["level"] == "error" or (line.get("status") or 0) >= 500]
        assert faults == []


@pytest.fixture
def http(app: RunningApp) -> Iterator[httpx.Client]:
    """Somebody with an API key; the server still answers when they are done."""
    with client_of(app) as http:
        yield http
        assert http.post("/graphql", json={"query": "{ __typename }"}).json()["data"] == {"__typename": "Query"}


def client_of(app: RunningApp) -> httpx.Client:
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}"}
    return httpx.Client(base_url=app.url, headers=authorization, timeout=60, **LOCAL)


def refused(response: httpx.Response) -> dict[str, Any]:
    """The first error of an answer that says what is wrong, below 500."""
    assert response.status_code < 500, response.text[:500]
    error: dict[str, Any] = response.json()["errors"][0]
    assert error["message"]
    assert (error.get("extensions") or {}).get("code") != "INTERNAL_SERVER_ERROR"
    return error


# --- Bodies ------------------------------------------------------------------------------------------------------

TEXT: Final = '{"query": "{ __typename }"}'
BODIES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "a space": b" ",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a huge number": b"9" * 10_000,
    "a string": b'"{ __typename }"',
    "a list": b"[]",
    "a list of nulls": b"[null]",
    "a list of requests": f"[{TEXT}]".encode(),
    "an empty object": b"{}",
    "half an object": b'{"query": "{ __typename }"',
    "two objects": (TEXT + TEXT).encode(),
    "bad UTF-8": b'{"query": "{ __typename } # \xff\xfe"}',
    "overlong UTF-8": b'{"query": "{ __typename } # \xc0\xaf"}',
    "a surrogate in UTF-8": b'{"query": "{ __typename } # \xed\xa0\x80"}',
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "NUL bytes": b"\x00" * 1000,
    "deep lists": b"[" * NESTED + b"]" * NESTED,
    "deep objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
    "deep lists never closed": b"[" * NESTED,
    "deep variables": b'{"query":"{ __typename }","variables":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
    "NaN": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "Infinity": b'{"query": "{ __typename }", "variables": {"a": -Infinity}}',
    "a lone surrogate": b'{"query": "{ __typename } # \\ud800"}',
    "a lone surrogate in variables": b'{"query": "{ __typename }", "variables": {"a": "\\udfff"}}',
    "a control character": b'{"query": "{ __typename }\n"}',
    "single quotes": b"{'query': '{ __typename }'}",
    "a comment": b'/* a */ {"query": "{ __typename }"}',
    "a form": b"query=%7B__typename%7D",
    "more than a megabyte": b'{"query": "' + b"#" * 1_100_000 + b'"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_request_is_refused(http: httpx.Client, body: bytes) -> None:
    response = http.post("/graphql", content=body, headers=JSON)

    refused(response)


def test_of_a_member_that_is_there_twice_the_last_counts(http: httpx.Client) -> None:
    response = http.post("/graphql", content=b'{"query": "{ nope }", "query": "{ __typename }"}', headers=JSON)

    assert response.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("member", ["query", "operationName", "variables", "extensions", "documentId", "id"])
@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5e300, 2**70, "", "x", "\x00", "💥" * 1000, [], [[[]]], {}, {"": {"": ""}}, {"a": "\x00"}],
    ids=repr,
)
def test_no_value_of_any_member_is_our_fault(http: httpx.Client, member: str, value: object) -> None:
    response = http.post("/graphql", json={"query": "{ __typename }", member: value})

    assert response.status_code < 500
    assert ("data" in response.json()) != ("errors" in response.json())


@pytest.mark.parametrize(
    "name",
    ["A\x00", "\x00", "Nope", "A" * 900_000, "💥", "__proto__", " A", "null", "A\n", "'; DROP TABLE invoices --"],
)
def test_an_operation_of_no_such_name_is_refused(http: httpx.Client, name: str) -> None:
    refused(http.post("/graphql", json={"query": "query A { __typename }", "operationName": name}))


def test_an_operation_name_that_is_no_text_at_all_is_refused(http: httpx.Client) -> None:
    body = b'{"query": "query A { __typename }", "operationName": "\\ud800"}'

    assert refused(http.post("/graphql", content=body, headers=JSON))["extensions"]["code"] == "BAD_REQUEST"


# --- Documents ---------------------------------------------------------------------------------------------------

DOCUMENTS: Final[dict[str, str]] = {
    "deep": "{ viewer " * 50_000 + "}" * 50_000,
    "deep and never closed": "{ viewer " * 50_000,
    "deep values": "{ invoice(id: " + "[" * 50_000 + "]" * 50_000 + ") { id } }",
    "deep objects": "{ invoice(id: " + "{a: " * 20_000 + "1" + "}" * 20_000 + ") { id } }",
    "deep types": "query ($a: " + "[" * 50_000 + "ID" + "]" * 50_000 + ") { __typename }",
    "100,000 aliases": "{ " + "".join(f"a{number}:id " for number in range(100_000)) + "}",
    "repeated fields": "{ " + "__typename " * 80_000 + "}",
    "repeated objects": "{ " + "viewer { workspace { id } } " * 600 + "}",
    "100,000 directives": "{ __typename " + "@a " * 100_000 + "}",
    "a chain of fragments": "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(600)),
    "doubling fragments": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(300))
    + "fragment F300 on Query { a: __typename }",
    "a fragment of itself": "{ ...F } fragment F on Query { ...F }",
    "fragments of each other": "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
    "an unterminated string": '{ invoice(id: "inv_',
    "an unterminated block": '{ invoice(id: """inv_',
    "a line in a string": '{ invoice(id: "a\nb") { id } }',
    "NUL": "{ __typename \x00 }",
    "NUL in a string": '{ invoice(id: "\\u0000") { id } }',
    "a surrogate": '{ invoice(id: "\\ud800") { id } }',
    "a surrogate in braces": '{ invoice(id: "\\u{D800}") { id } }',
    "an odd escape": '{ invoice(id: "\\u{110000}") { id } }',
    "a byte order mark within": "{ \ufeff__typename \ufeff}x",
    "emoji": "{ 💥 }",
    "a huge int": "{ invoices(first: " + "9" * 5000 + ") { totalCount } }",
    "a huge negative int": "{ invoices(first: -" + "9" * 5000 + ") { totalCount } }",
    "a huge int in an id": "{ invoice(id: " + "9" * 5000 + ") { id } }",
    "a huge float": "{ invoices(first: 1e999999) { totalCount } }",
    "a leading zero": "{ invoices(first: 007) { totalCount } }",
    "an int with a name": "{ invoices(first: 1a) { totalCount } }",
    "only a comment": "# nothing",
    "only commas": ",,,,",
    "a schema": "type Query { a: Int }",
    "an extension": "extend type Query { a: Int }",
    "no operation": "fragment F on Query { __typename }",
    "two without a name": "{ __typename } { __typename }",
    "two of a name": "query A { __typename } query A { __typename }",
    "a subscription of two": "subscription { invoicePaid { __typename } paymentReceived { __typename } }",
    "a subscription of introspection": "subscription { __typename }",
    "introspection in circles": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    "a variable in a default": "query ($a: Int = $b, $b: Int) { invoices(first: $a) { totalCount } }",
    "a variable of no type": "query ($a: Nope) { invoices(first: $a) { totalCount } }",
    "a variable of an output type": "query ($a: Invoice) { __typename }",
    "a directive of ours": "{ __typename @deprecated }",
    "defer": "{ ... @defer { __typename } }",
    "an enum in place of a string": "{ invoice(id: INV) { id } }",
    "brackets": "{[(<>)]}",
}


ODD_BUT_RIGHT: Final[dict[str, str]] = {
    "many fragments of the same": "{ "
    + " ".join(f"...F{n}" for n in range(150))
    + " } "
    + " ".join(f"fragment F{n} on Query {{ viewer {{ workspace {{ id name mode }} }} }}" for n in range(150)),
    "a long comment": "{ __typename } # " + "x" * 900_000,
    "a byte order mark": "\ufeff{ __typename }",
    "commas": "{,,,__typename,,,}",
}


@pytest.mark.parametrize("document", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_an_odd_document_that_is_right_is_answered(http: httpx.Client, document: str) -> None:
    response = http.post("/graphql", json={"query": document})

    assert "errors" not in response.json()


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_an_odd_document_is_refused(http: httpx.Client, document: str) -> None:
    refused(http.post("/graphql", json={"query": document}))


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_an_odd_document_leaves_the_socket_open(app: RunningApp, document: str) -> None:
    """And the answer is an `error` of its operation."""
    protocols: Any = ["graphql-transport-ws"]
    authorization = f"Bearer {app.announced['apiKey']}"
    async with connect(f"{app.ws_url}/graphql", subprotocols=protocols, max_size=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        await socket.recv()
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}))
        answer = json.loads(await socket.recv())
        await socket.send(json.dumps({"id": "2", "type": "subscribe", "payload": {"query": "{ __typename }"}}))
        after = json.loads(await socket.recv())

    assert (answer["id"], answer["type"]) == ("1", "error")
    assert "INTERNAL_SERVER_ERROR" not in {(error.get("extensions") or {}).get("code") for error in answer["payload"]}
    assert (after["id"], after["type"], after["payload"]["data"]) == ("2", "next", {"__typename": "Query"})


FRAMES: Final[dict[str, str | bytes]] = {
    **{f"the body {name}": body for name, body in BODIES.items() if len(body) < 1_000_000},
    "text that is no JSON": "{",
    "deep JSON": "[" * NESTED,
    "a lone surrogate": '{"type": "\\ud800"}',
    "a type that is no text": '{"type": {}}',
    "a subscribe without anything": '{"type": "subscribe"}',
    "an id that is no text": '{"type": "subscribe", "id": {}, "payload": {"query": "{ __typename }"}}',
    "a payload that is none": '{"type": "subscribe", "id": "1", "payload": []}',
    "a query that is none": '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    "a document id that is none": '{"type": "subscribe", "id": "1", "payload": {"query": 1, "documentId": {}}}',
    "variables that are none": '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": 1}}',
    "an operation name of none": '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "operationName": 1}}',
    "a second init": '{"type": "connection_init"}',
    "an unknown type": '{"type": "💥"}',
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
async def test_an_odd_frame_closes_its_socket_with_a_code_of_the_protocol(app: RunningApp, frame: str | bytes) -> None:
    """Never with 1011, which would be our fault."""
    protocols: Any = ["graphql-transport-ws"]
    authorization = f"Bearer {app.announced['apiKey']}"
    async with connect(f"{app.ws_url}/graphql", subprotocols=protocols) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        await socket.recv()
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in {4400, 4429}


# --- Variables and scalars ---------------------------------------------------------------------------------------

VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**31, 2**63, 1e308, 0.5, "", "x", "\x00", "💥", "9" * 5000, "-1", "NaN", [], [[]], {}, {"a": 1},
    base64.urlsafe_b64encode(b"x" * 99).decode(),
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    "document",
    [
        "query ($v: ID!) { invoice(id: $v) { id } }",
        "query ($v: ID!) { node(id: $v) { id } }",
        "query ($v: Int) { invoices(first: $v) { totalCount } }",
        "query ($v: Int) { invoices(last: $v) { totalCount } }",
        "query ($v: String) { invoices(after: $v) { totalCount } }",
        "query ($v: String) { customers(search: $v) { totalCount } }",
        "query ($v: String!) { customerByExternalId(externalId: $v) { id } }",
        "query ($v: String!) { invoiceByNumber(number: $v) { id } }",
        "query ($v: String!) { webhookEventByStripeId(stripeEventId: $v) { id } }",
        "query ($v: [String!]) { webhookEvents(filter: {type: $v}) { totalCount } }",
        "query ($v: InvoiceFilter) { invoices(filter: $v) { totalCount } }",
        "query ($v: String) { invoices(filter: {currency: $v}) { totalCount } }",
        "query ($v: ID) { payments(filter: {invoiceId: $v}) { totalCount } }",
        "query ($v: DateTime) { invoices(filter: {createdAfter: $v}) { totalCount } }",
        "mutation ($v: CreateInvoiceInput!) { createInvoice(input: $v) { __typename } }",
        "mutation ($v: CreateCustomerInput!) { createCustomer(input: $v) { __typename } }",
        "mutation ($v: ID!) { finalizeInvoice(id: $v) { __typename } }",
    ],
)
def test_no_value_of_a_variable_is_our_fault(http: httpx.Client, document: str, value: object) -> None:
    response = http.post("/graphql", json={"query": document, "variables": {"v": value}})

    assert response.status_code < 500
    codes = [(error.get("extensions") or {}).get("code") for error in response.json().get("errors", [])]
    assert "INTERNAL_SERVER_ERROR" not in codes


# --- GET, headers and media types --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "query",
        "query=",
        "query=%",
        "query=%ff%fe",
        "query=%00",
        "query=%ED%A0%80",
        "query=%7B__typename%7D&variables=",
        "query=%7B__typename%7D&variables=x",
        "query=%7B__typename%7D&variables=[]",
        "query=%7B__typename%7D&variables=1",
        "query=%7B__typename%7D&variables=" + "%5B" * 5000,
        "query=%7B__typename%7D&extensions=%22x%22",
        "query=%7B__typename%7D&operationName=%00",
        "query=%7B__typename%7D&operationName=A&operationName=B",
        "query=%7B__typename%7D&query=%7Bnope%7D",
        "documentId=",
        "documentId=%00",
        "extensions=%7B%22persistedQuery%22%3A1%7D",
        "&&&===;;;",
        "a" * 8000,
    ],
)
def test_an_odd_query_string_is_answered(http: httpx.Client, query: str) -> None:
    response = http.get(f"/graphql?{query}")

    assert response.status_code < 500
    assert response.json()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_mutation_is_sent_by_post(http: httpx.Client, method: str) -> None:
    document = 'mutation { disconnectStripe(id: "int_1") { __typename } }'

    got = http.get("/graphql", params={"query": document})
    posted = http.post("/graphql", json={"query": document})

    assert (got.status_code, got.headers["allow"]) == (405, "GET, POST")
    assert refused(got)["message"] == "A mutation must be sent by POST."
    assert posted.json()["data"] == {"disconnectStripe": {"__typename": "NotFound"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_other_method_is_refused(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/graphql", json={"query": "{ __typename }"})

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json-patch+json",
        "text/plain;application/json",
        "",
        ";",
        "💥".encode().decode("latin-1"),
    ],
)
def test_only_json_is_taken(http: httpx.Client, content_type: str) -> None:
    """A form, which browsers send without asking first, is none."""
    response = http.post("/graphql", content=TEXT.encode(), headers={b"Content-Type": content_type.encode("latin-1")})

    assert response.status_code == 415
    assert refused(response)["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "accept",
    ["", ",", ";", "*", "*/*;q=x", "application/json;q=NaN", "text/event-stream;;;", "multipart/mixed;boundary",
     "a" * 8000, "application/json;q=" + "9" * 400, "application/graphql-response+json;q=-1", '"',
     "application/json;a*=utf-8''%"],
)  # fmt: skip
def test_an_odd_accept_header_is_answered(http: httpx.Client, accept: str) -> None:
    response = http.post("/graphql", json={"query": "{ __typename }"}, headers=[("Accept", accept)])

    assert response.status_code == 200
    assert "__typename" in response.text


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer flx_", "Basic eA==", "Bearer flx_\xff", "Bearer " + "flx_" * 2000, "flx_"],
)
def test_an_odd_key_is_no_key(app: RunningApp, authorization: str) -> None:
    response = httpx.post(
        f"{app.url}/graphql", json={}, headers={b"Authorization": authorization.encode("latin-1")}, **LOCAL
    )

    assert response.status_code == 401
    assert refused(response)["extensions"]["code"] == "UNAUTHENTICATED"


# --- Origins -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", f"{FRIEND}.evil.example", FRIEND.replace("https", "http"), "null"]
)
def test_a_page_from_elsewhere_may_not_ask(http: httpx.Client, origin: str) -> None:
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    preflight = http.options("/graphql", headers=asking)

    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers


def test_a_page_from_an_allowed_origin_may_ask_without_cookies(http: httpx.Client) -> None:
    asking = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }

    preflight = http.options("/graphql", headers=asking)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-credentials" not in preflight.headers


# --- Introspection and GraphiQL ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product without introspection and GraphiQL."""
    env = {"FLUXRATE_INTROSPECTION": "off", "FLUXRATE_GRAPHIQL": "off"}
    with running_app(cwd=tmp_path_factory.mktemp("closed"), env=env) as app:
        yield app


@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { queryType { name } } }",
        '{ a: __type(name: "Query") { name } }',
        "{ ...A } fragment A on Query { ... on Query { __schema { queryType { name } } } }",
    ],
)
def test_without_introspection_the_schema_is_not_told(app: RunningApp, closed: RunningApp, document: str) -> None:
    with client_of(closed) as http, client_of(app) as open_:
        error = refused(http.post("/graphql", json={"query": document}))
        told = open_.post("/graphql", json={"query": document})
        named = http.post("/graphql", json={"query": "{ __typename viewer { __typename } }"})

    assert error["extensions"]["code"] == "INTROSPECTION_DISABLED"
    assert "switched off" in error["message"]
    assert "errors" not in told.json()
    assert named.json()["data"] == {"__typename": "Query", "viewer": {"__typename": "Viewer"}}


def test_without_graphiql_there_is_no_page(app: RunningApp, closed: RunningApp) -> None:
    browser = {"Accept": "text/html"}

    page = httpx.get(f"{app.url}/graphql", headers=browser, **LOCAL, follow_redirects=True)
    nothing = httpx.get(f"{closed.url}/graphql", headers=browser, **LOCAL)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (nothing.status_code, refused(nothing)["extensions"]["code"]) == (404, "NOT_FOUND")
    assert "GraphiQL is switched off" in refused(nothing)["message"]
