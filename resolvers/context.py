"""The context of a use case: the caller, this process's services, and access to the database."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.access import Database, transaction
from database.scope import scoped, scoped_list
from database.transaction import Transaction
from errors import NotFoundError
from feed.follow import Feed
from gateways.stripe.checkup import Checkup
from gateways.stripe.client import StripeGateway
from inbox.quarantine.release import Quarantine
from inbox.queue import Inbox
from inbox.sync import Sync
from models.event import Event, Happening, append
from models.instant import utc_now
from models.kinds import EventType, InvoiceStatus, Scope
from models.secret import Keyring
from payment_links.maker import LinkMaker
from resolvers.auth import Caller
from resolvers.reading.filters import owner_in
from resolvers.reading.loaders import Loaders

RowT = TypeVar("RowT", bound=Model)


class Keep(Enum):
    """The value of an update's field that was not given: the column stays as it is."""

    KEEP = "KEEP"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Services:
    """The objects that live as long as the process. Webhook URLs begin with `public_url`."""

    database: Database
    keyring: Keyring
    gateway: StripeGateway
    checkup: Checkup
    feed: Feed[Loaders]
    inbox: Inbox
    link_maker: LinkMaker
    quarantine: Quarantine
    sync: Sync
    public_url: str


@dataclass(slots=True)
class Write:
    """A use case's open transaction, and the lines that it adds to the log."""

    tx: Transaction
    workspace_id: str
    actor: str
    happenings: list[Happening] = field(default_factory=list)

    def log(
        self,
        type_: EventType,
        *,
        note: str | None = None,
        previous_status: InvoiceStatus | None = None,
        status: InvoiceStatus | None = None,
        **about: str | None,
    ) -> None:
        """Log an event. `about` holds the ids: invoice_id, payment_id, customer_id, integration_id."""
        self.happenings.append(
            Happening(
                type=type_,
                workspace_id=self.workspace_id,
                actor=self.actor,
                occurred_at=utc_now(),
                note=note,
                previous_status=previous_status,
                status=status,
                **about,
            )
        )


@dataclass(frozen=True, slots=True)
class Window:
    """The lines of the log that a subscription follows: those after `after`, up to `until`.

    `after` is None if the caller gives a cursor, or begins now; `until` is None for no end.
    """

    after: int | None = None
    until: int | None = None


@dataclass(slots=True)
class Context:
    """One operation of one caller.

    A subscription follows the lines within `window`; `position` is its current line. `is_wanted` chooses the events:
    the first `follow` sets it, unless it was set before for several subscribers.
    """

    services: Services
    caller: Caller
    window: Window = field(default=Window(), kw_only=True)
    position: int = field(default=0, kw_only=True)
    is_wanted: Callable[[Event], bool] | None = field(default=None, kw_only=True)
    _loaders: Loaders | None = field(default=None, init=False)

    @property
    def loaders(self) -> Loaders:
        """The loaders of this operation, made when they are first used."""
        if self._loaders is None:
            self._loaders = Loaders(self.workspace_id)
        return self._loaders

    @loaders.setter
    def loaders(self, shared: Loaders) -> None:
        self._loaders = shared

    @property
    def workspace_id(self) -> str:
        """The caller's workspace."""
        return self.caller.workspace.id

    def refresh(self) -> None:
        """Make new loaders, so that later fields see changes."""
        self._loaders = None

    def require(self, scope: Scope) -> None:
        """Refuse a caller that lacks a scope.

        Raises:
            ForbiddenError: The API key doesn't have it.
        """
        self.caller.require(scope)

    def rows(self, model: type[RowT]) -> QuerySet[RowT]:
        """Query rows of the caller's workspace; use cases reach no others."""
        return scoped(model, self.workspace_id)

    def listed(self, model: type[RowT], restrictions: Mapping[str, Any] | None = None) -> QuerySet[RowT]:
        """Query rows to list them in the order of their ids, by the index of what owns them by these restrictions."""
        return scoped_list(model, self.workspace_id, owner_in(restrictions or {}))

    async def one(self, model: type[RowT], id_: str, what: str, path: list[str], *, lock: bool = False) -> RowT:
        """Find a row of the caller's workspace by its id; with `lock` it can't change until the transaction ends.

        Raises:
            NotFoundError: There is none; another workspace's looks exactly the same.
        """
        query = self.rows(model).filter(id=id_)
        found = await (query.select_for_update() if lock else query).first()
        if found is None:
            raise NotFoundError(f"This workspace has no {what} with the id {id_[:80]!r}.", path=path)
        return found

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Write]:
        """Open a transaction that logs what the use case reports, and wakes subscribers after its commit.

        Raises:
            UnavailableError: The database is unavailable right now.
        """
        newest: dict[str, int] = {}
        async with transaction() as tx:
            write = Write(tx, self.workspace_id, self.caller.api_key.id)
            yield write
            newest |= await append(tx, write.happenings)
        self.services.feed.wake(newest)
        self.refresh()


def change(row: Model, **values: Any) -> list[str]:
    """Set the fields of a row that are given and differ; the names of those that did."""
    names = [name for name, value in values.items() if value is not KEEP and getattr(row, name) != value]
    for name in names:
        setattr(row, name, values[name])
    return names
