"""Events as Stripe sent them, where the folder that holds them lies beside the repository; they are not part of it."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

RECORDED: Final = sorted((Path(__file__).parents[3] / "shared" / "fixtures").glob("*.json"))
"""One file per event; SOURCES.md beside them says where each is from."""

needs_recorded: Final = pytest.mark.skipif(not RECORDED, reason="the folder of recorded events is not there")


def load(path: Path) -> dict[str, Any]:
    """A recorded event."""
    event: dict[str, Any] = orjson.loads(path.read_bytes())
    return event
