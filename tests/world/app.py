"""The product and the simulator as users run them: processes of their own, ended with the block or the test.

```python
with running_app(database_url) as app:
    key = app.workspace().api_key
    httpx.post(f"{app.url}/graphql", ...)
```
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, ParamSpec, TypeVar
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from settings import EMBEDDED_DATABASE
from tests.world.loaded import Descriptors, Process, finished, started
from tests.world.migrated import sqlite_url
from tests.world.orphans import Heir

MAIN: Final = Path(__file__).resolve().parents[2] / "main.py"
ENCRYPTION_KEY: Final = "dGVzdHMgb25seTogYSBrZXkgb2YgMzIgYnl0ZXMgISE="
"""What tests seal with unless they say otherwise."""

P = ParamSpec("P")
T = TypeVar("T")

START_PATIENCE_S: Final = 60.0
STOP_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.02
_open = build_opener(ProxyHandler({})).open


class CommandError(AssertionError):
    """A command that should have succeeded."""


@dataclass(frozen=True)
class Cli:
    """The command line with an environment. Calling it adds `--json` and gives the object that was printed.

    A command is forked from what is `loaded`; when `cold`, it starts as users start it, which costs 1 s of CPU.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cold: bool = False

    def __call__(self, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed."""
        done = self.run(*arguments, "--json")
        if done.returncode != 0:
            raise CommandError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        if not self.cold:
            return finished([str(MAIN)], arguments, environment(self.env), self.cwd, START_PATIENCE_S)
        return subprocess.run(
            [sys.executable, MAIN, *arguments],
            env=environment(self.env),
            cwd=self.cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_PATIENCE_S,
        )


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The tests' own environment without its settings of Fluxrate, and with those given."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FLUXRATE_")} | dict(env)


def settings_env(
    database_url: str | None = None,
    broadcast_url: str = "memory://",
    stripe_api_base: str | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables that say so; no database means the embedded one, in the working directory."""
    known = {"FLUXRATE_BROADCAST_URL": broadcast_url}
    if database_url is not None:
        known |= {"FLUXRATE_DATABASE_URL": database_url, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    if stripe_api_base is not None:
        known["FLUXRATE_STRIPE_API_BASE"] = stripe_api_base
    return known | dict(env or {})


class Running:
    """A process that serves. `announced` is the object that it printed when it began."""

    def __init__(
        self,
        arguments: list[str],
        env: Mapping[str, str],
        cwd: Path | None,
        port: int = 0,
        descriptors: Descriptors | None = None,
        entry: Sequence[str] = (str(MAIN),),
        *,
        cold: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fluxrate-app-")
        self._stdout = Path(self._folder.name, "stdout")
        self._stderr = Path(self._folder.name, "stderr")
        given = [*arguments, "--port", str(port), "--json"]
        try:
            self.process = self._started(entry, given, environment(env), cwd, descriptors, cold=cold)
        except BaseException:
            self._folder.cleanup()
            raise
        self._heir = Heir('kill -KILL "-$1"; rm -rf "$2"', self.process.pid, self._folder.name)
        try:
            self.announced: dict[str, Any] = self._wait_for(self._announcement)
        except BaseException:
            self.forget()
            raise

    def _started(
        self,
        entry: Sequence[str],
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None,
        descriptors: Descriptors | None,
        *,
        cold: bool,
    ) -> Process:
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            return started(entry, arguments, env, cwd, stdout, stderr, descriptors, cold=cold)

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        url: str = self.announced["url"]
        return url

    @property
    def ws_url(self) -> str:
        """Where it serves WebSockets."""
        return self.url.replace("http", "ws", 1)

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self._stderr.read_text()

    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far, line by line."""
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    def wait_until_ok(self, path: str) -> None:
        """Wait until a path is answered with 200."""
        self._wait_for(lambda: self._is_ok(path))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and say how it ended."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        return self.process.wait()

    def forget(self) -> None:
        """Remove what it leaves."""
        self.stop()
        self._heir.release()
        self._folder.cleanup()

    def _announcement(self) -> dict[str, Any] | None:
        line, end, _ = self.stdout.partition("\n")
        return json.loads(line) if end else None

    def _is_ok(self, path: str) -> bool:
        try:
            with _open(f"{self.url}{path}", timeout=STOP_PATIENCE_S) as response:
                return bool(response.status == 200)
        except HTTPError as error:
            error.close()
        except (OSError, HTTPException):
            pass
        return False

    def _wait_for(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + START_PATIENCE_S
        while not (seen := look()):
            assert self.process.poll() is None, f"It ended with {self.process.returncode}: {self.stderr}"
            assert time.monotonic() < deadline, f"It did not start in time: {self.stderr}"
            time.sleep(_POLL_S)
        return seen


class Talking:
    """A process of the command line whose output a person reads as it comes; forked, or `cold` as users start it."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, *, cold: bool = False) -> None:
        reads, writes = os.pipe()
        self._said = os.fdopen(reads)
        with os.fdopen(writes, "wb") as out:
            self.process: Process = (_cold if cold else _forked)(arguments, environment(env), cwd, out)

    def read_until(self, text: str) -> str:
        """What it prints, up to the line that holds a text."""
        said = ""
        while text not in said:
            line = self._said.readline()
            assert line, said
            said += line
        return said

    def read_rest(self) -> str:
        """What it prints until it and all that it began have ended."""
        return self._said.read()

    def forget(self) -> None:
        """Kill it, if it goes on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._said.close()


def _cold(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, out: IO[bytes]) -> Process:
    command = [sys.executable, str(MAIN), *arguments]
    return subprocess.Popen(command, env=env, cwd=cwd, stdout=out, stderr=out, start_new_session=True)


def _forked(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, out: IO[bytes]) -> Process:
    return started([str(MAIN)], arguments, env, cwd, out, out)


class NewWorkspace(NamedTuple):
    """A workspace's id, and an API key that may do everything in it."""

    id: str
    api_key: str


class RunningApp(Running):
    """`python main.py serve`, ready. `cli` is the command line with the same settings."""

    def __init__(
        self,
        arguments: list[str],
        env: Mapping[str, str],
        cwd: Path | None,
        port: int = 0,
        descriptors: Descriptors | None = None,
        entry: Sequence[str] = (str(MAIN),),
        *,
        cold: bool = False,
    ) -> None:
        self.cli = Cli(env, cwd)
        super().__init__(["serve", *arguments], env, cwd, port, descriptors, entry, cold=cold)

    @property
    def database_url(self) -> str:
        """Where its database is."""
        return self.cli.env.get("FLUXRATE_DATABASE_URL") or sqlite_url((self.cli.cwd or Path()) / EMBEDDED_DATABASE)

    def workspace(self) -> NewWorkspace:
        """Make a workspace, by what `fluxrate workspace create` calls: a process for each is where the time went."""
        from models.kinds import Mode
        from resolvers.operator import create_workspace
        from tests.world.seed import within  # it imports this module

        workspace, key = within(self.database_url, lambda: create_workspace("Acme", Mode.TEST))
        return NewWorkspace(workspace.id, key)


@contextmanager
def running_app(
    database_url: str | None = None,
    broadcast_url: str = "memory://",
    workers: int = 1,
    stripe_api_base: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    port: int = 0,
    descriptors: Descriptors | None = None,
    entry: Sequence[str] = (str(MAIN),),
    *,
    cold: bool = False,
) -> Iterator[RunningApp]:
    """The product, serving for as long as the block lasts; on a free port, unless one is named.

    `descriptors` are its limits of open files, soft and hard; `entry` is what Python runs; when `cold`, it starts as
    users start it.
    """
    wanted = settings_env(database_url, broadcast_url, stripe_api_base, env)
    app = RunningApp(["--workers", str(workers)], wanted, cwd, port, descriptors, entry, cold=cold)
    try:
        app.wait_until_ok("/readyz")
        yield app
    finally:
        app.forget()


@contextmanager
def running_simulator() -> Iterator[Running]:
    """The simulator, serving on a free port for as long as the block lasts; its `url` is a FLUXRATE_STRIPE_API_BASE."""
    simulator = Running(["simulator"], {}, None)
    try:
        simulator.wait_until_ok("/")
        yield simulator
    finally:
        simulator.forget()


StartApp = Callable[..., RunningApp]
StartSimulator = Callable[[], Running]


@pytest.fixture
def start_app() -> Iterator[StartApp]:
    """Start the product, as `running_app` does; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield _entered(stack, running_app)


@pytest.fixture
def start_simulator() -> Iterator[StartSimulator]:
    """Start the simulator, as `running_simulator` does; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield _entered(stack, running_simulator)


def _entered(stack: contextlib.ExitStack, start: Callable[P, AbstractContextManager[T]]) -> Callable[P, T]:
    def entered(*args: P.args, **kwargs: P.kwargs) -> T:
        return stack.enter_context(start(*args, **kwargs))

    return entered
