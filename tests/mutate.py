"""Change the product in one small way after the other, and name the changes that no test notices.

    .venv/bin/python -m tests.mutate --only settlement --minutes 15

The tests are collected once, and run once to see which of them run which lines. For each change a fork of that process
swaps the code of one function and runs the tests that run the changed statement until one fails: those that need no
other process but Valkey, on SQLite, the fastest modules first and the random histories last. What stands outside of
functions, such as tables and the declarations of classes, isn't changed, nor is what is written to the terminal or
asserted.
"""

import argparse
import ast
import contextlib
import copy
import gc
import importlib
import os
import pickle
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final, cast

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = {
    "settlement": ("models/settlement", ["tests/models/settlement", "tests/models/test_money_back.py"]),
    "inbox": (
        "inbox",
        [
            "tests/inbox",
            "tests/models/settlement",
            "tests/models/test_money_back.py",
            "tests/workers/test_sweep.py",
            "tests/workers/test_reconcile.py",
        ],
    ),
    "payment_links": ("payment_links", ["tests/payment_links"]),
    "feed": (
        "feed",
        [
            "tests/feed",
            "tests/schema/test_subscription.py",
            "tests/edge/graphql/test_keys.py",
            "tests/execution/test_shared.py",
        ],
    ),
}
"""What is changed, and what shows it."""

COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
RECKONED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
CALLED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}

PATIENCE: Final = 5.0
"""How many times as long as without a change a test may take, with five seconds more, before it counts as failed."""


PASSED, FAILED, NOWHERE = 0, 1, 3
"""How a fork ends; the last if no function has the code that was changed."""


@dataclass(frozen=True)
class Mutant:
    """A change: where, what, and the module as it is with it. `lines` are those of the changed statement."""

    path: Path
    line: int
    lines: frozenset[int]
    function: str
    what: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.what}"


# --- Changes ---------------------------------------------------------------------------------------------------


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change of a module."""
    tree = ast.parse(path.read_text())
    for function in _functions(tree):
        for statement in _statements(function):
            own = list(_own(statement))
            lines = frozenset(_lines(statement, own))
            for node in own:
                for what, change in _changes(node):
                    mutated = copy.deepcopy(tree)
                    change(_same(tree, mutated, node))
                    ast.fix_missing_locations(mutated)
                    line: int = node.lineno  # type: ignore[attr-defined]  # everything that is changed has one
                    yield Mutant(path.relative_to(ROOT), line, lines, function.name, what, mutated)


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods; what is defined inside of one is part of it."""
    members = (member for node in tree.body for member in (node.body if isinstance(node, ast.ClassDef) else [node]))
    return [member for member in members if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)]


def _statements(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.stmt]:
    """What is executed when a function is called; no docstring, and nothing that is only logged or asserted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.Assert() | ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
                    pass
                case ast.stmt():
                    yield node


def _own(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement and its expressions, without the statements inside of it; no annotation."""
    yield statement
    for name, value in ast.iter_fields(statement):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.stmt) and name not in {"annotation", "returns"}:
                yield from _own(child)


def _lines(statement: ast.stmt, own: Iterable[ast.AST]) -> Iterator[int]:
    yield statement.lineno
    for node in own:
        if isinstance(node, ast.expr | ast.pattern):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _same(tree: ast.AST, mutated: ast.AST, node: ast.AST) -> Any:
    """The twin of a node in a copy of its tree."""
    return next(twin for each, twin in zip(ast.walk(tree), ast.walk(mutated), strict=True) if each is node)


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = COMPARED[type(operator)]

                def compare(twin: ast.Compare, place: int = place, other: type[ast.cmpop] = other) -> None:
                    twin.ops[place] = other()

                yield f"{type(operator).__name__} is {other.__name__} in {_text(node)}", compare
        case ast.BoolOp():

            def join(twin: ast.BoolOp) -> None:
                twin.op = ast.Or() if isinstance(twin.op, ast.And) else ast.And()

            yield f"and/or swapped in {_text(node)}", join
        case ast.UnaryOp(op=ast.Not()):

            def affirm(twin: ast.UnaryOp) -> None:
                twin.op, twin.operand = ast.Not(), ast.UnaryOp(ast.Not(), twin.operand)

            yield f"no not in {_text(node)}", affirm
        case ast.BinOp() if type(node.op) in RECKONED:

            def reckon(twin: ast.BinOp) -> None:
                twin.op = RECKONED[type(twin.op)]()

            yield f"other operator in {_text(node)}", reckon
        case ast.Constant(value=bool() as value):

            def flip(twin: ast.Constant, value: bool = value) -> None:
                twin.value = not value

            yield f"{value} is {not value}", flip
        case ast.Constant(value=int() as number):

            def count(twin: ast.Constant, number: int = number) -> None:
                twin.value = number + 1

            yield f"{number} is {number + 1}", count
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:

            def call(twin: ast.Call, name: str = name) -> None:
                twin.func = ast.Name(CALLED[name], ast.Load())

            yield f"{CALLED[name]} for {_text(node)}", call
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():

            def leave_out(twin: Any) -> None:
                twin.__class__ = ast.Pass
                twin.__dict__ = {
                    name: value for name, value in twin.__dict__.items() if "line" in name or "col" in name
                }

            yield f"without {_text(node)}", leave_out
        case ast.IfExp() | ast.If():

            def never(twin: ast.IfExp | ast.If) -> None:
                twin.test = ast.Constant(False)

            yield f"never if {_text(node.test)}", never


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:70]


# --- In a fork -------------------------------------------------------------------------------------------------


def put_in(mutant: Mutant) -> bool:
    """Swap the code of the changed function wherever it is; False if nobody has it."""
    named = compile(mutant.tree, str(ROOT / mutant.path), "exec")
    new = {(code.co_name, code.co_firstlineno): code for code in _codes(named)}
    swapped = False
    gc.unfreeze()  # tests/conftest.py hides what was loaded from it
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename == str(ROOT / mutant.path):
            code = new.get((each.__code__.co_name, each.__code__.co_firstlineno))
            if code is not None and code != each.__code__ and code.co_freevars == each.__code__.co_freevars:
                each.__code__ = code
                swapped = True
    gc.freeze()
    return swapped


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


Line = tuple[str, int]
"""A file and a number in it."""


@dataclass
class Ran:
    """What a test took without any change, and which of the lines that may be changed it ran."""

    seconds: float
    lines: set[Line]


class Watch:
    """Notes which lines of some files are run, in whatever thread."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = frozenset(files)
        self._seen: set[Line] = set()

    def begin(self) -> None:
        """Watch from now on."""
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def taken(self) -> set[Line]:
        """Take what was seen since the last time."""
        seen, self._seen = self._seen, set()
        return seen

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, _event: str, _argument: object) -> Any:
        self._seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


@dataclass
class Plugin:
    """What pytest does instead of running the tests once."""

    sources: list[Path]
    minutes: float
    seed: int
    skip: int
    scratch: Path
    survivors: list[Mutant] = field(default_factory=list)
    tried: int = 0
    nowhere: int = 0
    found: int = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what needs other processes, and put last what takes its time."""
        from tests.world.fast import needs_servers, takes_its_time  # pytest rewrites some of what it loads

        chosen = [item for item in items if not needs_servers(item, but_for="valkey_server")]
        items[:] = sorted(chosen, key=takes_its_time)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, then with each change."""
        for source in self.sources:  # what a test imports in its fork alone can't be swapped before
            importlib.import_module(".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        mutants = [mutant for source in self.sources for mutant in mutants_of(source)]
        self.found = len(mutants)
        random.Random(self.seed).shuffle(mutants)
        began = time.monotonic()
        ran = self._ran(session)
        print(f"{len(ran)} tests take {time.monotonic() - began:.1f} s; {len(mutants)} changes", flush=True)
        for mutant in mutants[self.skip :]:
            if time.monotonic() - began > self.minutes * 60:
                break
            items = _in_order([item for item in session.items if _runs(ran[item.nodeid], mutant)], ran)
            ended = _ends(partial(_try, items, ran, mutant), _patience_s(items, ran) + 60)
            self.tried += ended != NOWHERE
            self.nowhere += ended == NOWHERE
            if ended == PASSED:
                self.survivors.append(mutant)
                print(f"survived {len(items)} tests: {mutant}", flush=True)
        return True

    def _ran(self, session: pytest.Session) -> dict[str, Ran]:
        """Run the tests as they are."""
        told = self.scratch / "ran"
        watch = Watch(map(str, self.sources))
        ended = _ends(partial(_watched, session.items, watch, told), 1800)
        found = pickle.loads(told.read_bytes())  # noqa: S301  (our own)
        assert ended == PASSED, f"This fails without any change: {found}"
        return cast(dict[str, Ran], found)


def _runs(ran: Ran, mutant: Mutant) -> bool:
    return not ran.lines.isdisjoint((str(ROOT / mutant.path), line) for line in mutant.lines)


def _in_order(items: Sequence[pytest.Item], ran: Mapping[str, Ran]) -> list[pytest.Item]:
    """The fastest first, but a module's together, since they share what is set up for it."""
    seconds = {item: ran[item.nodeid].seconds for item in items}
    fastest: dict[Path, float] = {}
    for item in items:
        fastest[item.path] = min(fastest.get(item.path, seconds[item]), seconds[item])
    return sorted(items, key=lambda item: (fastest[item.path], str(item.path), seconds[item]))


def _patience_s(items: Iterable[pytest.Item], ran: Mapping[str, Ran]) -> float:
    return sum(PATIENCE * ran[item.nodeid].seconds + 5 for item in items)


def _ends(run: Callable[[], int], patience_s: float) -> int:
    """How a fork of this process ends that does that, and whatever it starts with it."""
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        os.setsid()  # what it starts ends with it
        code = FAILED
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            code = run()
        finally:
            os._exit(code)
    deadline = time.monotonic() + patience_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)


def _watched(items: Sequence[pytest.Item], watch: Watch, told: Path) -> int:
    """Run the tests without a change, and tell what each of them ran."""
    ran = {}
    watch.begin()
    for item, following in zip(items, [*items[1:], None], strict=True):
        began = time.monotonic()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if item.session.testsfailed:
            told.write_bytes(pickle.dumps(item.nodeid))
            return FAILED
        ran[item.nodeid] = Ran(time.monotonic() - began, watch.taken())
    told.write_bytes(pickle.dumps(ran))
    return PASSED


def _try(items: Sequence[pytest.Item], ran: Mapping[str, Ran], mutant: Mutant) -> int:
    """Run tests with a change until one fails, or hangs."""
    if not put_in(mutant):
        return NOWHERE
    for item, following in zip(items, [*items[1:], None], strict=True):
        hangs = threading.Timer(_patience_s([item], ran), os._exit, [FAILED])
        hangs.daemon = True
        hangs.start()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        hangs.cancel()
        if item.session.testsfailed:
            return FAILED
    return PASSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate as the command line says; 1 if a change survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument(
        "--only", choices=PACKAGES, action="append", help="the package to change; all unless it is given"
    )
    parser.add_argument("--minutes", type=float, default=15, help="how long to go on with each package")
    parser.add_argument("--seed", type=int, default=1, help="the order in which the changes are tried")
    parser.add_argument("--skip", type=int, default=0, help="how many of that order were tried before")
    given = parser.parse_args(arguments)
    survived = False
    for name in given.only or PACKAGES:
        folder, tests = PACKAGES[name]
        with tempfile.TemporaryDirectory(prefix="fluxrate-mutants-") as scratch:
            plugin = Plugin(sorted((ROOT / folder).rglob("*.py")), given.minutes, given.seed, given.skip, Path(scratch))
            options = ["-q", "-s", "-p", "no:cacheprovider", f"--basetemp={scratch}/tests"]
            pytest.main([*options, *tests], [plugin])
        killed = plugin.tried - len(plugin.survivors)
        at = given.skip + plugin.tried + plugin.nowhere
        print(f"{name}: {killed} of {plugin.tried} killed, {plugin.nowhere} in no function; at {at} of {plugin.found}")
        survived = survived or bool(plugin.survivors) or plugin.tried == 0
    return int(survived)


if __name__ == "__main__":
    sys.exit(main())
