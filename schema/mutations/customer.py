"""Creates and changes customers."""

from typing import Annotated

import strawberry

from resolvers import customer
from schema import fields
from schema.context import Info, given, kept, set_or_kept
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, NotFound, result_of
from schema.types.customer import Customer
from schema.types.metadata import MetadataEntryInput, changed_metadata, given_metadata


@strawberry.input(description="A new customer.")
class CreateCustomerInput:
    name: str = strawberry.field(description="The customer's name, as it appears on invoices.")
    email: str = strawberry.field(description="The customer's email address for invoices.")
    external_id: str | None = fields.optional("Your own id for the customer, unique in the workspace.")
    metadata: list[MetadataEntryInput] | None = fields.metadata_to_keep()
    idempotency_key: str | None = fields.idempotency_key()


@strawberry.input(description="Changes to a customer. Fields that you leave out stay as they are.")
class UpdateCustomerInput:
    id: strawberry.ID = strawberry.field(description="The id of the customer.")
    name: str | None = fields.optional("The customer's name, as it appears on invoices.")
    email: str | None = fields.optional("The customer's email address for invoices.")
    external_id: str | None = fields.optional(
        "Your own id for the customer, unique in the workspace. `null` removes the id."
    )
    metadata: list[MetadataEntryInput] | None = fields.optional(
        "Your own data. Entries whose key you don't give stay as they are. `null` removes all entries."
    )


@strawberry.type(description="The customer was created.")
class CreateCustomerSuccess:
    customer: Customer = strawberry.field(description="The new customer.")


@strawberry.type(description="The customer is updated.")
class UpdateCustomerSuccess:
    customer: Customer = strawberry.field(description="The customer as it is now.")


CreateCustomerResult = Annotated[CreateCustomerSuccess | InvalidInput | Conflict, result_of("createCustomer")]
UpdateCustomerResult = Annotated[
    UpdateCustomerSuccess | NotFound | InvalidInput | Conflict, result_of("updateCustomer")
]


@strawberry.type
class CustomerMutations:
    @mutation(description="Create a customer. Needs the scope WRITE.")
    async def create_customer(
        self,
        info: Info,
        input: Annotated[CreateCustomerInput, strawberry.argument(description="The new customer.")],
    ) -> CreateCustomerResult:
        row = await customer.create_customer(
            info.context,
            name=input.name,
            email=input.email,
            external_id=given(input.external_id),
            metadata=given_metadata(input.metadata),
            idempotency_key=given(input.idempotency_key),
        )
        return CreateCustomerSuccess(customer=Customer.of(row))

    @mutation(description="Change a customer. Needs the scope WRITE.")
    async def update_customer(
        self,
        info: Info,
        input: Annotated[UpdateCustomerInput, strawberry.argument(description="The changes.")],
    ) -> UpdateCustomerResult:
        row = await customer.update_customer(
            info.context,
            input.id,
            name=set_or_kept(input.name, "name"),
            email=set_or_kept(input.email, "email"),
            external_id=kept(input.external_id),
            metadata=changed_metadata(input.metadata),
        )
        return UpdateCustomerSuccess(customer=Customer.of(row))
