"""The product's top-level names are its own, and importing them does nothing."""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions

import pytest

from tests.world.import_everything import MODULES, PACKAGES, ROOT

TOP_LEVEL_NAMES = (*MODULES, *PACKAGES)


@functools.cache
def distributions_by_name() -> Mapping[str, list[str]]:
    """What is installed, by the names it provides: looking takes a second."""
    return packages_distributions()


@pytest.mark.parametrize("name", TOP_LEVEL_NAMES)
def test_no_other_distribution_provides_our_top_level_name(name: str) -> None:
    """A package index has a `schema`, for one: installed, it could shadow ours."""
    providers = set(distributions_by_name().get(name, []))

    assert providers <= {"fluxrate"}


@pytest.mark.parametrize("name", TOP_LEVEL_NAMES)
def test_a_top_level_name_is_a_package_with_an_init_or_a_module(name: str) -> None:
    """A folder without `__init__.py` gives way to any installed package of its name."""
    where = ROOT / f"{name}.py" if name in MODULES else ROOT / name / "__init__.py"

    assert where.is_file()


def test_importing_every_module_does_nothing() -> None:
    """No read of the environment, no connection, no process, no thread; nor a task, for want of a loop."""
    process = subprocess.run(
        [sys.executable, "-B", "-m", "tests.world.import_everything"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout)
    assert report["found"] == []
    assert set(TOP_LEVEL_NAMES) <= set(report["imported"])


def test_an_upper_bound_is_named_max() -> None:
    """One word for it: MAX_, not also MOST_, LARGEST_, LONGEST_ or HIGHEST_."""
    other_word = re.compile(r"^_?(MOST|LARGEST|LONGEST|HIGHEST|GREATEST)(_[A-Z_]+)?: Final", re.MULTILINE)
    modules = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]

    assert [str(path) for path in modules if other_word.search(path.read_text())] == []
