"""A Python that has loaded the product and forks whenever a server or a command is to be started.

Loading is most of what a start costs, 1.5 s of 1.8 s of processor time, and tests start hundreds. A fork is a process
of its own: it has its own group, environment, folder and output, and runs the same file from its first line to its end.
Each command once, the README's walk, the demo and a server with two workers start as users start them.

Workers of a server with several are forked too, from its supervisor. Their metrics count in a shared folder, which
prometheus-client decides when it is loaded: such servers are forked from a Python of their own.
"""

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Final, Protocol

import uvicorn._subprocess

from tests.world.import_everything import ROOT, module_names

_LARGEST: Final = 1 << 20
_MEASURED: Final = "COVERAGE_PROCESS_CONFIG"
"""Where coverage tells new processes what to measure: it knows of no forks."""

_METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where the metrics of several workers are counted together."""


Descriptors = tuple[int, int]
"""How many files may be open, by the soft limit and the hard one."""


class Process(Protocol):
    """What a test may ask of a process, however it was started."""

    pid: int
    returncode: Any

    def poll(self) -> int | None:
        """How it ended, if it has."""

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""

    def send_signal(self, sig: int) -> None:
        """Unless it has ended."""


def started(
    entry: Sequence[str],
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None,
    out: IO[bytes],
    err: IO[bytes],
    descriptors: Descriptors | None = None,
    *,
    cold: bool = False,
) -> Process:
    """A process of `python ENTRY ARGUMENTS`, of a group of its own, so that a signal reaches its workers too.

    When `cold`, it and its workers start as users start them.
    """
    if cold or _MEASURED in os.environ:
        command = [*_limited(descriptors), sys.executable, *entry, *arguments]
        return subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
    wanted = {"argv": [*entry, *arguments], "env": dict(env), "cwd": str(cwd or Path.cwd()), "descriptors": descriptors}
    return _loaded(_has_several_workers(arguments)).fork(wanted, out, err)


def _has_several_workers(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for more than one."""
    return "--workers" in arguments and arguments[arguments.index("--workers") + 1] != "1"


def _limited(descriptors: Descriptors | None) -> Sequence[str]:
    """The command that runs another within limits."""
    if descriptors is None:
        return []
    soft, hard = descriptors
    return ["/bin/sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"]


def finished(
    entry: Sequence[str], arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None, within_s: float
) -> "subprocess.CompletedProcess[str]":
    """A process that was started and has ended, with what it printed.

    Raises:
        subprocess.TimeoutExpired: It went on, and was killed.
    """
    with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
        process = started(entry, arguments, env, cwd, out, err)
        try:
            code = process.wait(within_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*entry, *arguments], code, out.read().decode(), err.read().decode())


class Forked:
    """A process that was forked. Its end is told by a pipe."""

    def __init__(self, pid: int, ends: int) -> None:
        self.pid: int = pid
        self.returncode: int | None = None
        self._ends: Final = os.fdopen(ends, "rb", buffering=0)
        self._looking: Final = threading.Lock()

    def poll(self) -> int | None:
        """How it ended, if it has."""
        with self._looking:
            return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has.

        Raises:
            subprocess.TimeoutExpired: It goes on.
        """
        with self._looking:
            if (code := self._look(timeout)) is None:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            return code

    def send_signal(self, sig: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ends], [], [], timeout)[0]:
            told = self._ends.read(16)
            self._ends.close()
            assert told, "What forks has ended"
            self.returncode = int(told)
        return self.returncode


class _Loaded:
    """The one that forks, as its test process sees it; it ends with that."""

    def __init__(self, *, several_workers: bool) -> None:
        self._asking: Final = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.set_inheritable(True)
            env = {name: value for name, value in os.environ.items() if not name.startswith("FLUXRATE_")}
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno()), *(["several"] if several_workers else [])],
                    cwd=ROOT,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the tests, which end what they started
                )
            except BaseException:
                self._socket.close()
                raise

    def fork(self, wanted: Mapping[str, Any], out: IO[bytes], err: IO[bytes]) -> Forked:
        """A process as it is wanted."""
        ends, tells = os.pipe()
        try:
            with self._asking:
                fds = [out.fileno(), err.fileno(), tells]
                socket.send_fds(self._socket, [json.dumps(wanted).encode()], fds)
                told = self._socket.recv(16)
        finally:
            os.close(tells)
        assert told, "What forks has ended"
        return Forked(int(told), ends)


_loading: Final = threading.Lock()


def _loaded(several_workers: bool) -> _Loaded:
    with _loading:  # threads may ask at once
        return _the_one(several_workers)


@cache
def _the_one(several_workers: bool) -> _Loaded:
    return _Loaded(several_workers=several_workers)


# --- In the process that forks ---------------------------------------------------------------------------------


def _serve(asking: socket.socket) -> Mapping[str, Any] | None:
    """Fork as often as is asked for. Returns in each fork what it is to run, and else nothing, once nobody asks."""
    told_by: dict[int, int] = {}
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([asking, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
            _bury(told_by)
        if asking not in ready:
            continue
        given, fds, _, _ = socket.recv_fds(asking, _LARGEST, 3)
        if not given:
            return None
        out, err, tells = fds
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for closed in (woken, wakes, asking):
                closed.close()
            for fd in (tells, *told_by.values()):
                os.close(fd)
            wanted: Mapping[str, Any] = json.loads(given)
            _become(wanted, out, err)
            return wanted
        told_by[pid] = tells
        os.close(out)
        os.close(err)
        asking.send(str(pid).encode())


def _bury(told_by: dict[int, int]) -> None:
    """Tell how those ended that have."""
    for pid, tells in list(told_by.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(BrokenPipeError):  # nobody asks any more
                os.write(tells, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told_by.pop(pid))


def _become(wanted: Mapping[str, Any], out: int, err: int) -> None:
    """Have the group, environment, folder and output of a process that was started for it."""
    os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    metrics = {_METRICS: os.environ[_METRICS]} if _METRICS in os.environ else {}  # until the server makes its own
    os.environ.clear()
    os.environ.update(wanted["env"] | metrics)
    os.chdir(wanted["cwd"])
    if wanted["descriptors"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, tuple(wanted["descriptors"]))


def _run(argv: Sequence[str]) -> None:
    """As `python ARGV` does."""
    if argv[0] == "-m":
        sys.argv = list(argv[1:])
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(argv)
        runpy.run_path(argv[0], run_name="__main__")


_ended_with: Final[list[int]] = []


def _run_as_a_process(argv: Sequence[str]) -> None:
    """Run it, and remember how it ended."""
    try:
        _run(argv)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _ended_with.append(end.code or 0)
        raise
    _ended_with.append(0)


def _leave() -> None:
    """End here, when threads have ended and all that is due at an end is done: to free all modules takes 60 ms more."""
    if _ended_with:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ended_with[0] & 0xFF)


def _main() -> None:
    atexit.register(_leave)  # called last, since it is registered first
    folder = tempfile.mkdtemp(prefix="fluxrate-metrics-") if sys.argv[2:] else None
    if folder is not None:
        os.environ[_METRICS] = folder
        uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]
    for name in module_names():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        _run_as_a_process(wanted["argv"])
    elif folder is not None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    _main()
