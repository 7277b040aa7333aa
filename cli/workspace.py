"""`fluxrate workspace`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import AsJson, iso, operated, print_json, print_table
from models.kinds import Mode

if TYPE_CHECKING:
    from models.workspace import Workspace

app = typer.Typer(help="Make and list workspaces, one per business.", no_args_is_help=True)


@app.command("create")
def create_workspace(
    name: str,
    mode: Annotated[
        Mode, typer.Option(case_sensitive=False, help="Whether its money is real; can't be changed later.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make a workspace and its first API key, which may do everything."""
    from resolvers import operator

    workspace, key = operated(lambda: operator.create_workspace(name, mode))
    if as_json:
        print_json({"workspace": workspace_json(workspace), "apiKey": key})
    else:
        print(f"Made the {workspace.mode.value} workspace {workspace.name!r}: {workspace.id}")
        print(f"Its API key, shown this once and stored nowhere:\n\n    {key}\n")
        print('Next: serve it with "fluxrate serve", open the address that it prints, and sign in with this key.')


@app.command("list")
def list_workspaces(as_json: AsJson = False) -> None:
    """List all workspaces."""
    from resolvers import operator

    found = [workspace_json(workspace) for workspace in operated(operator.list_workspaces)]
    if as_json:
        print_json({"workspaces": found})
    else:
        print_table(found)


def workspace_json(workspace: "Workspace") -> dict[str, Any]:
    """Format a workspace for --json."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "mode": workspace.mode.value,
        "createdAt": iso(workspace.created_at),
    }
