"""The points at which a process can be told to die: where they are, and that nobody dies without being told."""

import re
from pathlib import Path

import pytest

from errors import ConfigurationError
from models import crash
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("edge", "models", "resolvers", "schema", "webhooks")


def test_every_point_is_on_the_way_once() -> None:
    sources = (path.read_text() for package in PRODUCT for path in (ROOT / package).glob("*.py"))

    placed = [name for source in sources for name in re.findall(r'crash\.point\("(\w+)"\)', source)]

    assert sorted(placed) == sorted(crash.POINTS)


def test_without_the_variable_nobody_dies() -> None:
    assert Settings.from_env({}, sealing=False).crash_at is None
    for name in crash.POINTS:
        crash.point(name)


def test_the_variable_names_a_point_and_a_time() -> None:
    assert Settings.from_env({"FLUXRATE_CRASH_AT": "committed:3"}, sealing=False).crash_at == ("committed", 3)


@pytest.mark.parametrize("text", ["committed", "committed:", "committed:0", "committed:-1", "committed:x", "nowhere:1"])
def test_a_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FLUXRATE_CRASH_AT must be one of verified, begun"):
        Settings.from_env({"FLUXRATE_CRASH_AT": text}, sealing=False)
