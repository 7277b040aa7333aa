"""The README's walk, pasted into a shell: on free ports, in a folder of its own, with what is installed already."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def walk() -> str:
    """All that the walk tells to paste."""
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## A walk") : readme.index("## With your Stripe account")]
    return "".join(re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL))


@pytest.mark.timeout(180)
def test_the_walk_ends_with_a_paid_invoice_and_one_that_is_told_live(tmp_path: Path) -> None:
    product, simulator = free_port(), free_port()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "fluxrate").symlink_to(Path(sys.executable).parent / "fluxrate")
    commands = walk()
    for pasted, here in {"scripts/install": "true", "8100": str(product), "12111": str(simulator)}.items():
        assert pasted in commands
        commands = commands.replace(pasted, here)
    settings = {name: value for name, value in os.environ.items() if not name.startswith("FLUXRATE_")}

    pasting = subprocess.run(
        ["bash", "-c", f"set -m\n{commands}\nwait"],
        cwd=tmp_path,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    answers = [json.loads(line) for line in pasting.stdout.splitlines() if line.startswith('{"data"')]
    assert answers, pasting.stderr
    problems = answers[0]["data"]["connectStripe"]["integration"]["health"]["problems"]
    assert "WEBHOOK_SECRET_MISSING" in [problem["code"] for problem in problems]
    invoice = next(answer["data"]["invoice"] for answer in answers if "invoice" in answer["data"])
    assert (invoice["status"], invoice["amountPaid"]) == ("PAID", {"amount": "46.20", "currency": "EUR"})
    assert len(invoice["payments"]["nodes"]) == 1
    (told,) = [json.loads(line[6:]) for line in pasting.stdout.splitlines() if line.startswith("data: {")]
    assert told["data"]["invoicePaid"]["invoice"]["total"] == {"amount": "46.20", "currency": "EUR"}
