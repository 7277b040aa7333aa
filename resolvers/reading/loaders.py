"""Loaders: they read with one query the rows that the fields of a page need."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from tortoise.models import Model

from database.access import fetch, reading_dialect
from database.bulk import listed, texts_at
from database.dialect import Dialect
from database.scope import scoped
from models.customer import Customer
from models.event import Event
from models.ids import Prefix
from models.integration import Integration, IntegrationTraffic
from models.invoice import Invoice, LineItem
from models.metadata import Metadata
from models.payment import Payment
from models.payment_link import PaymentLink
from models.webhook_event import WITHOUT_PAYLOAD, WebhookEvent
from models.webhook_event_attempt import MAX_KEPT, WebhookEventAttempt
from resolvers.reading.shared import SharedLoader
from resolvers.reading.tallies import CustomerTallies

RowT = TypeVar("RowT", bound=Model)


class RowLoader(SharedLoader[RowT | None], Generic[RowT]):
    """Loads rows of one workspace by their primary key, None for unknown ones; `only` are the columns to read."""

    def __init__(self, model: type[RowT], workspace_id: str, only: Sequence[str] = ()) -> None:
        super().__init__()
        self._model = model
        self._workspace_id = workspace_id
        self._only = only

    async def batch_load_fn(self, keys: list[str]) -> list[RowT | None]:
        """Load the rows in the order of the keys."""
        rows = scoped(self._model, self._workspace_id).filter(pk__in=keys)
        found = {row.pk: row for row in await (rows.only(*self._only) if self._only else rows)}
        return [found.get(key) for key in keys]


class ChildrenLoader(SharedLoader[list[RowT]], Generic[RowT]):
    """Loads the first or last rows of each parent, in order; an empty list if there are none."""

    def __init__(
        self, model: type[RowT], workspace_id: str, parent: str, order: str, *, descending: bool, most: int
    ) -> None:
        super().__init__()
        self._model, self._workspace_id = model, workspace_id
        self._parent, self._order, self._descending, self._most = parent, order, descending, most

    async def batch_load_fn(self, keys: list[str]) -> list[list[RowT]]:
        """Load the rows of each parent, in the order of the keys."""
        dialect, table = reading_dialect(), self._model._meta.db_table
        query = children_query(
            dialect, table, "c.*", self._parent, self._order, descending=self._descending, most=self._most
        )
        rows = await fetch(query, self._workspace_id, listed(dialect, keys))
        children: dict[str, list[RowT]] = defaultdict(list)
        for row in rows:
            children[row[self._parent]].append(self._model._init_from_db(**dict(row)))
        return [children[key] for key in keys]


def children_query(
    dialect: Dialect, table: str, columns: str, parent: str, order: str, *, descending: bool, most: int
) -> str:
    """Write the query for the first or last rows of each parent: a look-up for each, which ends after the wanted rows.

    The workspace is $1, the parents are $2; the columns are those of `c`. PostgreSQL must not know the one parent of a
    look-up, for the reason given in `owned_by`.
    """
    way = "DESC" if descending else "ASC"
    order = f"{order} {way}"
    if dialect == "postgres":
        return (
            f"SELECT {columns} FROM unnest({texts_at(2)}) WITH ORDINALITY k (value, place) CROSS JOIN LATERAL ("  # noqa: S608
            f"SELECT t.* FROM {table} t WHERE t.{parent} = ANY(ARRAY[k.value]) AND t.workspace_id = $1"
            f" ORDER BY t.{parent} {way}, t.{order} LIMIT {most}) c ORDER BY k.place, c.{order}"
        )
    return (
        f"SELECT {columns} FROM json_each($2) k CROSS JOIN {table} c ON c.rowid IN ("  # noqa: S608
        f"SELECT t.rowid FROM {table} t WHERE t.{parent} = k.value AND +t.workspace_id = $1"
        f" ORDER BY t.{order} LIMIT {most})"
        f" ORDER BY k.key, c.{order}"
    )


_BY_PREFIX: Final[Mapping[Prefix, str]] = {
    Prefix.INTEGRATION: "integrations",
    Prefix.CUSTOMER: "customers",
    Prefix.INVOICE: "invoices",
    Prefix.PAYMENT: "payments",
    Prefix.WEBHOOK_EVENT: "webhook_events",
}
"""The loader for each prefix of an id."""


class Loaders:
    """All loaders, for one workspace and one moment: make new ones to see changes."""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
        self.customers = RowLoader(Customer, workspace_id)
        self.integrations = RowLoader(Integration, workspace_id)
        self.traffic = RowLoader(IntegrationTraffic, workspace_id)
        self.metadata = RowLoader(Metadata, workspace_id)
        self.invoices = RowLoader(Invoice, workspace_id)
        self.payments = RowLoader(Payment, workspace_id)
        self.webhook_events = RowLoader(WebhookEvent, workspace_id, WITHOUT_PAYLOAD)
        self.payloads = RowLoader(WebhookEvent, workspace_id, ("id", "payload"))
        self.line_items = ChildrenLoader(
            LineItem, workspace_id, "invoice_id", "position", descending=False, most=10_000
        )
        self.latest_link = ChildrenLoader(PaymentLink, workspace_id, "invoice_id", "id", descending=True, most=1)
        self.customer_tallies = CustomerTallies(workspace_id)
        self.attempts = ChildrenLoader(
            WebhookEventAttempt, workspace_id, "webhook_event_id", "id", descending=False, most=2 * MAX_KEPT
        )
        self._pages: dict[Hashable, Any] = {}

    def of(self, prefix: Prefix) -> RowLoader[Any] | None:
        """Return the loader for a prefix."""
        name = _BY_PREFIX.get(prefix)
        loader: RowLoader[Any] | None = None if name is None else getattr(self, name)
        return loader

    def invoice_payments(self, most: int, *, descending: bool) -> ChildrenLoader[Payment]:
        """Return the loader of invoices' payments, by id."""
        return self._children(Payment, "invoice_id", "id", descending=descending, most=most)

    def invoice_events(self, most: int, *, descending: bool) -> ChildrenLoader[Event]:
        """Return the loader of invoices' log lines, by number."""
        return self._children(Event, "invoice_id", "number", descending=descending, most=most)

    def customer_invoices(self, most: int, *, descending: bool) -> ChildrenLoader[Invoice]:
        """Return the loader of customers' invoices, by id."""
        return self._children(Invoice, "customer_id", "id", descending=descending, most=most)

    def customer_payments(self, most: int, *, descending: bool) -> ChildrenLoader[Payment]:
        """Return the loader of customers' payments, by id."""
        return self._children(Payment, "customer_id", "id", descending=descending, most=most)

    def _children(
        self, model: type[RowT], parent: str, order: str, *, descending: bool, most: int
    ) -> ChildrenLoader[RowT]:
        def make() -> ChildrenLoader[RowT]:
            return ChildrenLoader(model, self.workspace_id, parent, order, descending=descending, most=most)

        return self._kept((model, parent, descending, most), make)

    def _kept(self, key: Hashable, make: Callable[[], ChildrenLoader[RowT]]) -> ChildrenLoader[RowT]:
        if key not in self._pages:
            self._pages[key] = make()
        loader: ChildrenLoader[RowT] = self._pages[key]
        return loader
