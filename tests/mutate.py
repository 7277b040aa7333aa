"""Change the product in one small way after the other, and name the changes that no test notices.

    .venv/bin/python -m tests.mutate --only settlement --minutes 15

The tests are collected once. For each change a fork of that process swaps the code of one function and runs the tests
of the package until one fails: those that need no other process, on SQLite, the random histories last. What stands
outside of functions, such as tables and the declarations of classes, isn't changed.
"""

import argparse
import ast
import copy
import gc
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = {
    "settlement": ("models/settlement", ["tests/models/settlement", "tests/models/test_money_back.py"]),
    "inbox": ("inbox", ["tests/inbox", "tests/workers/test_sweep.py", "tests/workers/test_reconcile.py"]),
    "payment_links": ("payment_links", ["tests/payment_links"]),
    "feed": ("feed", ["tests/feed", "tests/schema/test_subscription.py"]),
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
"""How many times as long as without a change the tests may take, with ten seconds more, before they count as failed."""


PASSED, FAILED, NOWHERE = 0, 1, 3
"""How a fork ends; the last if no function has the code that was changed."""


@dataclass(frozen=True)
class Mutant:
    """A change: where, what, and the module as it is with it."""

    path: Path
    line: int
    function: str
    what: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.what}"


# --- Changes ---------------------------------------------------------------------------------------------------


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change of a module."""
    tree = ast.parse(path.read_text())
    places = [(function, node) for function in _functions(tree) for node in _inside(function)]
    for function, node in places:
        for what, change in _changes(node):
            mutated = copy.deepcopy(tree)
            twin = _same(tree, mutated, node)
            change(twin)
            ast.fix_missing_locations(mutated)
            yield Mutant(path.relative_to(ROOT), node.lineno, function.name, what, mutated)  # type: ignore[attr-defined]


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods; what is defined inside of one is part of it."""
    members = (member for node in tree.body for member in (node.body if isinstance(node, ast.ClassDef) else [node]))
    return [member for member in members if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)]


def _inside(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What is executed when a function is called; no annotation, default or docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    for statement in body:
        yield from ast.walk(statement)


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
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename == str(ROOT / mutant.path):
            code = new.get((each.__code__.co_name, each.__code__.co_firstlineno))
            if code is not None and code.co_freevars == each.__code__.co_freevars:
                each.__code__ = code
                swapped = True
    return swapped


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


@dataclass
class Plugin:
    """What pytest does instead of running the tests once."""

    sources: list[Path]
    minutes: float
    seed: int
    survivors: list[Mutant] = field(default_factory=list)
    tried: int = 0
    found: int = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what needs another process, and put last what takes its time."""
        from tests.world.fast import needs_servers, takes_its_time  # pytest rewrites some of what it loads

        items[:] = sorted((item for item in items if not needs_servers(item)), key=takes_its_time)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, then with each change."""
        mutants = [mutant for source in self.sources for mutant in mutants_of(source)]
        self.found = len(mutants)
        random.Random(self.seed).shuffle(mutants)
        began = time.monotonic()
        assert self._ends(session, None, 900) == PASSED, "The tests fail without any change: run them first"
        whole = time.monotonic() - began
        print(f"{len(session.items)} tests take {whole:.1f} s; {len(mutants)} changes", flush=True)
        for mutant in mutants:
            if time.monotonic() - began > self.minutes * 60:
                break
            ended = self._ends(session, mutant, PATIENCE * whole + 10)
            self.tried += ended != NOWHERE
            if ended == PASSED:
                self.survivors.append(mutant)
                print(f"survived: {mutant}", flush=True)
        return True

    def _ends(self, session: pytest.Session, mutant: Mutant | None, patience_s: float) -> int:
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            os.setsid()  # what it starts ends with it
            _run(session, mutant)
        deadline = time.monotonic() + patience_s
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return FAILED
            time.sleep(0.01)


def _run(session: pytest.Session, mutant: Mutant | None) -> None:
    """Run the tests until one fails, and end this process: with 0 if none did."""
    code = FAILED
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if mutant is not None and not put_in(mutant):
            os._exit(NOWHERE)
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os._exit(FAILED)
        code = PASSED
    finally:
        os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate as the command line says; 1 if a change survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument(
        "--only", choices=PACKAGES, action="append", help="the package to change; all unless it is given"
    )
    parser.add_argument("--minutes", type=float, default=15, help="how long to go on with each package")
    parser.add_argument("--seed", type=int, default=1, help="the order in which the changes are tried")
    given = parser.parse_args(arguments)
    survived = False
    for name in given.only or PACKAGES:
        folder, tests = PACKAGES[name]
        plugin = Plugin(sorted((ROOT / folder).rglob("*.py")), given.minutes, given.seed)
        with tempfile.TemporaryDirectory(prefix="fluxrate-mutants-") as scratch:
            options = ["-q", "-s", "-p", "no:cacheprovider", f"--basetemp={scratch}/tests"]
            pytest.main([*options, *tests], [plugin])
        killed = plugin.tried - len(plugin.survivors)
        print(f"{name}: {killed} of {plugin.tried} killed, {plugin.found} there are")
        survived = survived or bool(plugin.survivors)
    return int(survived)


if __name__ == "__main__":
    sys.exit(main())
