"""The composition root: `create_app` puts the parts together, `cli` is the command line.

Commands load what they need when they run: `fluxrate --help` needs neither Tortoise nor Strawberry.
"""

import asyncio
import contextlib
import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from errors import ConfigurationError, FluxrateError, InvalidInput
from settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from edge.metrics import Metrics
    from models.api_key import ApiKey
    from models.workspace import Workspace
    from resolvers.context import Services
    from webhooks.stripe import StripeWebhook

T = TypeVar("T")

# --- The application -------------------------------------------------------------------------------------------

SAMPLE_INTERVAL_S: Final = 1.0
READY_TIMEOUT_S: Final = 2.0
ROOM_FOR: Final = ("/webhooks/", "/healthz", "/readyz", "/metrics")
"""What is answered however many connections there are."""


def create_app(settings: Settings | None = None) -> "Starlette":
    """The application, not yet started: `uvicorn main:create_app --factory`.

    Raises:
        ConfigurationError: There are no settings and the environment holds none that work.
    """
    from starlette.applications import Starlette
    from starlette.middleware.cors import CORSMiddleware
    from starlette.routing import Route

    from edge.app import Application, ExpressLane
    from edge.graphql.endpoint import GraphQLEndpoint
    from edge.graphql.rate_limit import RateLimits
    from edge.health import health_routes, index_route
    from edge.logs import configure_logging
    from edge.metrics import Metrics
    from execution.persisted import PersistedDocuments, read_trusted
    from models import crash
    from webhooks.stripe import PATH_PREFIX, StripeWebhook
    from workers.reconcile import Reconciliation
    from workers.sweep import Sweep

    settings = settings or Settings.from_env()
    configure_logging()
    if settings.crash_at is not None:
        crash.arm(*settings.crash_at)
    services = compose(settings)
    metrics = Metrics()
    trusted = settings.trusted_documents
    rate_limits = RateLimits(settings.broadcast_url, settings.rate_limit_per_key, settings.rate_limit_per_address)
    graphql = GraphQLEndpoint(
        services,
        allowed_origins=settings.allowed_origins,
        rate_limits=rate_limits,
        documents=PersistedDocuments() if trusted is None else read_trusted(trusted),
        introspection=settings.introspection,
        graphiql=settings.graphiql,
    )
    webhook = StripeWebhook(services, metrics.count_delivery)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await _refuse_pending(settings)
            await stack.enter_async_context(services.database)
            await _check_keys(services)
            parts: list[contextlib.AbstractAsyncContextManager[object, bool | None]] = [
                services.gateway,
                services.feed,
                services.link_maker,
                services.inbox,
                services.quarantine,
                rate_limits,
                graphql,
                Sweep(services.inbox, services.quarantine, services.feed.wake),
                Reconciliation(services.sync, services.checkup, settings.sync_interval_s),
                _sampled(metrics, services, webhook),
            ]
            for part in parts:  # what is opened last is closed first: the doors, then what is behind them
                await stack.enter_async_context(part)
            gc.set_threshold(50_000, 20, 50)
            gc.enable()
            gc.freeze()  # what lives as long as the process need not be looked at again
            yield

    cors = CORSMiddleware(
        graphql,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "last-event-id", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
        max_age=3600,
    )
    return Application(
        routes=[
            index_route(settings.public_url),
            Route("/graphql", cors if settings.allowed_origins else graphql),
            *health_routes(metrics, _unready_because),
        ],
        express=[
            ExpressLane("http", PATH_PREFIX, f"{PATH_PREFIX}{{token}}", webhook),
            ExpressLane("websocket", "/graphql", "/graphql", graphql),
        ],
        metrics=metrics,
        lifespan=lifespan,
        trusted_proxies=settings.trusted_proxies,
    )


def compose(settings: Settings) -> "Services":
    """What lives as long as the process, put together; nothing is opened yet."""
    from database.door import Database
    from feed.follow import Feed
    from gateways.stripe.checkup import Checkup
    from gateways.stripe.client import StripeGateway
    from inbox.quarantine.release import Quarantine
    from inbox.queue import Inbox
    from inbox.sync import Sync
    from models.secret import Keyring
    from payment_links.maker import LinkMaker, retry_links
    from resolvers.context import Services
    from resolvers.reading.loaders import Loaders

    database = Database(settings.database_url)
    keyring = Keyring.parse(settings.encryption_keys)
    gateway = StripeGateway(settings.stripe_api_base)
    feed = Feed(settings.broadcast_url, Loaders)
    link_maker = LinkMaker(keyring, gateway, published=feed.wake)
    inbox = Inbox(database, feed.wake, link_maker.wake)
    checkup = Checkup(keyring, gateway, settings.public_url, feed.wake, on_key_accepted=retry_links)
    return Services(
        database=database,
        keyring=keyring,
        gateway=gateway,
        checkup=checkup,
        feed=feed,
        inbox=inbox,
        link_maker=link_maker,
        quarantine=Quarantine(inbox, keyring, feed.wake),
        sync=Sync(inbox, gateway, keyring),
        public_url=settings.public_url,
    )


async def _refuse_pending(settings: Settings) -> None:
    from database.migrate import pending_migrations

    pending = await pending_migrations(settings.database_url)
    if pending:
        raise ConfigurationError(f'The database is not up to date ({", ".join(pending)}): run "fluxrate migrate".')


async def _check_keys(services: "Services") -> None:
    from resolvers.operator import check_encryption_keys

    await check_encryption_keys(services.keyring)


async def _unready_because() -> str | None:
    from database.door import fetch, unwritable_because

    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await fetch("SELECT seq FROM workspaces LIMIT 1")
            return await unwritable_because()
    except Exception:
        return "The database can't be reached or is not migrated."


@contextlib.asynccontextmanager
async def _sampled(metrics: "Metrics", services: "Services", webhook: "StripeWebhook") -> AsyncIterator[None]:
    async def sample() -> None:
        while True:
            metrics.sample(queued=webhook.waiting, subscriptions=services.feed.follower_count)
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    task = asyncio.create_task(sample())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- The command line ------------------------------------------------------------------------------------------

app = typer.Typer(
    name="fluxrate",
    help="Invoices, Stripe Payment Links and payments over GraphQL, in real time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
workspace_app = typer.Typer(help="Workspaces: a business each.", no_args_is_help=True)
key_app = typer.Typer(help="API keys of a workspace.", no_args_is_help=True)
app.add_typer(workspace_app, name="workspace")
app.add_typer(key_app, name="key")


class ModeName(StrEnum):
    """A workspace's mode as it is typed; the model's would need Tortoise for `--help`."""

    TEST = "test"
    LIVE = "live"


class ScopeName(StrEnum):
    """A key's scope as it is typed."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
WorkspaceId = Annotated[
    str | None, typer.Option("--workspace", help="Its id, ws_…; not needed while there is one only.")
]


def cli() -> None:
    """Run the command line: what is refused is told in a sentence, with exit code 1."""
    try:
        app()
    except FluxrateError as error:
        _fail(error.message)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # a traceback tells an operator nothing; where it happened tells us
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "nowhere"
        _fail(f"Something unexpected went wrong at {where}: {type(error).__name__}: {error}")


def _fail(sentence: str) -> None:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(1)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that serve.")] = 1,
    migrate_first: Annotated[
        bool, typer.Option("--migrate/--no-migrate", help="Migrate the database first, or refuse if it has to be.")
    ] = True,
    trusted_documents: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answer only the documents in this JSON object of them by their ids."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Migrate, then serve GraphQL and webhooks."""
    gc.disable()  # until all is loaded: nothing of it is garbage
    from edge.logs import configure_logging
    from edge.server import listen

    if trusted_documents is not None:
        os.environ["FLUXRATE_TRUSTED_DOCUMENTS"] = str(trusted_documents.absolute())  # worker processes read it too
    settings = Settings.from_env()
    if settings.trusted_documents is not None:
        from execution.persisted import read_trusted

        read_trusted(settings.trusted_documents)
    if workers > 1 and not settings.shared_broadcast:
        raise ConfigurationError(
            f"{workers} workers can't hear one another over memory://:"
            " set FLUXRATE_BROADCAST_URL to a redis:// URL, or serve with --workers 1."
        )
    configure_logging()
    bound = listen.bind(host, port)
    url = listen.url_of(bound)
    if not os.environ.get("FLUXRATE_PUBLIC_URL", "").strip():
        os.environ["FLUXRATE_PUBLIC_URL"] = url  # worker processes read it too
        settings = replace(settings, public_url=url)
    first = asyncio.run(_prepare(settings, migrate_first=migrate_first))
    _announce(url, settings, first, as_json=as_json)
    with _shared_metrics() if workers > 1 else contextlib.nullcontext():
        listen.run(
            "main:create_app" if workers > 1 else lambda: create_app(settings),
            bound,
            workers=workers,
            trusted_proxies=settings.trusted_proxies,
            room_for=ROOM_FOR,
        )


async def _migrate(settings: Settings) -> list[str]:
    """Bring the database up to date, and say where a new one was made: a mistyped path would begin an empty one."""
    from database import migrate

    missing = migrate.missing_file(settings.database_url)
    applied = await migrate.migrate(settings.database_url, embedded=settings.embedded)
    if missing is not None:
        print(f"There was no database yet: a new one was made at {missing}.", file=sys.stderr)
    return applied


async def _prepare(settings: Settings, *, migrate_first: bool) -> "tuple[Workspace, str] | None":
    """Make the database fit to be served; the embedded one's first workspace is made with it."""
    from database import door
    from models.secret import Keyring
    from resolvers import operator

    if migrate_first:
        await _migrate(settings)
    else:
        await _refuse_pending(settings)
    async with door.Database(settings.database_url):
        await operator.check_encryption_keys(Keyring.parse(settings.encryption_keys))
        return await operator.create_first_workspace() if settings.embedded else None


def _announce(url: str, settings: Settings, first: "tuple[Workspace, str] | None", *, as_json: bool) -> None:
    if as_json:
        made = {"workspace": _workspace_json(first[0]), "apiKey": first[1]} if first else {}
        _print_json({"url": url, "publicUrl": settings.public_url, **made})
        return
    graphiql = f": GraphiQL is at {url}/graphql, Ctrl-C stops it." if settings.graphiql else ". Ctrl-C stops it."
    print(f"Fluxrate serves on {url}{graphiql}")
    if first is None:
        print(
            'An API key is made with "fluxrate key create --name NAME", a workspace with "fluxrate workspace create".'
        )
    if first is not None:
        workspace, key = first
        print(
            f"\nThis is the first start. The TEST workspace {workspace.name!r} was made ({workspace.id}) and its"
            f" API key, shown this once and stored nowhere:\n\n    {key}\n\n"
            f"Next: open {url}/graphql and give it under Headers:\n\n"
            f'    {{"Authorization": "Bearer {key}"}}\n'
        )
    sys.stdout.flush()


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which worker processes count together; prometheus-client reads this variable when it is loaded."""
    folder = tempfile.mkdtemp(prefix="fluxrate-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database up to date."""
    settings = Settings.from_env(sealing=False)
    if settings.embedded:
        settings = Settings.from_env()  # makes its key, which must be there before the database
    applied = asyncio.run(_migrate(settings))
    if as_json:
        _print_json({"applied": applied})
    else:
        print("\n".join(f"Applied {name}." for name in applied) or "The database is up to date.")


@app.command()
def sync(
    integration: Annotated[
        list[str] | None, typer.Argument(metavar="[INTEGRATION]...", help="Their ids, int_…; all that are connected.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help='From when on, like "7d", "12h" or "2030-01-31"; else from the last sync.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask Stripe for events that never arrived, and apply them."""
    settings = Settings.from_env()
    found = asyncio.run(
        _sync(settings, integration or [], None if since is None else _instant(since, -1), as_json=as_json)
    )
    if as_json:
        _print_json({"integrations": found})
    elif not found:
        print("There is no connected integration.")


async def _sync(settings: Settings, ids: list[str], since: datetime | None, *, as_json: bool) -> list[dict[str, Any]]:
    from rich.console import Console

    from resolvers.operator import connected_integrations

    await _refuse_pending(settings)
    services = compose(settings)
    console = Console(stderr=True)
    answers = []
    async with contextlib.AsyncExitStack() as stack:
        for part in (services.database, services.gateway, services.feed, services.inbox):
            await stack.enter_async_context(part)
        await _check_keys(services)
        for integration in await connected_integrations(ids):
            with console.status(f"{integration.name}: asking Stripe …") as status:
                progress = await services.sync.fetch_events(
                    integration,
                    since,
                    told=lambda so_far, name=integration.name: status.update(  # type: ignore[misc]
                        f"{name}: {so_far.found} events read, {so_far.applied} applied, up to {_iso(so_far.until)}"
                    ),
                )
                paid = await services.sync.check_links(integration, rest=timedelta(0))
            answer = {
                "id": integration.id,
                "found": progress.found + paid,
                "alreadyKnown": progress.already_known,
                "applied": progress.applied + paid,
                "failed": progress.failed,
                "since": _iso(progress.since),
                "complete": progress.complete,
                "gap": progress.gap.message if progress.gap else None,
            }
            answers.append(answer)
            if not as_json:
                print(
                    f"{integration.name} ({integration.id}): {answer['found']} events since {answer['since']},"
                    f" {answer['alreadyKnown']} known already, {answer['applied']} applied, {answer['failed']} failed."
                    + (f"\n{progress.gap.message} {progress.gap.fix}" if progress.gap else "")
                )
    return answers


@app.command("generate-key")
def generate_key(as_json: AsJson = False) -> None:
    """Print a fresh encryption key for FLUXRATE_ENCRYPTION_KEYS."""
    from models import secret

    key = secret.generate_key()
    if as_json:
        _print_json({"encryptionKey": key, "keyId": secret.Keyring.parse([key]).primary_id})
    else:
        print(key)


@app.command("rotate-encryption-key")
def rotate_encryption_key(as_json: AsJson = False) -> None:
    """Encrypt every stored secret with the first of FLUXRATE_ENCRYPTION_KEYS."""
    from rich.console import Console
    from rich.progress import Progress

    from models.secret import Keyring
    from resolvers import operator

    settings = Settings.from_env()
    keyring = Keyring.parse(settings.encryption_keys)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Encrypting anew", total=None)

        def progressed(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        resealed = asyncio.run(_operate(settings, lambda: operator.reseal(keyring, progressed)))
    if as_json:
        _print_json({"resealed": resealed, "keyId": keyring.primary_id})
    else:
        print(
            f"{resealed} stored secret{'' if resealed == 1 else 's'} encrypted anew; only the first key is needed now."
        )


@app.command()
def simulator(
    host: Annotated[str, typer.Option(help="An address of this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 12111,
    as_json: AsJson = False,
) -> None:
    """Serve a stand-in for Stripe, to try the product without an account."""
    import uvicorn

    from edge.server import listen
    from simulator.app import create_app as create_simulator

    if host not in {"127.0.0.1", "::1", "localhost"}:
        raise InvalidInput("The simulator knows no passwords: serve it on 127.0.0.1, ::1 or localhost only.")
    bound = listen.bind(host, port)
    url = listen.url_of(bound)
    if as_json:
        _print_json({"url": url})
    else:
        print(f"The simulator serves on {url}: start Fluxrate with FLUXRATE_STRIPE_API_BASE={url}", flush=True)
    config = uvicorn.Config(create_simulator(), lifespan="on", log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[bound])


@app.command("schema")
def print_schema(as_json: AsJson = False) -> None:
    """Print the GraphQL schema."""
    from execution.schema import schema

    sdl = schema.as_str()
    if as_json:
        _print_json({"schema": sdl})
    else:
        print(sdl)


# --- Workspaces and keys ---------------------------------------------------------------------------------------


@workspace_app.command("create")
def create_workspace(
    name: str,
    mode: Annotated[ModeName, typer.Option(case_sensitive=False, help="For good: is its money real?")],
    as_json: AsJson = False,
) -> None:
    """Make a workspace and its first API key, which may do everything."""
    from models.workspace import Mode
    from resolvers import operator

    workspace, key = _operated(lambda: operator.create_workspace(name, Mode[mode.name]))
    if as_json:
        _print_json({"workspace": _workspace_json(workspace), "apiKey": key})
    else:
        print(f"Made the {workspace.mode.value} workspace {workspace.name!r}: {workspace.id}")
        print(f"Its API key, shown this once and stored nowhere:\n\n    {key}\n")


@workspace_app.command("list")
def list_workspaces(as_json: AsJson = False) -> None:
    """List all workspaces."""
    from resolvers import operator

    found = [_workspace_json(workspace) for workspace in _operated(operator.list_workspaces)]
    if as_json:
        _print_json({"workspaces": found})
    else:
        _print_table(found)


@key_app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What it is for.")],
    workspace: WorkspaceId = None,
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(case_sensitive=False, help="May be repeated; admin, which includes all, unless told."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help='When, like "90d", "12h" or "2030-01-31".')] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it once."""
    from models.api_key import Scope
    from resolvers import operator

    scopes = [Scope[name.name] for name in scope or [ScopeName.ADMIN]]
    expires_at = None if expires is None else _instant(expires)
    api_key, text = _operated(lambda: operator.create_key(workspace, name, scopes, expires_at))
    if as_json:
        _print_json({"key": _key_json(api_key), "apiKey": text})
    else:
        print(f"Made the API key {api_key.name!r} ({api_key.id}), shown this once and stored nowhere:\n\n    {text}\n")


@key_app.command("list")
def list_keys(workspace: WorkspaceId = None, as_json: AsJson = False) -> None:
    """List a workspace's API keys."""
    from resolvers import operator

    found = [_key_json(api_key) for api_key in _operated(lambda: operator.list_keys(workspace))]
    if as_json:
        _print_json({"keys": found})
    else:
        _print_table(found)


@key_app.command("revoke")
def revoke_key(id_: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Revoke an API key: it opens nothing from now on."""
    from resolvers import operator

    api_key = _operated(lambda: operator.revoke_key(id_))
    if as_json:
        _print_json({"key": _key_json(api_key)})
    else:
        print(f"The API key {api_key.name!r} ({api_key.preview}) opens nothing any more.")


def _operated(work: Callable[[], Awaitable[T]]) -> T:
    """Run an operator's use case on the configured database."""
    return asyncio.run(_operate(Settings.from_env(sealing=False), work))


async def _operate(settings: Settings, work: Callable[[], Awaitable[T]]) -> T:
    from database.door import Database

    await _refuse_pending(settings)
    async with Database(settings.database_url, pool_size=1):
        return await work()


def _instant(text: str, direction: int = 1) -> datetime:
    """An instant told as a time from now, or before now for -1, or as a date, in UTC unless it says otherwise."""
    amount, unit = text[:-1], text[-1:]
    try:
        if amount.isdecimal() and unit in {"d", "h"}:
            away = timedelta(**{"d": {"days": int(amount)}, "h": {"hours": int(amount)}}[unit])
            return datetime.now(UTC) + direction * away
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f'{text!r} is not a time: write "90d", "12h" or "2030-01-31".') from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _workspace_json(workspace: "Workspace") -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "mode": workspace.mode.value,
        "createdAt": _iso(workspace.created_at),
    }


def _key_json(api_key: "ApiKey") -> dict[str, Any]:
    return {
        "id": api_key.id,
        "workspaceId": api_key.workspace_id,
        "name": api_key.name,
        "preview": api_key.preview,
        "scopes": [scope.value for scope in api_key.granted],
        "createdAt": _iso(api_key.created_at),
        "lastUsedAt": _iso(api_key.last_used_at),
        "expiresAt": _iso(api_key.expires_at),
        "revokedAt": _iso(api_key.revoked_at),
    }


def _iso(instant: datetime | None) -> str | None:
    return (
        None if instant is None else instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _print_json(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("There are none.")
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(", ".join(value) if isinstance(value, list) else str(value or "") for value in row.values()))
    Console(width=10_000).print(table)  # an id that is cut off can't be copied


if __name__ == "__main__":
    cli()
