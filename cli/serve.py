"""`fluxrate serve` and `migrate`."""

import asyncio
import contextlib
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import AsJson, print_json
from cli.workspace import workspace_json
from errors import ConfigurationError
from settings import Settings

if TYPE_CHECKING:
    from models.workspace import Workspace

RESERVED_PATHS: Final = ("/webhooks/", "/healthz", "/readyz", "/metrics")
"""Paths that are answered even if connections are short."""


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many processes serve.")] = 1,
    migrate_first: Annotated[
        bool,
        typer.Option(
            "--migrate/--no-migrate", help="Migrate the database first; or refuse to serve if it needs migrating."
        ),
    ] = True,
    trusted_documents: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answer only the documents in this file: a JSON object of documents by id."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Try the product: with its own filled database and a simulated Stripe.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate, then serve GraphQL and webhooks."""
    gc.disable()  # until everything is imported: none of that is garbage
    if demo:
        from cli.demo import refuse_unless_alone, run_demo

        others = {
            "--workers": workers > 1,
            "--no-migrate": not migrate_first,
            "--trusted-documents": trusted_documents is not None,
        }
        refuse_unless_alone(host, others)
        run_demo(context.obj, host, port, as_json=as_json)
        return
    from edge.logs import configure_logging
    from edge.server import listen
    from feed.bus import is_shared

    settings = Settings.from_env()
    if trusted_documents is not None:
        settings = replace(settings, trusted_documents=trusted_documents.absolute())
    if settings.trusted_documents is not None:
        from execution.persisted import documents_of

        documents_of(settings.trusted_documents)  # fails here, before anything is started, if it can't be read
    if workers > 1 and not is_shared(settings.broadcast_url):
        raise ConfigurationError(
            f"{workers} workers can't share events over memory://:"
            " set FLUXRATE_BROADCAST_URL to a redis:// URL, or serve with --workers 1."
        )
    configure_logging()
    bound = listen.bind(host, port)
    url = listen.url_of(bound)
    if not settings.knows_public_url:
        settings = replace(settings, public_url=url)
    first = asyncio.run(_prepare(settings, migrate_first=migrate_first))
    _announce(url, settings, first, as_json=as_json)
    with _shared_metrics() if workers > 1 else contextlib.nullcontext():
        listen.run(
            partial(context.obj, settings),
            bound,
            workers=workers,
            trusted_proxies=settings.trusted_proxies,
            reserved_paths=RESERVED_PATHS,
        )


def migrate(as_json: AsJson = False) -> None:
    """Bring the database up to date."""
    settings = Settings.from_env(sealing=False)
    if settings.embedded:
        settings = Settings.from_env()  # makes the key, which must exist before the database
    applied = asyncio.run(_migrate(settings))
    if as_json:
        print_json({"applied": applied})
    else:
        print("\n".join(f"Applied {name}." for name in applied) or "The database is up to date.")


async def _migrate(settings: Settings) -> list[str]:
    """Migrate, and say where a new database was made: a mistyped path makes an empty one."""
    from database import migrate

    missing = migrate.missing_file(settings.database_url)
    applied = await migrate.migrate(settings.database_url, embedded=settings.embedded)
    if missing is not None:
        print(f"There was no database yet: a new one was made at {missing}.", file=sys.stderr)
    return applied


async def _prepare(settings: Settings, *, migrate_first: bool) -> "tuple[Workspace, str] | None":
    """Migrate or check the database; in the embedded one make the first workspace and return it with its key."""
    from database import access
    from database.migrate import refuse_pending
    from models.secret import Keyring
    from resolvers import operator

    if migrate_first:
        await _migrate(settings)
    else:
        await refuse_pending(settings.database_url)
    async with access.Database(settings.database_url):
        await operator.check_encryption_keys(Keyring.parse(settings.encryption_keys))
        return await operator.create_first_workspace() if settings.embedded else None


def _announce(url: str, settings: Settings, first: "tuple[Workspace, str] | None", *, as_json: bool) -> None:
    if as_json:
        made = {"workspace": workspace_json(first[0]), "apiKey": first[1]} if first else {}
        print_json({"url": url, "publicUrl": settings.public_url, **made})
        return
    from edge.dashboard import is_built

    print(_welcome(url, settings, first, has_dashboard=settings.dashboard and is_built()))
    sys.stdout.flush()


def _welcome(url: str, settings: Settings, first: "tuple[Workspace, str] | None", *, has_dashboard: bool) -> str:
    """Write the text that is printed after the start."""
    if first is None:
        keys = (
            'An API key is made with "fluxrate key create --name NAME", a workspace with "fluxrate workspace create".'
        )
        return f"Fluxrate serves on {url}. Ctrl-C stops it.\n{keys}"
    workspace, key = first
    made = (
        f"Fluxrate serves on {url}. Ctrl-C stops it.\n\n"
        f"This is the first start. The TEST workspace {workspace.name!r} was made ({workspace.id}) and its"
        f" API key, shown this once and stored nowhere:\n\n    {key}\n"
    )
    if has_dashboard:
        return f"{made}\nNext: open the dashboard, signed in by this link:\n\n    {url}/#key={key}\n"
    if settings.graphiql:
        header = f'{{"Authorization": "Bearer {key}"}}'
        return f"{made}\nNext: open {url}/graphql and give it under Headers:\n\n    {header}\n"
    return made


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Make the folder in which worker processes share metrics; prometheus-client reads the variable at its import."""
    folder = tempfile.mkdtemp(prefix="fluxrate-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
