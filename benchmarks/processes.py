"""Reads the processor time of processes and of a database: of PostgreSQL's sessions, or of SQLite's threads."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from database.access import fetch, reading_dialect

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _GONE_IN_USER, _GONE_IN_KERNEL = 1, 13, 14
"""Fields of /proc/PID/stat after the name: the parent's id, and the time of ended children."""


def cpu_s(pid: int) -> float:
    """Read the processor time of all threads of a process and of its child processes so far, in seconds."""
    return sum(_cpu_s(task) for each in (pid, *_children(pid)) for task in Path(f"/proc/{each}/task").glob("*"))


async def database_cpu_s() -> Callable[[], float]:
    """Return a function that reads the processor time of the open database so far, in seconds."""
    if reading_dialect() == "sqlite":
        return _other_threads_cpu_s
    backend = int((await fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"])
    server = int(_stat(backend)[_PARENT])
    return lambda: _children_cpu_s(server)


def _other_threads_cpu_s() -> float:
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    return sum(_cpu_s(task) for task in tasks)


def _children_cpu_s(parent: int) -> float:
    gone = _stat(parent)
    total = (int(gone[_GONE_IN_USER]) + int(gone[_GONE_IN_KERNEL])) / _TICKS_PER_S
    return total + sum(_cpu_s(Path(f"/proc/{child}")) for child in _children(parent))


def _children(parent: int) -> Iterator[int]:
    """Find the ids of a process's child processes."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (stat := _stat(int(folder.name))) and int(stat[_PARENT]) == parent:
            yield int(folder.name)


def _stat(pid: int) -> list[str]:
    """Read the fields after the name; none if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(folder: Path) -> float:
    try:
        return int((folder / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
