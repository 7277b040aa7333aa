"""What docs/use/reading.md tells a frontend's developer to write: all of it runs, and says what the page says."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from tests.clients.conftest import ROOT, TYPED, node, recipes, run
from tests.world.app import RunningApp, running_app
from tests.world.documents import CREATE_CUSTOMER, CREATE_INVOICE
from tests.world.graphql_client import GraphQLClient

PAGE: Final = (ROOT / "docs" / "use" / "reading.md").read_text()
QUERY: Final = re.compile(r"^```graphql\n(.*?)^```(?:\n+```json\n(\{.*?)^```)?", re.DOTALL | re.MULTILINE)
RUN: Final = {
    "ask",
    "pages",
    "values",
    "session",
    "apollo-cache",
    "urql-cache",
    "asking-again",
    "apollo-live",
    "urql-live",
}
IMPORTED: Final = {"schema.mjs"}
COMPILED: Final = {"tsconfig.json", "tada.ts", "codegen.ts", "generated.ts"}

pytestmark = pytest.mark.timeout(300)  # the first test installs the packages


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product."""
    with running_app(cwd=tmp_path_factory.mktemp("reading")) as app:
        yield app


@pytest.fixture
async def client(app: RunningApp) -> AsyncIterator[GraphQLClient]:
    """A workspace of the test's own with three customers and as many drafts."""
    key = app.workspace().api_key
    async with GraphQLClient(app.url, key) as client:
        for name in ("Ada", "Ben", "Cleo"):
            made = await client.mutate(CREATE_CUSTOMER, input={"name": name, "email": "ada@example.com"})
            lines = [{"description": "Work", "quantity": "1", "unitAmount": "19.99"}]
            given = {"customerId": made["customer"]["id"], "currency": "EUR", "lineItems": lines}
            await client.mutate(CREATE_INVOICE, input=given)
        yield client


def told(clients: Path, recipe: str, client: GraphQLClient) -> Any:
    """What a frontend is told that does as a recipe says."""
    return json.loads(run(clients, node(), "reading.mjs", recipe, client.url, client.api_key))


@pytest.mark.parametrize(("query", "variables"), QUERY.findall(PAGE))
async def test_every_query_is_answered(client: GraphQLClient, query: str, variables: str) -> None:
    answer = await client.query(query, **json.loads(variables or "{}"))

    assert all(value is not None for value in answer.values())


def test_everything_is_run() -> None:
    assert set(recipes("reading.md")) == {f"{name}.mjs" for name in RUN} | IMPORTED | COMPILED


def test_an_error_has_its_code(clients: Path, client: GraphQLClient) -> None:
    assert told(clients, "ask", client) == {
        "refused": "INVALID_INPUT",
        "answered": {"viewer": {"workspace": {"mode": "TEST"}}},
    }


async def test_all_pages_make_the_list(clients: Path, client: GraphQLClient) -> None:
    found = told(clients, "pages", client)

    assert found == [node["id"] for node in (await client.query("{ invoices { nodes { id } } }"))["invoices"]["nodes"]]
    assert len(found) == 3


def test_money_and_dates_are_shown_exactly(clients: Path, client: GraphQLClient) -> None:
    assert told(clients, "values", client) == {
        "money": ["$19.90", "¥800", "$9,007,199,254,740,993.10"],
        "sum": "9007199254740994",
        "day": "Nov 23, 2026",
    }


def test_a_session_asks_until_it_is_left(clients: Path, client: GraphQLClient) -> None:
    seen = told(clients, "session", client)

    assert "key" in seen.pop("wrong")
    assert seen["asked"].pop("extensions").keys() == {"cost", "rateLimit"}
    assert seen == {
        "right": None,
        "isSignedIn": True,
        "asked": {"isSignedOut": False, "data": {"viewer": {"workspace": {"mode": "TEST"}}}},
        "left": 204,
        "after": True,
    }


@pytest.mark.parametrize("cache", ["apollo-cache", "urql-cache"])
def test_a_cache_joins_pages_and_keeps_problems(clients: Path, client: GraphQLClient, cache: str) -> None:
    seen = told(clients, cache, client)

    assert seen["names"] == ["Cleo", "Ben", "Ada"]
    assert seen["problem"] == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "path": ["input", "name"]}
    assert seen.get("warnings", []) == []
    assert seen.get("money") is None


def test_what_is_told_at_once_is_asked_for_twice(clients: Path, client: GraphQLClient) -> None:
    assert told(clients, "asking-again", client) == {"atOnce": 1, "asked": 2, "isPaced": True}


@pytest.mark.parametrize("recipe", ["apollo-live", "urql-live"])
def test_what_is_shown_is_asked_for_again(clients: Path, client: GraphQLClient, recipe: str) -> None:
    assert told(clients, recipe, client)[0] == "Newest"


@pytest.fixture
def folder(clients: Path) -> Iterator[Path]:
    """A project of the test's own, whose packages are those of the folder around it."""
    with TemporaryDirectory(dir=clients, prefix=TYPED) as name:
        yield Path(shutil.copytree(clients / TYPED, name, dirs_exist_ok=True))


def use(folder: Path, tool: str, *arguments: str) -> None:
    """Run a package's tool, as npx does, which loads npm first."""
    run(folder, node(), str(folder.parent / "node_modules" / ".bin" / tool), *arguments, within_s=100)


@pytest.mark.long
def test_types_are_made_and_hold(folder: Path) -> None:
    """Both tools' at once; and a field that there is not is refused by either."""
    use(folder, "gql.tada", "generate", "output")
    use(folder, "graphql-codegen", "--config", "codegen.ts")
    use(folder, "tsc")
    names = ("tada.ts", "generated.ts")
    for name in names:
        text = (folder / name).read_text()
        (folder / name).write_text(re.sub(r"\.amount\b", ".amout", text))
    with pytest.raises(AssertionError) as refused:
        use(folder, "tsc")
    said = str(refused.value)
    assert [name for name in names if re.search(rf"\b{name}\(.*'amout'", said)] == list(names)
