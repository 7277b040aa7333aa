"""The demo, as somebody starts it who has neither an account nor a database."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.world.app import Cli, Running, Talking, environment
from tests.world.local import LOCAL

INTERRUPTED: Final = 130
PATIENCE_S: Final = 60.0
STATES: Final = {"DRAFT", "OPEN", "PAID", "VOID", "UNCOLLECTIBLE"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A demo that was started in an empty folder and is ready."""
    running = Running(["serve", "--demo"], {}, tmp_path_factory.mktemp("empty"))
    try:
        yield running
    finally:
        running.forget()


@pytest.fixture
def browser(demo: Running) -> Iterator[httpx.Client]:
    """Whoever opened the sign-in link that was printed."""
    page, key = demo.announced["signInUrl"].split("/#key=")
    with httpx.Client(base_url=page, **LOCAL, timeout=20, headers={"Origin": page}) as client:
        signed_in = client.post("/session", json={"apiKey": key})
        assert signed_in.is_success, signed_in.text
        yield client


def asked(browser: httpx.Client, query: str) -> Any:
    answer = browser.post("/graphql", json={"query": query}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def within(patience_s: float, is_so: Callable[[], bool]) -> bool:
    """Whether something is so before the time is over."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def pids_of_session(session: int) -> set[int]:
    """The processes that descend from one that began a session."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    found = set()
    for pid, state in (line.split() for line in listed.splitlines()):
        try:
            if os.getsid(int(pid)) == session and not state.startswith("Z"):
                found.add(int(pid))
        except ProcessLookupError:
            continue
    return found


@contextmanager
def started(folder: Path, *, cold: bool = False) -> Iterator[Talking]:
    """A demo that a person started, whose temporary files go to a folder."""
    demo = Talking(["serve", "--demo", "--port", "0"], {"TMPDIR": str(folder)}, folder, cold=cold)
    try:
        yield demo
    finally:
        demo.forget()
        for pid in pids_of_session(demo.process.pid):
            os.kill(pid, signal.SIGKILL)


# --- What it holds ---------------------------------------------------------------------------------------------


def test_it_is_a_test_workspace_that_the_printed_link_signs_in_to(browser: httpx.Client) -> None:
    viewer = asked(browser, "{ viewer { workspace { name mode } } }")["viewer"]

    assert viewer["workspace"] == {"name": "Demo", "mode": "TEST"}


def test_it_holds_invoices_in_every_state_and_three_currencies(browser: httpx.Client) -> None:
    found = asked(
        browser,
        """{ invoices(first: 100) { nodes {
            status isOverdue amountPaid { amount } total { currency } customer { id }
        } } }""",
    )["invoices"]["nodes"]

    assert len(found) > 35
    assert {invoice["status"] for invoice in found} == STATES
    assert {invoice["total"]["currency"] for invoice in found} == {"EUR", "USD", "JPY"}
    assert len({invoice["customer"]["id"] for invoice in found}) == 8
    assert any(invoice["isOverdue"] for invoice in found)
    partly = [each for each in found if each["status"] == "OPEN" and float(each["amountPaid"]["amount"]) > 0]
    assert partly


def test_it_holds_a_month_of_payments_with_their_trouble(browser: httpx.Client) -> None:
    found = asked(
        browser,
        """{ payments(first: 100) { nodes {
            status occurredAt amountRefunded { amount } dispute { status } unappliedReason { code } invoice { id }
        } } }""",
    )["payments"]["nodes"]

    ago = [datetime.now(UTC) - datetime.fromisoformat(payment["occurredAt"]) for payment in found]
    assert max(ago) > timedelta(days=25)
    assert all(timedelta(0) < age < timedelta(days=31) for age in ago)
    assert len({age.days for age in ago}) > 15
    assert Counter(payment["status"] for payment in found).keys() == {"SUCCEEDED", "FAILED", "PENDING"}
    assert sum(float(payment["amountRefunded"]["amount"]) > 0 for payment in found) == 2
    assert sum(payment["dispute"] is not None for payment in found) == 1
    (stray,) = [payment for payment in found if payment["unappliedReason"]]
    assert (stray["unappliedReason"]["code"], stray["invoice"]) == ("INVOICE_NOT_FOUND", None)


def test_its_integration_is_healthy(browser: httpx.Client) -> None:
    query = "{ stripeIntegrations { nodes { status health { problems { code } } } } }"

    (integration,) = asked(browser, query)["stripeIntegrations"]["nodes"]

    problems = [problem["code"] for problem in integration["health"]["problems"]]
    assert (integration["status"], problems) == ("READY", [])


def test_an_invoice_is_paid_on_the_page_of_its_link(demo: Running, browser: httpx.Client) -> None:
    invoice = demo.announced["openInvoice"]
    look = f'{{ invoice(id: "{invoice["id"]}") {{ number status }} }}'
    before = asked(browser, look)["invoice"]
    page = httpx.get(invoice["paymentUrl"], **LOCAL).text
    session = re.search(r'name="checkout_session" value="(\w+)"', page)
    assert session is not None

    back = httpx.post(
        f"{invoice['paymentUrl']}/page",
        data={"action": "pay", "checkout_session": session[1]},
        follow_redirects=True,
        **LOCAL,
    )

    assert before == {"number": invoice["number"], "status": "OPEN"}
    assert "was paid by card" in back.text
    assert asked(browser, look)["invoice"]["status"] == "PAID"


# --- What it leaves alone, and that it ends --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "arguments", "says"),
    [
        ({"FLUXRATE_DATABASE_URL": "sqlite://real.sqlite3"}, [], "unset FLUXRATE_DATABASE_URL"),
        ({"FLUXRATE_BROADCAST_URL": "redis://127.0.0.1:1"}, [], "unset FLUXRATE_BROADCAST_URL"),
        ({}, ["--workers", "2"], "not --workers"),
        ({}, ["--host", "0.0.0.0"], "--host 127.0.0.1"),
    ],
)
def test_it_refuses_what_would_reach_beyond_it(
    tmp_path: Path, env: dict[str, str], arguments: list[str], says: str
) -> None:
    refused = Cli(env, tmp_path).run("serve", "--demo", "--port", "0", *arguments)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert says in refused.stderr
    assert os.listdir(tmp_path) == []


def test_a_person_is_told_where_to_go_and_what_to_try(tmp_path: Path) -> None:
    with started(tmp_path, cold=True) as demo:
        said = demo.read_until(" simulate ")
        _, _, simulate = said.rstrip().rpartition("\n")
        simulated = subprocess.run(
            shlex.split(simulate), cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False
        )
        demo.process.send_signal(signal.SIGINT)

        assert demo.process.wait(PATIENCE_S) == INTERRUPTED

    key = re.search(r"flx_test_[0-9a-f]{40}", said)
    assert key is not None
    url = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert url is not None
    assert f"{url[0]}/#key={key[0]}" in said or f'{{"Authorization": "Bearer {key[0]}"}}' in said
    assert re.search(r"2\. Open its payment link and pay: http://127\.0\.0\.1:\d+/pay/plink_\w+", said)
    assert "42 of 42 invoices" in said
    assert re.search(r"an outage: http://127\.0\.0\.1:\d+/faults\n", said)
    assert (simulated.returncode, simulated.stderr) == (0, "")
    assert "payment_intent.succeeded" in simulated.stdout
    assert '"level"' not in said


@pytest.mark.long(how=signal.SIGHUP)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGINT, INTERRUPTED),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGTERM),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_it_ends_whole_also_while_it_is_being_filled(tmp_path: Path, how: signal.Signals, code: int) -> None:
    """However it ends no process is left; only what is killed leaves its folder."""
    with started(tmp_path) as demo:
        demo.read_until("Connected")
        session = demo.process.pid
        before = pids_of_session(session)

        demo.process.send_signal(how)

        assert demo.process.wait(PATIENCE_S) == code
        assert len(before) > 1
        assert within(PATIENCE_S, lambda: pids_of_session(session) == set())
        assert "Error" not in demo.read_rest()
    assert how is signal.SIGKILL or os.listdir(tmp_path) == []
