"""Imports every module of the product and prints what importing did, as JSON; a command of its own.

What it looks for: a variable of the environment read by a line of ours, and, by whomever, a connection, a
listening socket, a database, another process or another thread. A task can't be started: there is no loop.
"""

import importlib
import json
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = ("errors", "main", "parts", "periodic", "settings")
PACKAGES: Final = (
    "database",
    "edge",
    "execution",
    "feed",
    "gateways",
    "inbox",
    "migrations",
    "models",
    "payment_links",
    "resolvers",
    "schema",
    "simulator",
    "webhooks",
    "workers",
)
WATCHED_EVENTS: Final = frozenset(
    {
        "os.fork",
        "os.posix_spawn",
        "os.system",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
STANDARD_LIBRARY: Final = (os.path.dirname(os.__file__), "<frozen")

found: list[str] = []


class WatchedEnvironment(type(os.environ)):  # type: ignore[misc]
    """The environment, telling which line of the product reads it."""

    def __getitem__(self, key: str) -> str:
        reader = _first_outside_the_standard_library(sys._getframe(1))
        if reader is not None and _is_ours(reader):
            found.append(f"{_place(reader)} reads {key} from the environment")
        return str(super().__getitem__(key))


def watch() -> None:
    """Begin to notice."""
    os.environ.__class__ = WatchedEnvironment
    sys.addaudithook(_notice)


def module_names() -> Iterator[str]:
    """Every module of the product that is there."""
    yield from (name for name in MODULES if (ROOT / f"{name}.py").exists())
    for package in PACKAGES:
        if (ROOT / package).is_dir():
            yield package
            found_modules = pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
            yield from (module.name for module in found_modules)


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if event in WATCHED_EVENTS and not _asks_for_ipv6(event, arguments):
        found.append(f"{event} {arguments!r}")


def _asks_for_ipv6(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether this is urllib3, which comes with stripe: it finds out so whether the machine has IPv6."""
    return event == "socket.bind" and arguments[1:] == (("::1", 0),)


def _first_outside_the_standard_library(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _is_standard(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _is_standard(filename: str) -> bool:
    return filename.startswith(STANDARD_LIBRARY) and "site-packages" not in filename


def _is_ours(frame: FrameType) -> bool:
    filename = Path(frame.f_code.co_filename)
    if not filename.is_relative_to(ROOT):
        return False
    return filename.relative_to(ROOT).parts[0].removesuffix(".py") in {*MODULES, *PACKAGES}


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}"


def main() -> None:
    watch()
    imported = []
    for name in module_names():
        importlib.import_module(name)
        imported.append(name)
    found.extend(
        f"a thread was started: {thread.name}"
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    )
    json.dump({"imported": imported, "found": found}, sys.stdout)


if __name__ == "__main__":
    main()
