"""Customers."""

from tortoise.exceptions import IntegrityError
from tortoise.queryset import QuerySet

from errors import ConflictError
from models.customer import Customer
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import CustomerOrderField, EventType, Scope
from models.text import MAX_TEXT_LENGTH, email_address, optional_text, required_text
from resolvers.context import KEEP, Context, Keep, change
from resolvers.customer_search import searched
from resolvers.idempotency import first_result
from resolvers.metadata import Changes, save_metadata
from resolvers.reading.narrowing import Narrowing
from resolvers.reading.orders import TEXT, Ordering, order_name
from resolvers.reading.walks import ByColumns


async def create_customer(
    ctx: Context,
    *,
    name: str,
    email: str,
    external_id: str | None,
    metadata: Changes,
    idempotency_key: str | None,
) -> Customer:
    """Create a customer.

    Raises:
        InvalidInputError: A field can't be taken as it is.
        ConflictError: Another customer has this external id, or the idempotency key was used with other input.
    """
    ctx.require(Scope.WRITE)
    now = utc_now()
    customer = Customer(
        id=new_id(Prefix.CUSTOMER),
        workspace_id=ctx.workspace_id,
        name=required_text(name, "The name", ["input", "name"]),
        email=email_address(email, ["input", "email"]),
        external_id=optional_text(external_id, "The external id", ["input", "externalId"]),
        created_at=now,
        updated_at=now,
    )
    given = [customer.name, customer.email, customer.external_id, *([metadata] if metadata else ())]
    async with ctx.write() as write:
        first = await first_result(write, "createCustomer", idempotency_key, given, customer.id)
        if first != customer.id:
            return await ctx.rows(Customer).get(id=first)
        await _save(customer)
        await save_metadata(write, customer.id, metadata)
        write.log(EventType.CUSTOMER_CREATED, customer_id=customer.id)
    return customer


async def update_customer(
    ctx: Context,
    id_: str,
    *,
    name: str | Keep = KEEP,
    email: str | Keep = KEEP,
    external_id: str | Keep | None = KEEP,
    metadata: Changes | Keep | None = KEEP,
) -> Customer:
    """Change a customer.

    Raises:
        NotFoundError: This workspace has none with this id.
        InvalidInputError: A field can't be taken as it is.
        ConflictError: Another customer has this external id.
    """
    ctx.require(Scope.WRITE)
    new_name = name if name is KEEP else required_text(name, "The name", ["input", "name"])
    new_email = email if email is KEEP else email_address(email, ["input", "email"])
    path = ["input", "externalId"]
    new_external_id = external_id if external_id is KEEP else optional_text(external_id, "The external id", path)
    async with ctx.write() as write:
        customer = await ctx.one(Customer, id_, "customer", ["input", "id"], lock=True)
        changed = change(customer, name=new_name, email=new_email, external_id=new_external_id)
        if await save_metadata(write, customer.id, metadata) or changed:
            customer.updated_at = utc_now()
            await _save(customer)
            write.log(EventType.CUSTOMER_UPDATED, customer_id=customer.id)
    return customer


async def _save(customer: Customer) -> None:
    try:
        await customer.save()
    except IntegrityError:  # its only one that input can violate
        raise ConflictError(
            "Another customer of this workspace has this external id: update that one, or give another id.",
            code="EXTERNAL_ID_TAKEN",
            path=["input", "externalId"],
        ) from None


async def customers(ctx: Context, *, search: str | None) -> tuple[QuerySet[Customer], list[Narrowing]]:
    """List the workspace's customers; with a search, also return how the list is narrowed.

    Raises:
        InvalidInputError: The text is too long, or holds characters that can't be stored.
    """
    ctx.require(Scope.READ)
    return ctx.listed(Customer), await searched(ctx, search, ["search"])


async def ordered_by_name(ctx: Context, *, search: str | None, descending: bool) -> Ordering[Customer]:
    """List the workspace's customers by name.

    Raises:
        InvalidInputError: The text is too long, or holds characters that can't be stored.
    """
    rows, narrowings = await customers(ctx, search=search)
    return Ordering(
        name=order_name("customers", CustomerOrderField.NAME, descending=descending),
        workspace_id=ctx.workspace_id,
        descending=descending,
        kinds=(TEXT,),
        rows=rows,
        narrowings=narrowings,
        walk=ByColumns("customers", ctx.workspace_id, ("sort_name",)),
        unwalked=narrowings,
    )


async def customer_by_external_id(ctx: Context, external_id: str) -> Customer | None:
    """Find the customer with an external id."""
    ctx.require(Scope.READ)
    if len(external_id) > MAX_TEXT_LENGTH:
        return None
    return await ctx.rows(Customer).filter(external_id=external_id).first()
