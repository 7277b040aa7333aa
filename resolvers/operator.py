"""The operator's use cases: workspaces, their first keys, and the encryption of secrets."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from tortoise.expressions import Q

from database.access import fetch, transaction
from database.scope import scoped, unscoped
from database.transaction import Row, Transaction
from errors import ConfigurationError, FluxrateError, InvalidInputError, ModeMismatchError, NotFoundError, SealError
from models.api_key import ApiKey, new_key, preview_of, sha256_of
from models.event import SYSTEM, Happening, append
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import SEALED_COLUMNS, Integration, bound_to
from models.invoice import Invoice
from models.kinds import EventType, InvoiceStatus, Mode, Scope
from models.payment_link import PaymentLink
from models.secret import Keyring, sealing_key_id
from models.text import required_text
from models.workspace import Workspace, add_workspace, workspaces

FIRST_WORKSPACE: Final = "My workspace"
FIRST_KEY: Final = "First key"
BATCH: Final = 100


# --- Workspaces ------------------------------------------------------------------------------------------------


async def create_workspace(name: str, mode: Mode) -> tuple[Workspace, str]:
    """Create a workspace and its first API key, which has ADMIN; return the key's text, which is stored nowhere.

    Raises:
        InvalidInputError: The name can't be taken.
    """
    name = required_text(name, "The workspace's name", ["name"])
    async with transaction() as tx:
        workspace = await add_workspace(tx, name, mode)
        _, text = await _add_key(tx, workspace, FIRST_KEY, [Scope.ADMIN], None)
    return workspace, text


async def create_first_workspace() -> tuple[Workspace, str] | None:
    """Create a workspace to try the product, with an API key; None if there are workspaces already."""
    async with transaction() as tx:
        if await tx.fetch("SELECT id FROM workspaces LIMIT 1"):
            return None
        workspace = await add_workspace(tx, FIRST_WORKSPACE, Mode.TEST)
        _, text = await _add_key(tx, workspace, FIRST_KEY, [Scope.ADMIN], None)
    return workspace, text


async def list_workspaces() -> list[Workspace]:
    """List all workspaces, oldest first."""
    return await workspaces()


async def _workspace(workspace_id: str | None) -> Workspace:
    """Find the workspace with an id, or the only one."""
    if workspace_id is not None:
        found = await unscoped(Workspace).filter(id=workspace_id).first()
        if found is None:
            raise NotFoundError(f'There is no workspace {workspace_id[:80]!r}: see "fluxrate workspace list".')
        return found
    several = await workspaces()
    if not several:
        raise NotFoundError(
            'There is no workspace yet: make one with "fluxrate workspace create NAME --mode test" (or live).'
        )
    if len(several) > 1:
        raise InvalidInputError(
            f'There are {len(several)} workspaces: name one with --workspace, see "workspace list".'
        )
    return several[0]


# --- The simulator ---------------------------------------------------------------------------------------------


async def why_not_simulated(invoice: str) -> FluxrateError | None:
    """Say why the simulator has no Payment Link for an invoice, by its id or number; None if there is no reason."""
    found = await unscoped(Invoice).filter(Q(id=invoice) | Q(number=invoice)).order_by("-id").first()
    if found is None:
        return NotFoundError(
            f"There is no invoice {invoice[:80]!r}: copy its id, inv_…, or its number from the dashboard or the API."
        )
    name = found.number or found.id
    workspace = await _workspace(found.workspace_id)
    if workspace.mode is Mode.LIVE:
        return ModeMismatchError(
            f"Invoice {name} is of the live workspace {workspace.name!r}, whose money is real: only what happens in a"
            ' test workspace can be simulated. Make one with "fluxrate workspace create NAME --mode test".'
        )
    if found.status is InvoiceStatus.DRAFT:
        return InvalidInputError(f"Invoice {name} is a draft: finalize it first, so that it gets a Payment Link.")
    if not await unscoped(PaymentLink).filter(invoice_id=found.id).exclude(provider_id=None).exists():
        return InvalidInputError(f"Invoice {name} has no Payment Link: connect the simulator, then create one.")
    return InvalidInputError(
        f"The Payment Link of invoice {name} was not made by this simulator, or before it was restarted: it forgets"
        " everything when it stops. Simulate an invoice that is finalized now."
    )


# --- API keys --------------------------------------------------------------------------------------------------


async def create_key(
    workspace_id: str | None, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Create an API key and return its text, which is stored nowhere. Without an id it is the only workspace's.

    Raises:
        InvalidInputError: The name or the expiry can't be taken, or there are several workspaces.
        NotFoundError: There is no such workspace.
    """
    name = required_text(name, "The key's name", ["name"])
    if expires_at is not None and expires_at <= utc_now():
        raise InvalidInputError(f"The key would have expired already, at {expires_at.isoformat()}.", path=["expires"])
    workspace = await _workspace(workspace_id)
    async with transaction() as tx:
        return await _add_key(tx, workspace, name, scopes, expires_at)


async def _add_key(
    tx: Transaction, workspace: Workspace, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    text = new_key(workspace.mode)
    api_key = ApiKey(
        id=new_id(Prefix.API_KEY),
        workspace_id=workspace.id,
        name=name,
        sha256=sha256_of(text),
        preview=preview_of(text),
        scopes=",".join(scope.value for scope in Scope if scope in scopes),
        created_at=utc_now(),
        expires_at=expires_at,
    )
    await api_key.save()
    await _log(tx, EventType.API_KEY_CREATED, workspace.id)
    return api_key, text


async def list_keys(workspace_id: str | None) -> list[ApiKey]:
    """List a workspace's API keys, including revoked ones, oldest first.

    Raises:
        InvalidInputError: There are several workspaces and none was named.
        NotFoundError: There is no such workspace.
    """
    workspace = await _workspace(workspace_id)
    return await scoped(ApiKey, workspace.id).order_by("id")


async def connected_integrations(ids: Sequence[str]) -> list[Integration]:
    """Find the integrations with these ids; without ids, all that are connected.

    Raises:
        NotFoundError: One of them does not exist or is disconnected.
    """
    connected = await unscoped(Integration).filter(disconnected_at=None).order_by("id")
    found = [integration for integration in connected if not ids or integration.id in ids]
    for id_ in sorted(set(ids) - {integration.id for integration in found}):
        raise NotFoundError(f"There is no connected integration {id_[:80]!r}.")
    return found


async def revoke_key(key_id: str) -> ApiKey:
    """Revoke an API key. A repetition changes nothing.

    Raises:
        NotFoundError: There is none with this id.
    """
    async with transaction() as tx:
        api_key = await unscoped(ApiKey).filter(id=key_id).select_for_update().first()
        if api_key is None:
            raise NotFoundError(f'There is no API key {key_id[:80]!r}: see "fluxrate key list".')
        if api_key.revoked_at is None:
            api_key.revoked_at = utc_now()
            await api_key.save(update_fields=["revoked_at"])
            await _log(tx, EventType.API_KEY_REVOKED, api_key.workspace_id)
    return api_key


async def _log(tx: Transaction, type_: EventType, workspace_id: str) -> None:
    happening = Happening(type=type_, workspace_id=workspace_id, actor=SYSTEM, occurred_at=utc_now())
    await append(tx, [happening])


# --- Encryption ------------------------------------------------------------------------------------------------

_SEALED: Final = f"SELECT id, {', '.join(SEALED_COLUMNS)} FROM integrations"  # noqa: S608


async def check_encryption_keys(keyring: Keyring) -> None:
    """Check that every key that encrypted a stored secret is configured and decrypts one.

    Raises:
        ConfigurationError: One isn't, or opens none of its secrets.
    """
    sealed_by: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in await fetch(f"{_SEALED} WHERE disconnected_at IS NULL ORDER BY id"):
        for column, sealed in _sealed_values(row):
            sealed_by[sealing_key_id(sealed)].append((sealed, bound_to(row["id"], column)))
    missing = sorted(set(sealed_by) - set(keyring.keys))
    if missing:
        count = sum(len(sealed_by[key_id]) for key_id in missing)
        raise ConfigurationError(
            f"FLUXRATE_ENCRYPTION_KEYS lacks the key{'s'[: len(missing) > 1]} {', '.join(missing)} that"
            f" {count} stored secret{' was' if count == 1 else 's were'} encrypted with (given:"
            f" {', '.join(sorted(keyring.keys))}): add it back, after a"
            ' comma, and run "fluxrate rotate-encryption-key" before leaving it out.'
        )
    for secrets in sealed_by.values():
        if not any(_opens(keyring, sealed, bound) for sealed, bound in secrets):
            raise ConfigurationError(
                "No stored secret can be decrypted although its encryption key is configured: something other than"
                " Fluxrate changed the database. Restore it from a backup."
            )


def _sealed_values(row: Row) -> list[tuple[str, str]]:
    return [(column, row[column]) for column in SEALED_COLUMNS if row[column]]


def _opens(keyring: Keyring, sealed: str, bound: str) -> bool:
    try:
        keyring.open(sealed, bound)
    except SealError:
        return False
    return True


async def reseal(keyring: Keyring, on_progress: Callable[[int, int], None]) -> int:
    """Encrypt every stored secret with the first key; return how many were encrypted.

    It may be interrupted and repeated. `on_progress` is called with the number of integrations done, and of all.

    Raises:
        SealError: A secret doesn't open with any configured key; what was done before stays done.
    """
    total = (await fetch("SELECT count(*) AS n FROM integrations"))[0]["n"]
    done = resealed = 0
    after = ""
    while True:
        async with transaction() as tx:
            rows = await tx.fetch(tx.for_update(f"{_SEALED} WHERE id > $1 ORDER BY id LIMIT {BATCH}"), after)
            for row in rows:
                resealed += await _reseal_row(tx, keyring, row)
        if not rows:
            return resealed
        after = rows[-1]["id"]
        done += len(rows)
        on_progress(done, max(done, total))


async def _reseal_row(tx: Transaction, keyring: Keyring, row: Row) -> int:
    old = [(column, sealed) for column, sealed in _sealed_values(row) if sealing_key_id(sealed) != keyring.primary_id]
    for column, sealed in old:
        bound = bound_to(row["id"], column)
        resealed_text = keyring.seal(keyring.open(sealed, bound), bound)
        await tx.execute(f"UPDATE integrations SET {column} = $2 WHERE id = $1", row["id"], resealed_text)  # noqa: S608
    return len(old)
