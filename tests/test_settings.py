"""Settings: what is taken, what is refused, and the embedded database's own key."""

import os
import re
import stat
from pathlib import Path

import pytest

from errors import ConfigurationError
from settings import NAMES, Settings
from tests.world.app import ENCRYPTION_KEY

POSTGRES = "postgres://fluxrate:s3cret@db.example.com/fluxrate"
COMPLETE = {"FLUXRATE_DATABASE_URL": POSTGRES, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**variables: str) -> Settings:
    return Settings.from_env(COMPLETE | {f"FLUXRATE_{name}": value for name, value in variables.items()})


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env(environ)
    return refused.value.message


def test_nothing_set_means_the_embedded_database_and_this_machine_alone() -> None:
    made = Settings.from_env({})

    assert made.embedded
    assert made.database_url == "sqlite://var/fluxrate.sqlite3"
    assert made.broadcast_url == "memory://"
    assert made.public_url == "http://127.0.0.1:8000"
    assert made.stripe_api_base is None
    assert made.allowed_origins == ()
    assert made.trusted_proxies == ()
    assert made.introspection
    assert made.graphiql
    assert made.dashboard
    assert made.trusted_documents is None
    assert (made.rate_limit_per_key, made.rate_limit_per_address) == ("12000/minute", "12000/minute")


def test_an_empty_variable_counts_as_missing() -> None:
    made = settings(BROADCAST_URL="", PUBLIC_URL="  ", STRIPE_API_BASE="")

    assert (made.broadcast_url, made.stripe_api_base) == ("memory://", None)
    assert made.public_url == "http://127.0.0.1:8000"
    assert "FLUXRATE_ENCRYPTION_KEYS is missing" in refusal({**COMPLETE, "FLUXRATE_ENCRYPTION_KEYS": " "})


def test_all_that_is_wrong_is_told_in_one_error() -> None:
    message = refusal(
        {
            "FLUXRATE_DATABASE_URL": "mysql://localhost",
            "FLUXRATE_BROADCAST_URL": "kafka://localhost",
            "FLUXRATE_PUBLIC_URL": "example.com",
            "FLUXRATE_STRIPE_API_BASE": "http://stripe.example.com",
            "FLUXRATE_ALLOWED_ORIGINS": "*",
            "FLUXRATE_TRUSTED_PROXIES": "proxy",
            "FLUXRATE_INTROSPECTION": "maybe",
            "FLUXRATE_GRAPHIQL": "2",
            "FLUXRATE_RATE_LIMIT_PER_KEY": "many",
            "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "10/fortnight",
        }
    )

    assert message.startswith("11 settings must be fixed:")
    for name in (
        "DATABASE_URL",
        "BROADCAST_URL",
        "PUBLIC_URL",
        "STRIPE_API_BASE",
        "ALLOWED_ORIGINS",
        "TRUSTED_PROXIES",
        "INTROSPECTION",
        "GRAPHIQL",
        "RATE_LIMIT_PER_KEY",
        "RATE_LIMIT_PER_ADDRESS",
    ):
        assert f"- FLUXRATE_{name} must" in message
    assert "- FLUXRATE_ENCRYPTION_KEYS is missing" in message


def test_one_thing_wrong_is_one_sentence() -> None:
    message = refusal({"FLUXRATE_DATABASE_URL": POSTGRES})

    assert message == 'FLUXRATE_ENCRYPTION_KEYS is missing: generate one with "fluxrate generate-key".'


def test_a_database_of_ones_own_needs_a_key_of_ones_own(folder: Path) -> None:
    """SQLite too, once its place was chosen."""
    message = refusal({"FLUXRATE_DATABASE_URL": "sqlite://elsewhere.sqlite3"})

    assert message.startswith("FLUXRATE_ENCRYPTION_KEYS is missing")
    assert list(folder.iterdir()) == []


def test_what_is_secret_is_not_represented() -> None:
    represented = repr(settings(BROADCAST_URL="redis://:hush@localhost"))

    assert "s3cret" not in represented
    assert "hush" not in represented
    assert ENCRYPTION_KEY not in represented


@pytest.mark.parametrize("url", ["redis://localhost", "rediss://:pw@cache.example.com:6380/1", "memory://"])
def test_a_broadcast_url_is_taken(url: str) -> None:
    assert settings(BROADCAST_URL=url).broadcast_url == url


@pytest.mark.parametrize("url", ["postgres://localhost", "redis://", "localhost:6379", "redis://[", "memory://x"])
def test_a_broadcast_url_is_refused(url: str) -> None:
    assert "FLUXRATE_BROADCAST_URL" in refusal({**COMPLETE, "FLUXRATE_BROADCAST_URL": url})


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://billing.example.com", "https://billing.example.com"),
        ("https://Billing.Example.com:8443/", "https://billing.example.com:8443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_public_url_is_an_origin(given: str, taken: str) -> None:
    assert settings(PUBLIC_URL=given).public_url == taken


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/app",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://me@example.com",
        "ftp://example.com",
        "https://",
        "https://example.com:port",
        "https://exa mple.com",
        "//example.com",
    ],
)
def test_a_public_url_with_anything_else_is_refused(url: str) -> None:
    assert "FLUXRATE_PUBLIC_URL" in refusal({**COMPLETE, "FLUXRATE_PUBLIC_URL": url})


@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:12111", "http://localhost:12111", "http://[::1]:12111", "https://stripe-mock.example.com"],
)
def test_stripes_api_may_be_elsewhere_on_this_machine_or_by_https(base: str) -> None:
    assert settings(STRIPE_API_BASE=base).stripe_api_base == base


def test_stripes_own_host_is_nowhere_else() -> None:
    """Live keys stay allowed."""
    assert settings(STRIPE_API_BASE="https://api.stripe.com").stripe_api_base is None


@pytest.mark.parametrize("base", ["http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com"])
def test_stripe_keys_are_not_sent_in_the_clear(base: str) -> None:
    assert "FLUXRATE_STRIPE_API_BASE" in refusal({**COMPLETE, "FLUXRATE_STRIPE_API_BASE": base})


def test_lists_are_separated_by_commas() -> None:
    made = settings(
        ALLOWED_ORIGINS="https://app.example.com, http://localhost:3000,",
        TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1",
        ENCRYPTION_KEYS=f"{ENCRYPTION_KEY},{ENCRYPTION_KEY}",
    )

    assert made.allowed_origins == ("https://app.example.com", "http://localhost:3000")
    assert made.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32")
    assert made.encryption_keys == (ENCRYPTION_KEY, ENCRYPTION_KEY)


@pytest.mark.parametrize("key", ["c2hvcnQ=", "not base64!", f"{ENCRYPTION_KEY},x"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    message = refusal({**COMPLETE, "FLUXRATE_ENCRYPTION_KEYS": key})

    assert "FLUXRATE_ENCRYPTION_KEYS is not base64 of 32 bytes" in message
    assert key not in message


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("6000/minute", "6000/minute"),
        ("10 / second", "10/second"),
        ("1/day", "1/day"),
        ("0", None),
        ("off", None),
        ("OFF", None),
    ],
)
def test_a_rate_limit_is_so_many_in_a_time_or_off(given: str, taken: str | None) -> None:
    made = settings(RATE_LIMIT_PER_KEY=given)

    assert made.rate_limit_per_key == taken
    assert made.rate_limit_per_address == "12000/minute"


@pytest.mark.parametrize("rate", ["-1/minute", "0/minute", "1", "1/2 minutes", "1.5/second", "9999999999/day", "on"])
def test_a_rate_limit_is_refused(rate: str) -> None:
    assert "FLUXRATE_RATE_LIMIT_PER_ADDRESS must be like" in refusal(
        {**COMPLETE, "FLUXRATE_RATE_LIMIT_PER_ADDRESS": rate}
    )


def test_the_dashboard_can_be_switched_off() -> None:
    assert not settings(DASHBOARD="off").dashboard
    assert "FLUXRATE_DASHBOARD" in refusal({**COMPLETE, "FLUXRATE_DASHBOARD": "maybe"})


def test_what_kubernetes_tells_of_a_service_of_our_name_is_no_setting() -> None:
    """It gives every container the addresses of the services beside it."""
    given = {
        "FLUXRATE_SERVICE_HOST": "10.0.0.1",
        "FLUXRATE_SERVICE_PORT_HTTP": "80",
        "FLUXRATE_PORT": "tcp://10.0.0.1:80",
        "FLUXRATE_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FLUXRATE_PORT_80_TCP_ADDR": "10.0.0.1",
        "FLUXRATE_WEB_SERVICE_HOST": "10.0.0.2",
    }

    Settings.from_env({"FLUXRATE_DATABASE_URL": POSTGRES, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY, **given})


@pytest.mark.parametrize(("given", "taken"), [("on", True), ("TRUE", True), ("1", True), ("off", False), ("0", False)])
def test_introspection_and_graphiql_are_switched_on_and_off(given: str, taken: bool) -> None:
    made = settings(INTROSPECTION=given, GRAPHIQL=given)

    assert (made.introspection, made.graphiql) == (taken, taken)


def test_every_setting_is_in_the_readme() -> None:
    text = (Path(__file__).resolve().parent.parent / "README.md").read_text()

    assert set(re.findall(r"^\| `FLUXRATE_([A-Z_]+)` \|", text, re.MULTILINE)) == set(NAMES)


# --- The embedded database's key -------------------------------------------------------------------------------


def test_the_embedded_key_is_made_once_for_its_owner_alone(folder: Path) -> None:
    first = Settings.from_env({})
    second = Settings.from_env({})

    key_file = folder / "var" / "encryption.key"
    assert first.encryption_keys == second.encryption_keys
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert os.listdir(folder / "var") == ["encryption.key"]
    assert stat.S_IMODE((folder / "var").stat().st_mode) == 0o700


def test_a_lost_key_is_never_replaced(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / "var" / "fluxrate.sqlite3").touch()

    message = refusal({})

    assert "set FLUXRATE_ENCRYPTION_KEYS as it was when the database was made, or restore var/encryption.key" in message
    assert "delete" not in message
    assert os.listdir(folder / "var") == ["fluxrate.sqlite3"]


def test_the_embedded_database_may_have_a_key_from_the_environment(folder: Path) -> None:
    made = Settings.from_env({"FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY})

    assert made.embedded
    assert made.encryption_keys == (ENCRYPTION_KEY,)
    assert list(folder.iterdir()) == []


def test_a_key_file_that_holds_no_key_is_named(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / "var" / "encryption.key").write_text("oops\n")

    assert "var/encryption.key holds no encryption key" in refusal({})


def test_what_needs_no_secrets_asks_for_no_key(folder: Path) -> None:
    made = Settings.from_env({"FLUXRATE_DATABASE_URL": POSTGRES}, sealing=False)

    assert made.encryption_keys == ()
    assert Settings.from_env({}, sealing=False).embedded
    assert list(folder.iterdir()) == []
