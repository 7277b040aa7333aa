"""Documents ask for so much and no more; each refusal says which limit it is, its value, and what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLError, get_introspection_query, parse

from execution import limits
from execution.cost import cost_of
from execution.documents import refusals_of
from execution.limits import LINES, in_our_words, refused_for_variables
from execution.schema import schema
from tests.world.app import RunningApp, running_app
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL


def refused(document: str) -> list[tuple[str, int, str]]:
    """Which limits refuse a document, whatever its variables."""
    return [sentence(in_our_words(error)) for error in refusals_of(document, schema._schema)]


def sentence(error: GraphQLError) -> tuple[str, int, str]:
    """A refusal's limit, its value and its sentence."""
    extensions = error.extensions or {}
    assert extensions["code"] == "LIMIT_EXCEEDED", error
    return extensions["limit"], extensions["maximum"], error.message


def cost(document: str, **variables: object) -> int:
    """What a document is found to cost, 0 where it is within the limit."""
    _, found = cost_of(schema._schema, parse(document), None, variables)
    return (found[0].extensions or {})["actual"] if found else 0


def nested(levels: int) -> str:
    return "{ customers { nodes { " + "invoices { nodes { customer { " * levels + "id" + " } } }" * levels + " } } }"


# --- Shape -------------------------------------------------------------------------------------------------------


def test_a_selection_has_a_deepest_level_through_fragments_too() -> None:
    through_fragments = (
        "{ customers { nodes { ...A } } } fragment A on Customer { invoices { nodes { customer { "
        + "invoices { nodes { customer { " * 5
        + "id"
        + " } } }" * 6
        + " }"
    )

    assert refused(nested(5)) == []
    for document in (nested(7), through_fragments):
        (limit, maximum, sentence), *_ = refused(document)
        assert (limit, maximum) == ("depth", 20)
        assert "deeper than 20 levels" in sentence


@pytest.mark.parametrize(
    "document", ["{ " + "viewer { " * 1000 + "x" + " }" * 1001, "{ a(b: " + "[" * 2000 + "]" * 2000]
)
def test_what_is_nested_too_deeply_to_be_read_is_too_deep(document: str) -> None:
    assert refused(document)[0][:2] == ("depth", 20)


@pytest.mark.parametrize("length", [250, 600])
def test_fragments_within_fragments_within_fragments_are_no_way_around(length: int) -> None:
    """However long the chain; the parser and the rules would run out of stack first."""
    chain = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} }}" for i in range(length))

    assert refused(f"{{ ...F0 }} {chain} fragment F{length} on Query {{ __typename }}") == [
        ("depth", 20, limits.DEPTH.sentence.format(maximum=20))
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_a_document_has_so_many_lines(line_end: str) -> None:
    """Each of a hundred errors counts them."""
    wrong = "{ " + " ".join(f"a{number}" for number in range(100)) + " }"

    assert refused(line_end * 2500 + wrong) == [("lines", 2500, LINES.sentence.format(maximum=2500))]
    assert refused(line_end * 2499 + "{ viewer { workspace { id } } }") == []


def test_a_document_has_so_many_tokens() -> None:
    assert refused("{ " + "a: __typename " * 1700 + "}")[0][:2] == ("tokens", 5000)


@pytest.mark.parametrize(
    "document",
    [
        "{ " + " ".join(f"a{i}: __typename" for i in range(201)) + " }",
        "{ " + "__typename " * 202 + "}",
        "{ " + "viewer { workspace { id } } " * 202 + "}",
        "{ ...A ...B } fragment A on Query { ...B ...B ...B } fragment B on Query { ...C ...C ...C ...C ...C }"
        " fragment C on Query { " + " ".join(f"a{i}: __typename" for i in range(20)) + " }",
    ],
    ids=["aliases", "repeated", "repeated objects", "multiplied by fragments"],
)
def test_a_field_may_be_asked_so_often_under_other_names_or_its_own(document: str) -> None:
    (limit, maximum, sentence), *_ = refused(document)

    assert (limit, maximum) == ("aliases", 200)
    assert "more than 200 times" in sentence


def test_a_billion_aliases_by_fragments_are_counted_without_walking_them() -> None:
    doubling = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(100))

    (error,) = limits.refused_for_shape(parse(f"{{ ...F0 }} {doubling} fragment F100 on Query {{ a: __typename }}"))

    assert error.extensions == {"code": "LIMIT_EXCEEDED", "limit": "aliases", "maximum": 200}


def test_how_many_there_are_is_told() -> None:
    (error,) = limits.refused_for_shape(parse("{ " + "a: __typename " * 250 + "}"))

    assert (error.extensions or {})["actual"] == 250


def test_two_hundred_aliases_are_no_more_than_may_be() -> None:
    assert refused("{ " + " ".join(f"a{i}: __typename" for i in range(200)) + " }") == []


@pytest.mark.parametrize(
    "document",
    [
        "{ " + "__typename @include(if: true) " * 101 + "}",
        "query " + "@a " * 101 + "{ __typename }",
        "{ ... on Query " + "@skip(if: false) " * 50 + "{ ...A " + "@skip(if: false) " * 51 + "} }"
        " fragment A on Query { __typename }",
    ],
)
def test_a_document_has_so_many_directives(document: str) -> None:
    (limit, maximum, sentence), *_ = refused(document)

    assert (limit, maximum) == ("directives", 100)
    assert "100 directives" in sentence


def test_the_introspection_of_graphiql_and_of_code_generators_is_within_the_limits() -> None:
    document = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )

    assert refused(document) == []
    assert cost(document) == 0


def test_introspection_does_not_go_round_in_circles() -> None:
    """A type's fields have types, which have fields."""
    document = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"

    (limit, maximum, sentence), *_ = refused(document)

    assert (limit, maximum) == ("introspectionDepth", 2)
    assert "deeper than 2 levels" in sentence


def test_a_fragment_that_contains_itself_is_refused_for_that() -> None:
    errors = refusals_of("{ ...A } fragment A on Query { viewer { workspace { id } } ...A }", schema._schema)

    assert "within itself" in errors[0].message


# --- Complexity --------------------------------------------------------------------------------------------------


def test_lists_within_lists_cost_what_they_could_hold() -> None:
    page = "{ invoices(first: 100) { nodes { id customer { name } payments(first: 50) { nodes { id } } } } }"
    loop = "{ invoices(first: 100) { nodes { customer { invoices(first: 100) {"
    loop += " nodes { customer { id } paymentLink { url } } } } } } }"

    assert cost(page) == 0
    assert cost(loop) == 1 + 100 * (1 + 1 + 1 + 100 * 3)


@pytest.mark.parametrize("page", ["", "(first: 100)"])
def test_a_dashboard_may_ask_for_all_that_it_shows(page: str) -> None:
    """Without a thought about pages, or a whole page with ten of each list within."""
    within = "(first: 10)" if page else ""
    document = f"""
    {{ viewer {{ workspace {{ eventCursor }} }} totals {{ currency open {{ amount }} paid {{ amount }} }}
       invoices{page} {{ totalCount pageInfo {{ endCursor }} nodes {{
         id number status total {{ amount }} amountPaid {{ amount }} amountRemaining {{ amount }} customer {{ name }}
         paymentLink {{ status url amount {{ amount }} problem {{ code message fix }} }}
         lineItems {{ description amount {{ amount }} }}
         payments{within} {{ nodes {{ status amount {{ amount currency }} unappliedReason {{ code }} }} }}
         timeline{within} {{ nodes {{ type occurredAt note }} }}
       }} }} }}
    """

    assert refused(document) == []
    assert cost(document) == 0


def test_a_page_of_the_size_of_a_variable_a_fragment_or_by_default_costs_too() -> None:
    query = """
    query ($n: Int) { customers(first: $n) { ...Page } }
    fragment Page on CustomerConnection { nodes { invoices { edges { node { ...Paid } } } } }
    fragment Paid on Invoice { payments(last: $n) { nodes { id } } }
    """

    assert cost(query, n=5) == 0
    assert cost(query, n=100) == cost(query) > 100 * 50 * 100


def test_an_explicit_null_says_nothing_of_a_pages_size() -> None:
    page = "{ invoices(%s last: 100) { nodes { payments(first: 100) { nodes { invoice { id } customer { id } } } } } }"

    assert cost(page % "first: null,") == cost(page % "") > 100 * 100 * 3


def test_a_field_of_one_object_costs_one() -> None:
    """And is multiplied by the rows around it."""
    lean = "{ invoices(first: 100) { nodes { payments(first: 90) { nodes { id } } } } }"
    richer = "{ invoices(first: 100) { nodes { payments(first: 90) { nodes { invoice { id } customer { id } } } } } }"

    assert cost(lean) == 0
    assert cost(richer) == 1 + 100 * (1 + 1 + 90 * 3)


def test_a_plain_list_is_taken_to_be_of_some_length() -> None:
    """It has no bound that could be read."""
    line = "{ invoices(first: 100) { nodes { lineItems { description } customer { id } "
    once, more = line + "} } }", line + "a: lineItems { id } " * 29 + "} } }"

    assert cost(once) == 0
    assert cost(more.replace("a: lineItems", "lineItems")) == 1 + 100 * (1 + 10 * 30 + 1)


def _revenue(times: int, arguments: str) -> str:
    each = f"revenue({arguments}) {{ currency ...Points }} "
    return f"{{ {each * times} }} fragment Points on RevenueSeries {{ points {{ received {{ amount }} }} }}"


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        ('since: "2026-11-01T00:00:00Z", until: "2026-12-01T00:00:00Z", interval: DAY', 30 + 2),
        ('since: "2026-11-01T00:00:00Z", until: "2026-12-01T00:00:00Z", interval: MONTH', 1 + 2),
        ("since: $since, until: $until, interval: $interval", 30 + 2),
        ("since: $since, until: $until, interval: WEEK", 4 + 2),
        ('since: "1970-01-01T00:00:00Z", interval: HOUR', 400),
        ('since: "1970-01-01T00:00:00Z", until: null, interval: DAY', 400),
        ("since: $since, until: $never, interval: DAY", 400),
        ('since: "yesterday", until: "2026-12-01T00:00:00Z", interval: DAY', 400),
        ('since: "2026-11-01T00:00:00Z", until: "2026-01-01T00:00:00Z", interval: DAY', 1),
    ],
)
def test_revenue_costs_as_many_points_as_its_range_has(arguments: str, points: int) -> None:
    """In each of ten currencies."""
    given = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z", "interval": "DAY"}
    each = 10 * (1 + points * 2)
    times = 25_000 // each

    assert cost(_revenue(times, arguments), **given) == 0
    assert cost(_revenue(times + 1, arguments), **given) == (times + 1) * each


def test_a_year_of_days_can_be_asked_for_at_once() -> None:
    document = """
    { revenue(since: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z", interval: DAY) {
        currency points { start end received { amount currency } refunded { amount } net { amount } } }
      totals { currency overdueByAge { count amount { amount } } }
      counts { invoices { status count } webhookEvents { status count } }
      attention { unappliedPayments overpaidPayments unhealthyIntegrations } }
    """

    assert refused(document) == []
    assert cost(document) == 0


def test_what_is_asked_of_each_object_counts_too() -> None:
    """Ten thousand objects with two hundred fields each are two million values."""
    page = "{ invoices(first: 100) { nodes { payments(first: 90) { nodes { %s } } } } }"
    fields = " ".join(f"a{number}: createdAt" for number in range(200))

    assert sentence(cost_of(schema._schema, parse(page % fields), None, {})[1][0])[:2] == ("values", 200_000)
    assert cost(page % "id status createdAt") == 0


def test_a_mutation_costs_as_much_as_a_long_list() -> None:
    void = " ".join(f'v{number}: voidInvoice(id: "inv_{number}") {{ __typename }}' for number in range(50))
    twice = "mutation { ...M ...M } fragment M on Mutation { " + void + " }"

    assert cost("mutation { " + void + " }") == 0
    assert cost(twice) > 25_000


def test_introspection_is_asked_a_few_times_at_once_not_often() -> None:
    whole = get_introspection_query()
    fragments = whole[whole.index("fragment FullType") :]
    twice, often = (
        "{ " + " ".join(f"a{number}: __schema {{ types {{ ...FullType }} }}" for number in range(times)) + " }"
        for times in (2, 50)
    )

    assert cost(twice + fragments) == 0
    assert sentence(cost_of(schema._schema, parse(often + fragments), None, {})[1][0])[:2] == ("values", 200_000)


def test_only_the_operation_that_is_asked_for_is_counted() -> None:
    document = parse(
        "query Small { viewer { workspace { id } } }"
        " query Large { invoices(first: 100) { nodes { customer { invoices(first: 100) {"
        " nodes { customer { id } paymentLink { url } } } } } } }"
    )

    assert cost_of(schema._schema, document, "Small", {}) == (2, [])
    assert cost_of(schema._schema, document, "Large", {})[1] != []


# --- Variables ---------------------------------------------------------------------------------------------------


def test_variables_have_so_many_bytes_and_so_many_levels() -> None:
    deep: Any = 1
    for _ in range(10):
        deep = [deep]

    assert refused_for_variables({"a": "x" * 200_000}) == []
    assert sentence(refused_for_variables({"a": "x" * 300_000})[0])[:2] == ("variableBytes", 262_144)
    assert sentence(refused_for_variables({"a": deep})[0])[:2] == ("variableDepth", 10)
    assert refused_for_variables({"a": deep[0]}) == []
    assert refused_for_variables(None) == []


# --- By every way in ---------------------------------------------------------------------------------------------

ALIASED = "query ($x: ID) { " + " ".join(f"a{i}: __typename" for i in range(201)) + " b: invoice(id: $x) { id } }"
TOO_LARGE = {"query": "query ($x: ID!) { invoice(id: $x) { id } }", "variables": {"x": "x" * 300_000}}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, with nothing in it."""
    with running_app(cwd=tmp_path_factory.mktemp("limits")) as app:
        yield app


LOOP = (
    "query ($n: Int) { invoices(first: $n) { nodes { customer { invoices(first: $n) { nodes {"
    " total { amount } amountPaid { amount } } } } } } }"
)
MUTATIONS = " ".join(f'v{number}: voidInvoice(id: "inv_{number}") {{ __typename }}' for number in range(199))
TOO_MANY = {"query": LOOP, "variables": {"n": 100}}


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ({"query": ALIASED}, "aliases"),
        (TOO_LARGE, "variableBytes"),
        (TOO_MANY, "complexity"),
        ({"query": f"mutation {{ {MUTATIONS} }}"}, "complexity"),
    ],
    ids=["document", "variables", "cost", "mutations"],
)
async def test_limits_are_the_same_over_http_server_sent_events_and_websockets(
    app: RunningApp, asked: dict[str, Any], limit: str
) -> None:
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}"}
    async with httpx.AsyncClient(base_url=app.url, headers=authorization, timeout=30, **LOCAL) as http:
        plain = await http.post("/graphql", json=asked, headers={"Accept": "application/graphql-response+json"})
        events = await http.post("/graphql", json=asked, headers={"Accept": "text/event-stream"})
    async with GraphQLClient(app.url, app.announced["apiKey"]).socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": asked})
        frame = await socket.receive()

    streamed = next(line for line in events.text.splitlines() if line.startswith("data: {"))
    assert plain.status_code == 400
    assert frame["type"] == "error"
    for errors in (plain.json()["errors"], json.loads(streamed.removeprefix("data: "))["errors"], frame["payload"]):
        assert errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert errors[0]["extensions"]["limit"] == limit


async def test_what_a_subscription_answers_for_each_event_is_bounded_like_a_query(app: RunningApp) -> None:
    lists = "payments(first: 100) { nodes { invoice { " * 3 + "id" + " } } }" * 3
    asked = {"query": f"subscription {{ events {{ invoice {{ {lists} }} }} }}"}
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}"}

    async with httpx.AsyncClient(base_url=app.url, headers=authorization, timeout=30, **LOCAL) as http:
        events = await http.post("/graphql", json=asked, headers={"Accept": "text/event-stream"})
    async with GraphQLClient(app.url, app.announced["apiKey"]).socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": asked})
        frame = await socket.receive()

    streamed = next(line for line in events.text.splitlines() if line.startswith("data: {"))
    assert frame["type"] == "error"
    for errors in (json.loads(streamed.removeprefix("data: "))["errors"], frame["payload"]):
        assert (errors[0]["extensions"]["code"], errors[0]["extensions"]["limit"]) == ("LIMIT_EXCEEDED", "complexity")


def test_operations_are_not_taken_in_batches(app: RunningApp) -> None:
    batch = [{"query": "{ __typename }"}, {"query": "{ __typename }"}]
    authorization = {"Authorization": f"Bearer {app.announced['apiKey']}"}

    response = httpx.post(f"{app.url}/graphql", json=batch, headers=authorization, **LOCAL)

    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "The request must be one JSON object: batches are not taken."


# --- What is promised --------------------------------------------------------------------------------------------


def test_every_limit_on_documents_is_in_the_documentation_with_its_value() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operate" / "limits.md").read_text()

    sentence = {name: int(maximum) for name, maximum in re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", text, re.MULTILINE)}

    assert sentence == {limit.name: limit.maximum for limit in limits.LIMITS}
