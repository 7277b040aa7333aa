"""`fluxrate sync`."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.output import AsJson, instant, iso, print_json
from settings import Settings


def sync(
    integration: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INTEGRATION]...", help="Ids of integrations, int_…; by default all that are connected."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help='Where to begin, like "7d", "12h" or "2030-01-31"; by default at the last sync.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask Stripe for events that never arrived, and apply them."""
    settings = Settings.from_env()
    found = asyncio.run(
        _sync(settings, integration or [], None if since is None else instant(since, -1), as_json=as_json)
    )
    if as_json:
        print_json({"integrations": found})
    elif not found:
        print("There is no connected integration.")


async def _sync(settings: Settings, ids: list[str], since: datetime | None, *, as_json: bool) -> list[dict[str, Any]]:
    from rich.console import Console

    from parts import compose
    from resolvers.operator import connected_integrations

    console = Console(stderr=True)
    answers = []
    async with compose(settings).running(background=False) as services:
        for integration in await connected_integrations(ids):
            with console.status(f"{integration.name}: asking Stripe …") as status:
                progress = await services.sync.fetch_events(
                    integration,
                    since,
                    on_progress=lambda so_far, name=integration.name: status.update(  # type: ignore[misc]
                        f"{name}: {so_far.found} events read, {so_far.applied} applied, up to {iso(so_far.until)}"
                    ),
                )
                paid = await services.sync.check_links(integration, rest=timedelta(0))
            answer = {
                "id": integration.id,
                "found": progress.found + paid,
                "alreadyKnown": progress.already_known,
                "applied": progress.applied + paid,
                "failed": progress.failed,
                "since": iso(progress.since),
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
