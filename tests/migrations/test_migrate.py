"""Bringing a database up to date."""

import asyncio
import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

import migrations
from database.access import Database, transaction
from database.dialect import dialect_of, sqlite_path
from database.migrate import migrate, pending_migrations
from errors import ConfigurationError
from tests.migrations import declared, found
from tests.models.rows import ROWS, insert_all

ROOT = Path(migrations.__path__[0]).parent
MIGRATE = """
import asyncio, json, sys
from database.migrate import migrate
print(json.dumps(asyncio.run(migrate(sys.argv[1]))))
"""

LATER = """
from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    dependencies = [("models", {last!r})]
    operations = [Sql(*{statements!r})]
"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def _migrate_in_a_process(url: str, release: Path = ROOT) -> list[str]:
    """What a release of the product applies; its folder comes before ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MIGRATE,
        url,
        cwd=release,
        env={**os.environ, "PYTHONPATH": f"{release}{os.pathsep}{ROOT}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    if process.returncode:
        raise ChildProcessError(stderr.decode())
    applied: list[str] = json.loads(stdout)
    return applied


def _release_with(folder: Path, *statements: str) -> Path:
    """A later release: our migrations and one more."""
    copy = folder / "release" / "migrations"
    shutil.copytree(ROOT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = LATER.format(last=_all_migrations()[-1], statements=statements)
    (copy / "m9999_later.py").write_text(source)
    return copy.parent


def _all_migrations() -> list[str]:
    return sorted(path.stem for path in (ROOT / "migrations").glob("m*.py"))


def _touch(url: str) -> None:
    if dialect_of(url) == "sqlite":
        sqlite_path(url).touch()


async def test_migrating_applies_everything_in_order_and_then_nothing(empty_url: str) -> None:
    first = await migrate(empty_url)

    second = await migrate(empty_url)

    assert first == _all_migrations()
    assert second == []


async def test_what_is_pending_is_told_before_and_after(empty_url: str) -> None:
    await asyncio.to_thread(_touch, empty_url)
    before = await pending_migrations(empty_url)

    await migrate(empty_url)

    assert before == _all_migrations()
    assert await pending_migrations(empty_url) == []


async def test_tasks_that_migrate_at_once_all_succeed_and_one_works(empty_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))

    assert sorted(applied) == [[], [], [], _all_migrations()]


async def test_processes_that_migrate_at_once_all_succeed_and_one_works(empty_url: str) -> None:
    applied = await asyncio.gather(*(_migrate_in_a_process(empty_url) for _ in range(2)))

    assert sorted(applied) == [[], _all_migrations()]


async def test_a_migration_waits_for_one_that_holds_the_lock_and_not_for_a_dead_one(empty_url: str) -> None:
    """The locks go with the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys; from database.migrate import _migration_lock\n"
        "async def hold():\n"
        "    async with _migration_lock(sys.argv[1], embedded=False):\n"
        "        print('held', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(hold())",
        empty_url,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    migrating = asyncio.create_task(migrate(empty_url))
    await asyncio.wait({migrating}, timeout=0.3)
    waited = not migrating.done()

    process.kill()
    await process.wait()

    assert waited
    assert await migrating == _all_migrations()


async def test_a_later_migration_loses_no_row_no_constraint_and_no_index(database_url: str, tmp_path: Path) -> None:
    release = _release_with(
        tmp_path,
        *(f"ALTER TABLE {table} ADD COLUMN added {{BIGINT}} NOT NULL DEFAULT 7" for table in declared.tables()),
        *(f"CREATE INDEX {table}_by_added ON {table} (added)" for table in declared.tables()),
        "CREATE TABLE later (id TEXT PRIMARY KEY, seen {INSTANT}) {STRICT}",
    )
    async with Database(database_url):
        async with transaction() as tx:
            await insert_all(tx, ROWS)
        rows, constraints = await found.rows(), await found.constraint_names()
        indexes = await found.index_definitions()

    applied = await _migrate_in_a_process(database_url, release)

    assert applied == ["m9999_later"]
    async with Database(database_url):
        assert await found.rows() == {
            "later": [],
            **{table: [{**row, "added": 7} for row in own] for table, own in rows.items()},
        }
        assert await found.constraint_names() == constraints | {"later_pkey"}
        assert await found.index_definitions() == indexes | {
            name: sql for name, sql in (await found.index_definitions()).items() if name.endswith("_by_added")
        }


async def test_a_migration_that_fails_halfway_leaves_nothing_of_itself(database_url: str, tmp_path: Path) -> None:
    release = _release_with(tmp_path, "CREATE TABLE later (id TEXT)", "DROP TABLE no_such_table")

    with pytest.raises(ChildProcessError, match="no_such_table"):
        await _migrate_in_a_process(database_url, release)

    async with Database(database_url):
        assert set(await found.nullable_columns()) == set(declared.tables())
    assert await pending_migrations(database_url) == []


# --- Wrong addresses -------------------------------------------------------------------------------------------

WRONG_URLS = [
    "",
    "fluxrate.sqlite3",
    "mysql://fluxrate:hunter2@localhost/fluxrate",
    "sqlite://",
    "sqlite://:memory:",
    "postgres://fluxrate:hunter2@127.0.0.1:{free_port}/fluxrate",
    "postgresql://fluxrate:hunter2@127.0.0.1:{free_port}/fluxrate?sslmode=verify-full",
    "postgres://fluxrate:hun@ter2@127.0.0.1:{free_port}/fluxrate",
    "postgres://fluxrate:hun/hunter2@127.0.0.1:{free_port}/fluxrate",
    "postgres://fluxrate:hunter2#@127.0.0.1:{free_port}/fluxrate",
    "postgres://fluxrate:hunter2@127.0.0.1:hunter2/fluxrate",
    "postgres://127.0.0.1:{free_port}/fluxrate?user=fluxrate&password=hunter2",
    "postgres://fluxrate:hunter2@/fluxrate?host=127.0.0.1&port=hunter2",
    "postgres://fluxrate:hunter2@[::1/fluxrate",
    "postgres://fluxrate:hunter2@127.0.0.1:{free_port}/fluxrate?sslmode=perhaps",
    "postgres://fluxrate:hunter2@name.invalid/fluxrate",
    "postgres://fluxrate:hunter2@/fluxrate?host={folder}",
]
CALLS = ["open", "migrate", "pending_migrations"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def _call(name: str, url: str) -> None:
    if name == "open":
        async with Database(url):
            pass
    else:
        await {"migrate": migrate, "pending_migrations": pending_migrations}[name](url)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("url", WRONG_URLS)
async def test_a_wrong_or_unreachable_address_is_told_in_a_sentence_without_its_password(
    url: str, call: str, tmp_path: Path
) -> None:
    url = url.format(free_port=_free_port(), folder=tmp_path)

    with pytest.raises(ConfigurationError) as error:
        await _call(call, url)

    assert error.value.message.endswith(".")
    assert "hunter2" not in error.value.message
    assert "ter2" not in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("address", ["postgres://postgres@/missing{options}", "postgres://nobody:hunter2@/x{options}"])
async def test_a_database_or_a_user_that_is_not_there_is_told(address: str, call: str, postgres_url: str) -> None:
    url = address.format(options=postgres_url[postgres_url.index("?") :])

    with pytest.raises(ConfigurationError, match="FLUXRATE_DATABASE_URL") as error:
        await _call(call, url)

    assert "hunter2" not in error.value.message


@pytest.mark.parametrize("call", CALLS)
async def test_a_file_that_is_no_database_is_told_and_left_alone(call: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada, " * 100)

    with pytest.raises(ConfigurationError, match=r"letter\.txt.*not a database"):
        await _call(call, f"sqlite://{path}")

    assert path.read_text() == "Dear Ada, " * 100


@pytest.mark.parametrize("call", CALLS)
async def test_a_folder_is_no_database(call: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"database at "):
        await _call(call, f"sqlite://{tmp_path}")


@pytest.mark.parametrize("call", ["open", "pending_migrations"])
async def test_a_database_that_was_never_made_is_told_with_the_command_that_makes_it(
    call: str, sqlite_url: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match='run "fluxrate migrate" first'):
        await _call(call, sqlite_url)

    assert _names_in(tmp_path) == []


async def test_migrating_makes_the_folder_of_the_embedded_file(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/var/deep/fluxrate.sqlite3"

    await migrate(url, embedded=True)

    async with Database(url):
        assert set(await found.nullable_columns()) == set(declared.tables())


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")

    with pytest.raises(ConfigurationError, match="can't be migrated"):
        await migrate(f"sqlite://{tmp_path}/var/fluxrate.sqlite3")
