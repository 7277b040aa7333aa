"""`--fast`: the tests that need this process and SQLite alone, for while one works."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import pytest

from tests.world.house import LARGE

KINDS: Final = frozenset({"postgres", LARGE})
"""Parameters of fixtures that ask for PostgreSQL."""

SERVERS: Final = frozenset(
    {"browser", "clients", "postgres_server", "servers", "start_app", "start_simulator", "valkey_server"}
)
"""Fixtures that start processes. Who starts one otherwise is skipped when it does."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--fast", action="store_true", help="only what needs no other process, no PostgreSQL and no time")
    parser.addoption("--long", action="store_true", help="only what is too long for every run: tests/world/long.py")


def watch(config: pytest.Config) -> None:
    """Watch for processes from now on."""
    if config.getoption("fast"):
        sys.addaudithook(_skip_who_starts_a_process)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is known to be slow before anything is set up for it."""
    if config.getoption("fast"):
        config.hook.pytest_deselected(items=[item for item in items if _is_slow(item)])
        items[:] = [item for item in items if not _is_slow(item)]


def _is_slow(item: pytest.Item) -> bool:
    return takes_its_time(item) or needs_servers(item)


def takes_its_time(item: pytest.Item) -> bool:
    """Whether a test may take longer than most."""
    return any(item.get_closest_marker(name) is not None for name in ("timeout", "slow"))


def needs_servers(item: pytest.Item, *, but_for: str = "") -> bool:
    """Whether a test is known to ask for another process than one."""
    if not isinstance(item, pytest.Function):
        return False
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return bool((SERVERS - {but_for}) & set(item.fixturenames)) or any(
        isinstance(each, str) and each in KINDS for each in params
    )


def _skip_who_starts_a_process(event: str, _: Sequence[object]) -> None:
    if event == "subprocess.Popen" and "PYTEST_CURRENT_TEST" in os.environ:
        pytest.skip("starts a process")
