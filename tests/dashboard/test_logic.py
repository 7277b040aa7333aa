"""What the pages reckon with, by Vitest."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
VITEST: Final = ROOT / "dashboard" / "node_modules" / ".bin" / "vitest"


def test_logic() -> None:
    if not VITEST.exists() and os.environ.get("FLUXRATE_REQUIRE_NODE") != "1":
        pytest.skip("the dashboard's packages are not installed: run scripts/install, which says why they can't be")
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [VITEST, "run"], cwd=ROOT / "dashboard", env={**os.environ, "PATH": path}, capture_output=True, text=True,
        check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
