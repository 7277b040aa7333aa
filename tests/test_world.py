"""The servers and databases that the other tests stand on."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.world.apart import run_apart
from tests.world.loaded import Process, started
from tests.world.postgres import Postgres
from tests.world.valkey import Valkey


async def _scalar(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_postgres_is_a_real_one_that_commits_synchronously(postgres_url: str) -> None:
    """What the measurements and the locks are about is version 18."""
    version = await _scalar(postgres_url, "SHOW server_version_num")

    assert str(version).startswith("18")
    assert await _scalar(postgres_url, "SHOW synchronous_commit") == "on"
    assert await _scalar(postgres_url, "SELECT count(*) FROM pg_stat_user_tables") == 0


async def test_a_postgres_database_is_a_copy_that_ends_with_its_block(postgres_server: Postgres) -> None:
    """Even while somebody is still connected."""
    template = postgres_server.create_database()
    await _scalar(postgres_server.url(template), "CREATE TABLE coin AS SELECT 5 AS cents")

    with postgres_server.database(template) as url:
        forgotten = await asyncpg.connect(url)
        copied = await forgotten.fetchval("SELECT cents FROM coin")

    assert copied == 5
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    forgotten.terminate()
    postgres_server.drop_database(template)


async def test_a_postgres_of_ones_own_can_be_stopped_and_started() -> None:
    """And keeps what was committed."""
    with Postgres() as server:
        url = server.url("postgres")
        await _scalar(url, "CREATE TABLE coin AS SELECT 5 AS cents")

        server.stop()

        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            await asyncpg.connect(url)

        server.start()

        assert await _scalar(url, "SELECT cents FROM coin") == 5
    assert not server.socket_folder.exists()


def test_a_synchronous_test_may_use_a_database_too(postgres_url: str) -> None:
    """The fixtures need no loop."""
    assert run_apart(_scalar, postgres_url, "SELECT 1") == 1


async def test_valkey_passes_messages(valkey_url: str) -> None:
    """To who subscribed before."""
    async with Redis.from_url(valkey_url) as client, client.pubsub() as listener:
        await listener.subscribe("test_support")
        subscribed = await listener.get_message(timeout=5)

        await client.publish("test_support", "hello")
        message = await listener.get_message(timeout=5)

    assert subscribed is not None
    assert subscribed["type"] == "subscribe"
    assert message is not None
    assert message["data"] == b"hello"


async def test_a_valkey_of_ones_own_can_be_stopped_and_started() -> None:
    """On the same port."""
    with Valkey() as server:
        server.stop()

        async with Redis.from_url(server.url) as client:
            with pytest.raises(RedisConnectionError):
                await client.get("coin")

        server.start()

        async with Redis.from_url(server.url) as client:
            assert await client.get("coin") is None


def test_sqlite_can_be_made_where_the_fixture_says(sqlite_url: str) -> None:
    """The path is what follows `sqlite://`."""
    path = sqlite_url.removeprefix("sqlite://")

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


async def test_a_migrated_database_has_nothing_left_to_migrate(database_url: str) -> None:
    """On either kind."""
    from database import migrate

    assert await migrate.migrate(database_url) == []


def _forked(script: str, tmp_path: Path, env: dict[str, str]) -> Process:
    (tmp_path / "script.py").write_text(script)
    with (tmp_path / "stdout").open("wb") as out, (tmp_path / "stderr").open("wb") as err:
        return started([str(tmp_path / "script.py")], ["--port", "0"], env, tmp_path, out, err)


def test_what_is_forked_is_a_process_of_its_own(tmp_path: Path) -> None:
    told = "os.getcwd(), dict(os.environ), sys.argv[1:], __name__, os.getpgid(0) == os.getpid()"

    process = _forked(f"import json, os, sys; print(json.dumps([{told}])); sys.exit(3)", tmp_path, {"ONLY": "this"})

    assert process.wait(20) == 3
    seen = json.loads((tmp_path / "stdout").read_text())
    assert seen == [str(tmp_path), {"ONLY": "this"}, ["--port", "0"], "__main__", True]


def test_how_a_fork_ended_is_told(tmp_path: Path) -> None:
    process = _forked("import time; time.sleep(60)", tmp_path, {})
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)

    process.send_signal(signal.SIGKILL)

    assert process.wait(20) == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)
    assert (process.poll(), process.returncode) == (-signal.SIGKILL, -signal.SIGKILL)
