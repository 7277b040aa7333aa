"""`fluxrate key`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import AsJson, WorkspaceId, instant, iso, operated, print_json, print_table
from models.kinds import Scope

if TYPE_CHECKING:
    from models.api_key import ApiKey

app = typer.Typer(help="Make, list and revoke a workspace's API keys.", no_args_is_help=True)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What it is for.")],
    workspace: WorkspaceId = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(case_sensitive=False, help="May be repeated; by default admin, which includes all."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help='When, like "90d", "12h" or "2030-01-31".')] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it once."""
    from resolvers import operator

    scopes = scope or [Scope.ADMIN]
    expires_at = None if expires is None else instant(expires)
    api_key, text = operated(lambda: operator.create_key(workspace, name, scopes, expires_at))
    if as_json:
        print_json({"key": _key_json(api_key), "apiKey": text})
    else:
        print(f"Made the API key {api_key.name!r} ({api_key.id}), shown this once and stored nowhere:\n\n    {text}\n")


@app.command("list")
def list_keys(workspace: WorkspaceId = None, as_json: AsJson = False) -> None:
    """List a workspace's API keys."""
    from resolvers import operator

    found = [_key_json(api_key) for api_key in operated(lambda: operator.list_keys(workspace))]
    if as_json:
        print_json({"keys": found})
    else:
        print_table(found)


@app.command("revoke")
def revoke_key(id_: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Revoke an API key: it is refused from now on."""
    from resolvers import operator

    api_key = operated(lambda: operator.revoke_key(id_))
    if as_json:
        print_json({"key": _key_json(api_key)})
    else:
        print(f"The API key {api_key.name!r} ({api_key.preview}) is refused from now on.")


def _key_json(api_key: "ApiKey") -> dict[str, Any]:
    return {
        "id": api_key.id,
        "workspaceId": api_key.workspace_id,
        "name": api_key.name,
        "preview": api_key.preview,
        "scopes": [scope.value for scope in api_key.granted],
        "createdAt": iso(api_key.created_at),
        "lastUsedAt": iso(api_key.last_used_at),
        "expiresAt": iso(api_key.expires_at),
        "revokedAt": iso(api_key.revoked_at),
    }
