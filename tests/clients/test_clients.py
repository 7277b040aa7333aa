"""The ecosystem's own clients speak with the product, and those of the documentation's recipes lose nothing."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from edge.graphql.socket import CLOSE_CODES
from tests.clients.conftest import ROOT, node, node_environment, recipes, run
from tests.world.app import RunningApp, running_app
from tests.world.documents import CREATE_CUSTOMER
from tests.world.graphql_client import GraphQLClient

FOLLOWING: Final = ["graphql-ws", "apollo", "urql", "graphql-sse", "eventsource"]
ONE_OF_THEM: Final = [FOLLOWING[0], *(pytest.param(name, marks=pytest.mark.long) for name in FOLLOWING[1:])]
"""What they do when they are refused: the first always, the others with --long."""

AS_THEY_COME: Final = [
    "graphql-ws",
    "graphql-sse",
    "apollo over multipart",
    "apollo over a socket",
    "apollo with persisted queries",
    "urql",
    "relay",
]
AUDITS: Final = 61

pytestmark = pytest.mark.timeout(300)  # the first test installs the packages


def answer_of(clients: Path, script: str, *arguments: str) -> Any:
    """What a script prints."""
    return json.loads(run(clients, node(), script, *arguments))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product."""
    with running_app(cwd=tmp_path_factory.mktemp("clients")) as app:
        yield app


def test_graphql_over_http_is_as_its_audits_say(clients: Path, app: RunningApp) -> None:
    """All of them, also those that are only recommended."""
    results = answer_of(clients, "audits.mjs", app.url, app.announced["apiKey"])

    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS


@pytest.mark.parametrize("client", AS_THEY_COME)
def test_a_client_as_it_comes_asks_and_changes_and_follows(clients: Path, app: RunningApp, client: str) -> None:
    told = answer_of(clients, "as_they_come.mjs", client, app.url, app.announced["apiKey"])

    assert told["asked"]["viewer"]["workspace"]["name"]
    assert told["changed"]["createCustomer"]["customer"]["name"] == client
    assert told["event"]["events"]["type"] == "CUSTOMER_CREATED"


class Follower:
    """A frontend that follows by a recipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.numbers: list[int] = []

    async def next(self) -> dict[str, Any]:
        """What it is told next."""
        assert self._process.stdout is not None
        async with asyncio.timeout(40):
            told: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return told

    async def sees(self, number: int) -> None:
        """Wait until it was told of a line of the log."""
        while number not in self.numbers:
            told = await self.next()
            assert "error" not in told, told
            self.numbers.append(int(told["cursor"].rpartition(".")[2]))


@asynccontextmanager
async def following(clients: Path, recipe: str, url: str, key: str, after: str) -> AsyncIterator[Follower]:
    """Somebody who follows by a recipe, while the block lasts."""
    process = await asyncio.create_subprocess_exec(
        node(), "follow.mjs", recipe, url, key, after, cwd=clients, env=node_environment(), stdin=PIPE, stdout=PIPE
    )
    try:
        yield Follower(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it ends with its input; where the machine's is a script, a kill would leave its child
        await process.wait()


async def add(client: GraphQLClient, count: int) -> int:
    """So many lines for the log; the number of the last."""
    for number in range(count):
        await client.mutate(CREATE_CUSTOMER, input={"name": f"Ada {number}", "email": "ada@example.com"})
    return int((await cursor_of(client)).rpartition(".")[2])


async def cursor_of(client: GraphQLClient) -> str:
    """Where the log is."""
    cursor: str = (await client.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    return cursor


@pytest.mark.parametrize("recipe", FOLLOWING)
async def test_a_recipe_is_told_everything_once_through_a_restart(
    clients: Path, migrated_sqlite_url: str, recipe: str
) -> None:
    """What happened before it came, while it was there, and while it could not be: in order, nothing twice."""
    with running_app(migrated_sqlite_url) as first:
        key = first.workspace().api_key
        port = int(first.url.rpartition(":")[2])
        async with GraphQLClient(first.url, key) as client:
            after = await cursor_of(client)
            begin = int(after.rpartition(".")[2])
            await add(client, 2)
            async with following(clients, recipe, first.url, key, after) as follower:
                await follower.sees(begin + 2)
                await follower.sees(await add(client, 2))
                await asyncio.to_thread(first.stop)
                with running_app(migrated_sqlite_url, port=port) as second:
                    async with GraphQLClient(second.url, key) as again:
                        await follower.sees(await add(again, 3))

    assert follower.numbers == list(range(begin + 1, begin + 8))


@pytest.mark.parametrize("recipe", ONE_OF_THEM)
async def test_a_recipe_with_a_wrong_key_is_told_so(clients: Path, app: RunningApp, recipe: str) -> None:
    """And does not go on trying."""
    key = app.announced["apiKey"].replace("flx_test_", "flx_test_0")[:-1]
    async with following(clients, recipe, app.url, key, "anything") as follower:
        told = await follower.next()

    assert "error" in told


@pytest.mark.parametrize("recipe", ONE_OF_THEM)
async def test_a_recipe_with_a_wrong_cursor_is_told_so(clients: Path, app: RunningApp, recipe: str) -> None:
    async with following(clients, recipe, app.url, app.announced["apiKey"], "made-up") as follower:
        told = await follower.next()

    assert "not an event cursor" in json.dumps(told["error"])


@asynccontextmanager
async def behind_a_proxy(url: str, refusing: int) -> AsyncIterator[str]:
    """An address that is answered by a proxy: 502 to so many, as while a server restarts, then passed on."""
    host, port = url.removeprefix("http://").split(":")
    came = 0

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came <= refusing:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()
            return
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pass_on(reader, behind[1]), pass_on(behind[0], writer))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        assert came > refusing
    finally:
        proxy.close()


@pytest.mark.parametrize("recipe", ONE_OF_THEM)
async def test_a_recipe_comes_back_after_a_proxys_refusals(clients: Path, app: RunningApp, recipe: str) -> None:
    key = app.announced["apiKey"]
    async with GraphQLClient(app.url, key) as client, behind_a_proxy(app.url, 3) as url:
        after = await cursor_of(client)
        begin = int(after.rpartition(".")[2])
        async with following(clients, recipe, url, key, after) as follower:
            await follower.sees(await add(client, 2))

    assert follower.numbers == [begin + 1, begin + 2]


def test_every_recipe_is_run() -> None:
    assert set(recipes("live.md")) == {f"{name}.mjs" for name in [*FOLLOWING, "resuming", "alive", "relay"]}


def test_every_close_code_is_documented() -> None:
    text = (ROOT / "docs" / "use" / "live.md").read_text()

    assert set(map(int, re.findall(r"^\| (\d{4}) \|", text, re.MULTILINE))) == set(CLOSE_CODES)
