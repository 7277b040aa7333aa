"""`--long`: what is too long to run before every merge: more cases, larger workspaces, and each database once more.

A test marked `long` runs with it alone; with a parameter, as in `long(servers=LARGE)`, only the case of that parameter
does. A test marked `longer`, and each of Hypothesis, runs without it, on a few cases, and with it again, on many:
`few_or_many` and Hypothesis's profile say how many.
"""

import os
from typing import Final

import pytest
from hypothesis import settings

LONG: Final = "long"
"""The option, the marker, and Hypothesis's profile."""

MAX_EXAMPLES: Final = {"short": 50, LONG: 1000}
"""How many examples there are of a property that says no number of its own."""


def begin(config: pytest.Config) -> None:
    """Choose how many cases there are, before any test is imported."""
    profile = LONG if config.getoption(LONG) else "short"
    settings.register_profile(profile, settings(), max_examples=MAX_EXAMPLES[profile])
    settings.load_profile(profile)


def few_or_many(few: int, many: int, variable: str = "") -> int:
    """A number of cases: few by default, many with `--long`, or what a variable of the environment asks for."""
    return int(os.environ.get(variable) or (many if is_long() else few))


def asks_for_more(variable: str) -> bool:
    """Whether there are more cases than by default: those are new ones each time."""
    return is_long() or variable in os.environ


def is_long() -> bool:
    """Whether the long tests were asked for."""
    return settings.get_current_profile_name() == LONG


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--long` leave out what would be no longer, and without it what is long."""
    if config.getoption(LONG):
        _deselect(config, items, [item for item in items if not (_is_long(item) or _draws_more(item))])
    elif not _is_named(config):
        _deselect(config, items, [item for item in items if _is_long(item)])


def _deselect(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _is_named(config: pytest.Config) -> bool:
    """Whether single tests are asked for by their names."""
    return any("::" in each for each in config.args)


def _is_long(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return any(
        all(params.get(name) == value for name, value in mark.kwargs.items()) for mark in item.iter_markers(LONG)
    )


def _draws_more(item: pytest.Item) -> bool:
    """Whether it is marked so, or is a property of Hypothesis."""
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return is_property or item.get_closest_marker("longer") is not None
