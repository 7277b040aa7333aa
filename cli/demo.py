"""`fluxrate serve --demo`: the product beside a simulated Stripe, on a database that lasts as long as the demo."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from cli.output import print_json
from cli.simulator import THIS_MACHINE, new_server
from cli.workspace import workspace_json
from errors import ConfigurationError, FluxrateError
from settings import NAMES, PREFIX, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from cli.demo_books import OpenInvoice
    from models.workspace import Workspace

WORKSPACE: Final = "Demo"
START_PATIENCE_S: Final = 30.0
STOP_PATIENCE_S: Final = 5.0
TERMINATED: Final = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Demo:
    """A running demo: its URLs and its API key."""

    url: str
    simulator_url: str
    workspace: "Workspace"
    api_key: str

    @property
    def sign_in_url(self) -> str:
        """The link that signs in to the dashboard."""
        return f"{self.url}/#key={self.api_key}"


def refuse_unless_alone(host: str, others: dict[str, bool]) -> None:
    """Refuse a demo that could touch real data, by a setting, or be reached from other machines, by its address.

    Raises:
        ConfigurationError: It would. `others` are the options that don't go with it, and whether each was given.
    """
    named = [f"{PREFIX}{name}" for name in NAMES if os.environ.get(f"{PREFIX}{name}", "").strip()]
    if named:
        raise ConfigurationError(
            "--demo brings a database, keys and a Stripe of its own and never touches yours: unset"
            f" {', '.join(named)} for it."
        )
    given = [option for option, is_given in others.items() if is_given]
    if given:
        raise ConfigurationError(f"--demo takes --host, --port and --json, not {', '.join(given)}.")
    if host not in THIS_MACHINE:
        raise ConfigurationError("The demo's simulator serves this machine only: --host 127.0.0.1, ::1 or localhost.")


def run_demo(create_app: "Callable[[Settings], ASGIApp]", host: str, port: int, *, as_json: bool) -> None:
    """Serve a demo until it is stopped, then delete its database."""
    from edge.server import listen

    _end_in_order()
    bound = listen.bind(host, port)
    url = listen.url_of(bound)
    _print_progress("Starting a demo: the product, and a simulated Stripe …")
    with tempfile.TemporaryDirectory(prefix="fluxrate-demo-") as folder, _simulator() as started:
        database_url = f"sqlite://{folder}/demo.sqlite3"
        workspace, key = asyncio.run(_prepare(database_url))  # while the simulator starts
        simulator_url = started()
        settings = _settings(database_url, url, simulator_url)
        filling = _Filling(Demo(url, simulator_url, workspace, key), as_json=as_json)
        filling.start()
        try:
            listen.run(partial(_quiet_app, create_app, settings), bound)
        except KeyboardInterrupt:
            if filling.failure is not None:
                raise filling.failure from None
            raise


def _end_in_order() -> None:
    """Turn signals into an exception, so that the demo cleans up even if its terminal is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _settings(database_url: str, url: str, simulator_url: str) -> Settings:
    from dataclasses import replace

    from models.secret import generate_key

    own = {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": generate_key(),
        "STRIPE_API_BASE": simulator_url,
    }
    return replace(Settings.from_env({f"{PREFIX}{name}": value for name, value in own.items()}), public_url=url)


async def _prepare(database_url: str) -> "tuple[Workspace, str]":
    """Make the database, a workspace, and its API key."""
    from database import migrate
    from database.access import Database
    from models.kinds import Mode
    from resolvers import operator

    await migrate.migrate(database_url)
    async with Database(database_url, pool_size=1):
        return await operator.create_workspace(WORKSPACE, Mode.TEST)


def _quiet_app(create_app: "Callable[[Settings], ASGIApp]", settings: Settings) -> "ASGIApp":
    """Make the application, and log warnings only: a line for each request would push the sign-in link away."""
    from edge.logs import configure_logging

    app = create_app(settings)
    configure_logging(logging.WARNING)
    return app


# --- The simulator's process -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _simulator() -> Iterator[Callable[[], str]]:
    """Run a simulator in a process of its own, which ends with the block, and with this process however it ends.

    It yields a function that waits until the simulator has started and returns its URL.
    """
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_simulate, args=(there,), name="simulator", daemon=True)
    process.start()
    there.close()
    try:
        yield partial(_url_from, here)
    finally:
        here.close()
        process.join(STOP_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()


def _url_from(simulator: Connection) -> str:
    try:
        if simulator.poll(START_PATIENCE_S):
            return str(simulator.recv())
    except EOFError:
        raise FluxrateError("The demo's simulator ended before it served: see above.") from None
    raise FluxrateError("The demo's simulator did not start in time: try again.")


def _simulate(parent: Connection) -> None:
    """Serve a simulator until the parent closes the pipe; send it the URL."""
    from edge.server import listen

    os.setpgid(0, 0)  # Ctrl-C stops the demo, which stops its simulator last
    bound = listen.bind("127.0.0.1", 0)
    server = new_server()

    def end_with_parent() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv()
        server.should_exit = True

    Thread(target=end_with_parent, daemon=True).start()
    parent.send(listen.url_of(bound))
    server.run(sockets=[bound])


# --- Filling it ------------------------------------------------------------------------------------------------


class _Filling(Thread):
    """Fills a demo by its public API while it is served, then prints what to try.

    If that fails, `failure` is the reason, and the demo is interrupted.
    """

    def __init__(self, demo: Demo, *, as_json: bool) -> None:
        super().__init__(daemon=True)
        self._demo, self._as_json = demo, as_json
        self.failure: FluxrateError | None = None

    def run(self) -> None:
        import httpx

        from cli.demo_books import Books

        demo = self._demo
        try:
            to_try = Books(demo.url, demo.simulator_url, demo.api_key).fill(_print_progress)
        except httpx.TransportError:
            return  # it is being stopped
        except FluxrateError as error:
            self.failure = error
        except Exception as error:
            self.failure = FluxrateError(f"The demo could not be filled: {type(error).__name__}: {error}")
        else:
            _announce(demo, to_try, as_json=self._as_json)
            return
        os.kill(os.getpid(), signal.SIGINT)


def _print_progress(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _announce(demo: Demo, to_try: "OpenInvoice", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "url": demo.url,
                "publicUrl": demo.url,
                "workspace": workspace_json(demo.workspace),
                "apiKey": demo.api_key,
                "signInUrl": demo.sign_in_url,
                "simulatorUrl": demo.simulator_url,
                "openInvoice": {"id": to_try.id, "number": to_try.number, "paymentUrl": to_try.payment_url},
            }
        )
        return
    from edge.dashboard import is_built

    print(_welcome(demo, to_try, has_dashboard=is_built()), flush=True)


def _welcome(demo: Demo, to_try: "OpenInvoice", *, has_dashboard: bool) -> str:
    """Write the text that is printed once the demo is filled."""
    if has_dashboard:
        enter = f"Open the dashboard, signed in by this link:\n\n    {demo.sign_in_url}\n"
        look = f"Open invoice {to_try.number}: {demo.url}/invoices/{to_try.id}"
    else:
        header = f'{{"Authorization": "Bearer {demo.api_key}"}}'
        enter = f"The dashboard is not built. Open {demo.url}/graphql and give it under Headers:\n\n    {header}\n"
        look = f'Ask for an open invoice: {{ invoice(id: "{to_try.id}") {{ number status }} }}'
    return (
        f"\nThe demo is ready. Ctrl-C stops it, and nothing of it is kept. No money moves.\n\n{enter}\n"
        "Three things to try:\n"
        f"  1. {look}\n"
        f"  2. Open its payment link and pay: {to_try.payment_url}\n"
        "  3. Watch the invoice turn Paid. Then refund or dispute it there, or pay another twice.\n\n"
        f"Let something go wrong, such as doubled or late webhooks or an outage: {demo.simulator_url}/faults\n"
        "Pay without a browser, from another terminal:\n"
        f"    {_command()} simulate paid --invoice {to_try.number} --simulator {demo.simulator_url}\n"
    )


def _command() -> str:
    """Return the command that runs this command line from any folder."""
    installed = Path(sys.executable).with_name("fluxrate")
    return shlex.quote(str(installed)) if installed.exists() else "fluxrate"
