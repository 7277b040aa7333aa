"""These take minutes and kill real processes: they run when asked for, `FAULTS=1 scripts/test tests/faults`."""

import os

if "FAULTS" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
