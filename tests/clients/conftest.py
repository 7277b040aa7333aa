"""The clients, installed from their lock, and the recipes of the documentation beside them."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
FOLDER: Final = ROOT / ".venv" / "clients"
RECIPE: Final = re.compile(r"^```js\n// (\S+\.mjs)\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A block of code in the documentation that names its file."""

REQUIRED: Final = os.environ.get("FLUXRATE_REQUIRE_NODE") == "1"


def recipes() -> dict[str, str]:
    """The recipes of the documentation by their files' names."""
    return dict(RECIPE.findall((ROOT / "docs" / "live.md").read_text()))


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder of the clients; tests that need them are skipped where they can't be had and need not be."""
    if not (shutil.which("node") and shutil.which("npm")) and not REQUIRED:
        pytest.skip("needs Node.js with npm: install them, or see what the tests say elsewhere")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test processes the second waits
        for script in HERE.glob("*.mjs"):
            shutil.copy(script, FOLDER)
        for name, text in recipes().items():
            (FOLDER / name).write_text(text)
        _install()
    return FOLDER


def _install() -> None:
    wanted = (HERE / "package-lock.json").read_text()
    stamp = FOLDER / "installed-lock.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, FOLDER)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=100
    )
    if done.returncode != 0 and not REQUIRED:
        pytest.skip(f"npm can't install the clients: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    stamp.write_text(wanted)
