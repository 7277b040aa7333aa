"""Serve with a dashboard that was built elsewhere: `python -m tests.world.with_dist FOLDER serve …`."""

import sys
from functools import partial
from pathlib import Path

from cli.app import run
from main import create_app

if __name__ == "__main__":
    run(partial(create_app, dist=Path(sys.argv.pop(1))))
