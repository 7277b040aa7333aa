"""scripts/install in a folder of its own: when it installs and builds again. Pip and npm are stand-ins."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.world.import_everything import ROOT

PYTHON: Final = f"""#!/usr/bin/env bash
case "$1 ${{2:-}}" in
"-m venv") mkdir -p "$3/bin" && cp "$STANDIN/python3.11" "$3/bin/python" && cp "$STANDIN/npm" "$3/bin/npm" ;;
"-m pip") echo "pip ${{*: -1}}" >>"$STANDIN/log" ;;
*) exec {sys.executable} "$@" ;;
esac
"""
NPM: Final = """#!/usr/bin/env bash
echo "npm $*" >>"$STANDIN/log"
case "$1" in
ci) rm -rf node_modules && mkdir node_modules ;;
run) mkdir -p dist && if [ -f "$STANDIN/meanwhile" ]; then . "$STANDIN/meanwhile"; fi ;;
esac
"""
BUILD: Final = "npm run --silent build -- --logLevel error"
FETCH: Final = "npm ci --ignore-scripts --loglevel=error"


@dataclass(frozen=True)
class Clone:
    """A folder with what scripts/install looks at, and the stand-ins' log of what they were asked for."""

    folder: Path
    standin: Path

    def install(self, *arguments: str) -> list[str]:
        """Run it; what it asked of the installers."""
        log = self.standin / "log"
        log.write_text("")
        subprocess.run(
            [self.folder / "scripts" / "install", *arguments],
            env=os.environ | {"STANDIN": str(self.standin), "PATH": f"{self.standin}:{os.environ['PATH']}"},
            check=True,
            capture_output=True,
            timeout=60,
        )
        return log.read_text().splitlines()

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in a folder whose name has spaces, and so has that of a source."""
    made = Clone(tmp_path / "my clone of it", tmp_path / "standin")
    made.standin.mkdir()
    for name, text in {"python3.11": PYTHON, "npm": NPM}.items():
        (made.standin / name).write_text(text)
        (made.standin / name).chmod(0o755)
    made.write("scripts/install", (ROOT / "scripts" / "install").read_text())
    (made.folder / "scripts" / "install").chmod(0o755)
    for path in ("requirements.lock", "requirements-dev.lock", "schema/schema.graphql", "dashboard/package-lock.json"):
        made.write(path, "first")
    made.write("dashboard/src/two words.ts", "first")
    return made


def test_what_runs_is_installed_once_and_without_what_tests_need(clone: Clone) -> None:
    first = clone.install()
    second = clone.install()

    assert first == ["pip requirements.lock", "pip .", f"{FETCH} --omit=dev", BUILD]
    assert second == []


def test_what_tests_need_is_added_once_and_stays(clone: Clone) -> None:
    """A run after a test takes nothing away, and a test after it has nothing to install."""
    clone.install()

    added = clone.install("--dev")
    then_run, then_tested = clone.install(), clone.install("--dev")

    assert added == ["pip requirements-dev.lock", FETCH]
    assert (then_run, then_tested) == ([], [])


def test_all_is_installed_at_once_where_tests_come_first(clone: Clone) -> None:
    first = clone.install("--dev")

    assert first == ["pip requirements.lock", "pip .", "pip requirements-dev.lock", FETCH, BUILD]
    assert clone.install() == []


@pytest.mark.parametrize(
    ("lock", "by_run", "by_test"),
    [
        ("requirements.lock", ["pip requirements.lock", "pip ."], ["pip requirements-dev.lock"]),
        ("requirements-dev.lock", [], ["pip requirements.lock", "pip .", "pip requirements-dev.lock"]),
        ("dashboard/package-lock.json", [f"{FETCH} --omit=dev", BUILD], [FETCH]),
    ],
)
def test_a_lock_that_changed_is_installed_by_whoever_needs_it(
    clone: Clone, lock: str, by_run: list[str], by_test: list[str]
) -> None:
    clone.install("--dev")

    clone.write(lock, "second")

    assert clone.install() == by_run
    assert clone.install("--dev") == by_test
    assert clone.install("--dev") == []


@pytest.mark.parametrize(
    "source", ["dashboard/src/two words.ts", "dashboard/src/a new one.ts", "schema/schema.graphql"]
)
def test_a_source_that_changed_is_built_whatever_its_name(clone: Clone, source: str) -> None:
    clone.install()

    clone.write(source, "second")

    assert clone.install() == [BUILD]
    assert clone.install() == []


def test_a_source_that_changes_while_it_is_built_is_built_again(clone: Clone) -> None:
    """The build may have read it before."""
    clone.install()
    clone.write("dashboard/src/two words.ts", "second")
    meanwhile = clone.standin / "meanwhile"
    meanwhile.write_text('echo third >"src/two words.ts"')

    assert clone.install() == [BUILD]
    meanwhile.unlink()

    assert clone.install() == [BUILD]
    assert clone.install() == []


def test_a_clone_that_was_moved_is_installed_anew(clone: Clone) -> None:
    clone.install()

    moved = Clone(clone.folder.rename(clone.folder.with_name("moved")), clone.standin)

    assert moved.install() == ["pip requirements.lock", "pip ."]


def test_a_build_that_fails_is_tried_again_and_fails_only_where_it_is_required(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLUXRATE_REQUIRE_NODE", raising=False)
    meanwhile = clone.standin / "meanwhile"
    meanwhile.write_text("exit 1")
    clone.install()

    assert clone.install() == [BUILD]
    monkeypatch.setenv("FLUXRATE_REQUIRE_NODE", "1")
    with pytest.raises(subprocess.CalledProcessError):
        clone.install()
    meanwhile.unlink()
    assert clone.install() == [BUILD]
