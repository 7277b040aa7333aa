"""The command line, as an operator runs it."""

import os
import re
import signal
import socket
import stat
from pathlib import Path

import httpx
import pytest

from models.integration import SEALED_COLUMNS, bound_to
from models.secret import Keyring, generate_key, sealing_key_id
from tests.simulator.serving import eventually
from tests.world.app import (
    ENCRYPTION_KEY,
    Cli,
    StartApp,
    StartSimulator,
    Talking,
    running_simulator,
    settings_env,
)
from tests.world.local import LOCAL
from tests.world.seed import SECRET_KEY, WEBHOOK_SECRET, add_integration, rows, within

INTERRUPTED = 130
TEST_KEY = re.compile(r"flx_test_[0-9a-f]{40}")


@pytest.fixture
def cli(database_url: str) -> Cli:
    """The command line on a migrated database."""
    return Cli(settings_env(database_url))


def ask_who_is_calling(url: str, api_key: str) -> httpx.Response:
    return httpx.post(
        f"{url}/graphql",
        json={"query": "{ viewer { workspace { id name mode } } }"},
        headers={"Authorization": f"Bearer {api_key}"},
        **LOCAL,
    )


def assert_refused(cli: Cli, *arguments: str, says: str, code: int = 1) -> None:
    done = cli.run(*arguments)

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_every_command_starts_by_itself(tmp_path: Path) -> None:
    """As users start it; the other tests fork theirs from a Python that has loaded the product.

    So do `generate-key`, `workspace`, `serve` and `simulator` in the README's walk, and `simulate` in the demo.
    """
    cold = Cli(cwd=tmp_path, cold=True)

    assert cold("migrate")["applied"][0] == "m0001_initial"
    Cli(cwd=tmp_path)("workspace", "create", "Acme", "--mode", "test")
    assert len(cold("key", "list")["keys"]) == 1
    assert cold("rotate-encryption-key")["resealed"] == 0
    assert cold("sync") == {"integrations": []}
    assert cold("sums") == {"mistakes": []}


# --- Databases, workspaces and keys ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_migrate_says_what_it_applied(kind: str, request: pytest.FixtureRequest) -> None:
    """Without encryption keys: it needs none."""
    cli = Cli({"FLUXRATE_DATABASE_URL": request.getfixturevalue(f"{kind}_url")})

    first = cli("migrate")
    second = cli("migrate")

    assert first["applied"][0] == "m0001_initial"
    assert second == {"applied": []}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_database_that_is_not_migrated_is_refused(kind: str, request: pytest.FixtureRequest) -> None:
    cli = Cli(settings_env(request.getfixturevalue(f"{kind}_url")))

    assert_refused(cli, "workspace", "list", says='run "fluxrate migrate"')
    assert_refused(cli, "serve", "--port", "0", "--no-migrate", says='run "fluxrate migrate"')


def test_a_workspace_comes_with_a_key(cli: Cli, database_url: str) -> None:
    made = cli("workspace", "create", "  Acme  ", "--mode", "test")
    live = cli("workspace", "create", "Acme for real", "--mode", "LIVE")

    assert made["workspace"]["name"] == "Acme"
    assert made["workspace"]["mode"] == "TEST"
    assert TEST_KEY.fullmatch(made["apiKey"])
    assert live["apiKey"].startswith("flx_live_")
    assert cli("workspace", "list") == {"workspaces": [made["workspace"], live["workspace"]]}
    (logged,) = rows(database_url, "SELECT * FROM events WHERE workspace_id = $1", made["workspace"]["id"])
    assert (logged["type"], logged["actor"], logged["number"]) == ("API_KEY_CREATED", "system", 1)


def test_keys_are_made_listed_and_revoked(cli: Cli, database_url: str) -> None:
    """With one workspace its id need not be told."""
    workspace = cli("workspace", "create", "Acme", "--mode", "test")["workspace"]

    made = cli("key", "create", "--name", "CI", "--scope", "write", "--scope", "read", "--expires", "90d")
    revoked = cli("key", "revoke", made["key"]["id"])["key"]
    again = cli("key", "revoke", made["key"]["id"])["key"]
    first, second = cli("key", "list", "--workspace", workspace["id"])["keys"]

    assert TEST_KEY.fullmatch(made["apiKey"])
    assert made["key"]["scopes"] == ["READ", "WRITE"]
    assert made["key"]["expiresAt"] > made["key"]["createdAt"]
    assert made["key"]["revokedAt"] is None
    assert first["scopes"] == ["ADMIN"]
    assert revoked["revokedAt"] is not None
    assert second == revoked == again
    logged = rows(database_url, "SELECT type FROM events ORDER BY number")
    assert [line["type"] for line in logged] == ["API_KEY_CREATED", "API_KEY_CREATED", "API_KEY_REVOKED"]


def test_what_cannot_be_done_is_told_in_a_sentence(migrated_sqlite_url: str) -> None:
    cli = Cli(settings_env(migrated_sqlite_url))

    assert_refused(cli, "workspace", "create", "  ", "--mode", "test", says="The workspace's name is empty")
    assert_refused(cli, "workspace", "create", "Acme", "--mode", "both", says="'both'", code=2)
    assert_refused(cli, "key", "create", "--name", "CI", says="There is no workspace yet")
    cli("workspace", "create", "One", "--mode", "test")
    assert_refused(cli, "key", "create", "--name", "CI", "--expires", "2020-01-31", says="expired already")
    assert_refused(cli, "key", "create", "--name", "CI", "--expires", "soon", says="'soon' is not a time")
    assert_refused(cli, "key", "revoke", "key_unknown", says="There is no API key 'key_unknown'")
    assert_refused(cli, "key", "list", "--workspace", "ws_unknown", says="There is no workspace 'ws_unknown'")
    cli("workspace", "create", "Two", "--mode", "test")
    assert_refused(cli, "key", "list", says="There are 2 workspaces: name one with --workspace")


def test_people_are_shown_the_same_without_json(migrated_sqlite_url: str) -> None:
    cli = Cli(settings_env(migrated_sqlite_url))

    created = cli.run("workspace", "create", "Acme", "--mode", "test")
    listed = cli.run("workspace", "list")

    assert TEST_KEY.search(created.stdout)
    assert "sign in with this key" in created.stdout
    assert "Acme" in listed.stdout
    assert cli.run("migrate").stdout == "The database is up to date.\n"


def test_a_database_that_cannot_be_reached_is_told_without_its_password() -> None:
    cli = Cli(settings_env("postgres://fluxrate:s3cret@127.0.0.1:1/fluxrate"))

    done = cli.run("serve", "--port", "0")

    assert done.returncode == 1
    assert "postgres://fluxrate:***@127.0.0.1:1/fluxrate" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


# --- Encryption ------------------------------------------------------------------------------------------------


def test_a_generated_key_is_one() -> None:
    key = Cli()("generate-key")["encryptionKey"]

    assert len(Keyring.parse([key]).keys) == 1
    assert Cli().run("generate-key").stdout.strip() != key


def test_rotating_seals_everything_with_the_first_key(cli: Cli, database_url: str, start_app: StartApp) -> None:
    workspace = cli("workspace", "create", "Acme", "--mode", "test")["workspace"]
    integrations = [
        within(database_url, lambda: add_integration(workspace["id"], previous_secret="whsec_before")) for _ in range(3)
    ]
    new_key = generate_key()

    only_new = Cli(settings_env(database_url, env={"FLUXRATE_ENCRYPTION_KEYS": new_key}))
    assert_refused(only_new, "serve", "--port", "0", says="add it back")
    assert_refused(only_new, "rotate-encryption-key", says="is not among FLUXRATE_ENCRYPTION_KEYS")
    both = Cli(settings_env(database_url, env={"FLUXRATE_ENCRYPTION_KEYS": f"{new_key},{ENCRYPTION_KEY}"}))
    keyring = Keyring.parse([new_key])
    assert both("rotate-encryption-key") == {"resealed": 9, "keyId": keyring.primary_id}
    assert both("rotate-encryption-key")["resealed"] == 0

    start_app(database_url, env={"FLUXRATE_ENCRYPTION_KEYS": new_key})
    found = {row["id"]: row for row in rows(database_url, "SELECT * FROM integrations")}
    plain = dict(zip(SEALED_COLUMNS, (SECRET_KEY, WEBHOOK_SECRET, "whsec_before"), strict=True))
    for integration in integrations:
        for column, secret in plain.items():
            sealed = found[integration.id][column]
            assert sealing_key_id(sealed) == keyring.primary_id
            assert keyring.open(sealed, bound_to(integration.id, column)) == secret


# --- Serving ---------------------------------------------------------------------------------------------------


def test_several_workers_need_more_than_memory(migrated_sqlite_url: str) -> None:
    cli = Cli(settings_env(migrated_sqlite_url))

    assert_refused(cli, "serve", "--workers", "2", says="FLUXRATE_BROADCAST_URL to a redis:// URL")


def test_no_key_no_service(migrated_sqlite_url: str) -> None:
    cli = Cli({"FLUXRATE_DATABASE_URL": migrated_sqlite_url})

    assert_refused(cli, "serve", says="FLUXRATE_ENCRYPTION_KEYS is missing")


def test_a_port_in_use_is_told(migrated_sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert_refused(Cli(settings_env(migrated_sqlite_url)), "serve", "--port", str(port), says="choose another")


def test_serve_migrates_an_empty_database(postgres_url: str, start_app: StartApp) -> None:
    """And makes no workspace in it: only the embedded one is for trying."""
    app = start_app(postgres_url)

    assert "apiKey" not in app.announced
    assert app.cli("workspace", "list") == {"workspaces": []}


def test_the_embedded_databases_first_start_makes_a_workspace_and_shows_its_key_once(
    tmp_path: Path, start_app: StartApp
) -> None:
    first = start_app(cwd=tmp_path)
    key = first.announced["apiKey"]
    answer = ask_who_is_calling(first.url, key)
    first.stop()
    second = start_app(cwd=tmp_path)

    assert TEST_KEY.fullmatch(key)
    workspace = {"id": first.announced["workspace"]["id"], "name": "My workspace", "mode": "TEST"}
    assert answer.json()["data"] == {"viewer": {"workspace": workspace}}
    assert "apiKey" not in second.announced
    assert ask_who_is_calling(second.url, key).status_code == 200
    stored = b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir())
    assert key.encode() not in stored
    assert key not in first.stderr + second.stdout + second.stderr


def test_the_embedded_databases_key_is_never_minted_anew(tmp_path: Path) -> None:
    """`migrate` makes it with the database; once it is lost, nothing starts."""
    cli = Cli(cwd=tmp_path)
    cli("migrate")

    (tmp_path / "var" / "encryption.key").unlink()

    assert_refused(cli, "serve", "--port", "0", says="set FLUXRATE_ENCRYPTION_KEYS")
    assert "encryption.key" not in os.listdir(tmp_path / "var")
    assert cli("workspace", "list") == {"workspaces": []}


def test_what_the_embedded_database_is_kept_in_is_its_owners_alone(tmp_path: Path, start_app: StartApp) -> None:
    """Also where an earlier version had left it open, while it is served."""
    (tmp_path / "var").mkdir(mode=0o755)

    start_app(cwd=tmp_path)

    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").iterdir()}
    assert {"fluxrate.sqlite3", "fluxrate.sqlite3-wal", "encryption.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_database_whose_folder_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A mistyped path would begin an empty database."""
    cli = Cli(settings_env(f"sqlite://{tmp_path}/vra/fluxrate.sqlite3"))

    for command in (["migrate"], ["serve", "--port", "0"]):
        assert_refused(cli, *command, says=f"The folder {tmp_path}/vra does not exist")
    assert os.listdir(tmp_path) == []


def test_a_new_database_is_announced_with_its_path(tmp_path: Path) -> None:
    cli = Cli(settings_env(f"sqlite://{tmp_path}/fluxrate.sqlite3"))

    first, second = cli.run("migrate"), cli.run("migrate")

    assert f"a new one was made at {tmp_path}/fluxrate.sqlite3" in first.stderr
    assert second.stderr == ""
    assert stat.S_IMODE((tmp_path / "fluxrate.sqlite3").stat().st_mode) == 0o600


def test_a_person_is_told_what_to_do_next(tmp_path: Path) -> None:
    """What scripts/run shows where there is no dashboard; where there is one it shows a link to it."""
    serving = Talking(["serve", "--port", "0"], {"FLUXRATE_DASHBOARD": "off"}, tmp_path)
    try:
        said = serving.read_until("Authorization")
        serving.process.send_signal(signal.SIGINT)

        assert serving.process.wait(20) == INTERRUPTED
    finally:
        serving.forget()
    url = re.search(r"http://127\.0\.0\.1:\d+/graphql", said)
    key = TEST_KEY.search(said)
    assert url is not None
    assert key is not None
    assert f'{{"Authorization": "Bearer {key[0]}"}}' in said


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_serve_until_they_are_told_to_stop(
    workers: int, migrated_postgres_url: str, valkey_url: str, start_app: StartApp
) -> None:
    """Several are started as users start them; other tests fork theirs."""
    app = start_app(migrated_postgres_url, valkey_url, workers, cold=workers > 1)
    key = app.cli("workspace", "create", "Acme", "--mode", "test")["apiKey"]

    answers = [ask_who_is_calling(app.url, key) for _ in range(10)]
    counters = (
        'fluxrate_http_requests_total{route="/graphql",status="200"} 10.0',
        'fluxrate_graphql_queries_total{answered_by="plan"} 10.0',
    )
    eventually(lambda: set(counters) <= set(httpx.get(f"{app.url}/metrics", **LOCAL).text.splitlines()))
    app.stop()

    assert [answer.status_code for answer in answers] == [200] * 10
    assert "Traceback" not in app.stderr


def test_the_simulator_serves_this_machine_only(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()

    assert httpx.get(f"{simulator.url}/", **LOCAL).status_code == 200
    assert_refused(Cli(), "simulator", "--host", "0.0.0.0", says="127.0.0.1")


def test_the_schema_is_printed() -> None:
    assert "type Query" in Cli().run("schema").stdout
    assert "type Mutation" in Cli()("schema")["schema"]


def test_a_wrong_use_ends_with_2() -> None:
    assert Cli().run("serve", "--port", "high").returncode == 2
    assert Cli().run("nonsense").returncode == 2


def test_sync_fetches_what_never_arrived(migrated_sqlite_url: str, start_app: StartApp) -> None:
    """While nothing is served; a workspace's integrations are told each, and an unknown one is refused."""
    with running_simulator() as simulator:
        app = start_app(migrated_sqlite_url, stripe_api_base=simulator.url)
        made = app.cli("workspace", "create", "Acme", "--mode", "test")
        connect = 'mutation { connectStripe(input: {name: "Stripe", secretKey: "sk_test_sync_123456"}) {'
        connect += " ... on ConnectStripeSuccess { integration { id } } } }"
        answer = httpx.post(
            f"{app.url}/graphql",
            json={"query": connect},
            headers={"Authorization": f"Bearer {made['apiKey']}"},
            **LOCAL,
        ).json()
        id_ = answer["data"]["connectStripe"]["integration"]["id"]

        (synced,) = app.cli("sync", "--since", "7d")["integrations"]

        assert (synced["id"], synced["found"], synced["failed"], synced["complete"]) == (id_, 0, 0, True)
