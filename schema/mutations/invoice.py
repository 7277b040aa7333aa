"""Creates, changes, finalizes and ends invoices."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import strawberry

from resolvers import invoice, payment_link
from resolvers.context import KEEP, Keep
from resolvers.line_items import LineInput
from schema import fields
from schema.context import Info, given, kept, set_or_kept
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, InvalidTransition, NotFound, StripeRefused, result_of
from schema.types.invoice import Invoice
from schema.types.metadata import MetadataEntryInput, changed_metadata, given_metadata

InvoiceId = Annotated[strawberry.ID, strawberry.argument(description="The id of the invoice.")]
Note = Annotated[str | None, strawberry.argument(description="A note that the invoice's timeline shows.")]


@strawberry.input(description="A line of an invoice.")
class LineItemInput:
    description: str = strawberry.field(description="What this line is for.")
    quantity: Decimal = strawberry.field(default=Decimal(1), description="How many units are invoiced.")
    unit_amount: Decimal = strawberry.field(
        description="The price of one unit, in the currency's major unit, with up to 12 digits after the point."
    )

    def line(self) -> LineInput:
        return LineInput(self.description, self.quantity, self.unit_amount)


@strawberry.input(description="A new draft.")
class CreateInvoiceInput:
    customer_id: strawberry.ID = strawberry.field(description="The id of the customer who is invoiced.")
    currency: str = strawberry.field(description="The currency's ISO 4217 code.")
    line_items: list[LineItemInput] = strawberry.field(description="The invoice's lines, in order.")
    due_date: date | None = fields.optional("The last day to pay.")
    memo: str | None = fields.optional("A note for your own use.")
    metadata: list[MetadataEntryInput] | None = fields.metadata_to_keep()
    idempotency_key: str | None = fields.idempotency_key()


@strawberry.input(
    description=(
        "Changes to a draft, or to the metadata of a finalized invoice. Fields that you leave out stay as they are."
    )
)
class UpdateInvoiceInput:
    id: strawberry.ID = strawberry.field(description="The id of the draft, or of the invoice whose metadata changes.")
    customer_id: strawberry.ID | None = fields.optional("The id of the customer who is invoiced.")
    currency: str | None = fields.optional("The currency's ISO 4217 code.")
    line_items: list[LineItemInput] | None = fields.optional(
        "The new lines, in order. The new lines replace all previous lines."
    )
    due_date: date | None = fields.optional("The last day to pay. `null` removes the due date.")
    memo: str | None = fields.optional("A note for your own use. `null` removes the note.")
    metadata: list[MetadataEntryInput] | None = fields.optional(
        (
            "Your own data. Unlike the other fields, metadata can be changed in every status of the"
            " invoice. Entries whose key you don't give stay as they are. `null` removes all entries."
        ),
    )


@strawberry.type(description="The draft was created.")
class CreateInvoiceSuccess:
    invoice: Invoice = strawberry.field(description="The new draft.")


@strawberry.type(description="The invoice is updated.")
class UpdateInvoiceSuccess:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


@strawberry.type(description="The draft is deleted.")
class DeleteInvoiceSuccess:
    deleted_id: strawberry.ID = strawberry.field(description="The id of the deleted draft.")


@strawberry.type(description="The invoice is finalized. Possibly, Stripe has not made the invoice's Payment Link yet.")
class FinalizeInvoiceSuccess:
    invoice: Invoice = strawberry.field(
        description=(
            "The invoice as it is now. If Stripe has not made the invoice's Payment Link,"
            " `paymentLink.problem` says why."
        )
    )


@strawberry.type(description="The invoice has a Payment Link that can be paid.")
class CreatePaymentLinkSuccess:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


@strawberry.type(description="The invoice is PAID.")
class MarkInvoicePaidSuccess:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


@strawberry.type(description="The invoice is VOID.")
class VoidInvoiceSuccess:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


@strawberry.type(description="The invoice is UNCOLLECTIBLE.")
class MarkInvoiceUncollectibleSuccess:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


CreateInvoiceResult = Annotated[CreateInvoiceSuccess | InvalidInput | NotFound | Conflict, result_of("createInvoice")]
UpdateInvoiceResult = Annotated[
    UpdateInvoiceSuccess | NotFound | InvalidInput | InvalidTransition, result_of("updateInvoice")
]
DeleteInvoiceResult = Annotated[DeleteInvoiceSuccess | NotFound | InvalidTransition, result_of("deleteInvoice")]
FinalizeInvoiceResult = Annotated[
    FinalizeInvoiceSuccess | NotFound | InvalidInput | InvalidTransition, result_of("finalizeInvoice")
]
CreatePaymentLinkResult = Annotated[
    CreatePaymentLinkSuccess | NotFound | InvalidInput | InvalidTransition | StripeRefused,
    result_of("createPaymentLink"),
]
MarkInvoicePaidResult = Annotated[
    MarkInvoicePaidSuccess | NotFound | InvalidInput | InvalidTransition, result_of("markInvoicePaid")
]
VoidInvoiceResult = Annotated[
    VoidInvoiceSuccess | NotFound | InvalidInput | InvalidTransition, result_of("voidInvoice")
]
MarkInvoiceUncollectibleResult = Annotated[
    MarkInvoiceUncollectibleSuccess | NotFound | InvalidInput | InvalidTransition, result_of("markInvoiceUncollectible")
]


@strawberry.type
class InvoiceMutations:
    @mutation(description="Create a draft. Needs the scope WRITE.")
    async def create_invoice(
        self,
        info: Info,
        input: Annotated[CreateInvoiceInput, strawberry.argument(description="The new draft.")],
    ) -> CreateInvoiceResult:
        row = await invoice.create_invoice(
            info.context,
            customer_id=input.customer_id,
            currency=input.currency,
            line_items=[each.line() for each in input.line_items],
            due_date=given(input.due_date),
            memo=given(input.memo),
            metadata=given_metadata(input.metadata),
            idempotency_key=given(input.idempotency_key),
        )
        return CreateInvoiceSuccess(invoice=Invoice.of(row))

    @mutation(description="Change a draft, or the metadata of any invoice. Needs the scope WRITE.")
    async def update_invoice(
        self,
        info: Info,
        input: Annotated[UpdateInvoiceInput, strawberry.argument(description="The changes.")],
    ) -> UpdateInvoiceResult:
        items = set_or_kept(input.line_items, "lineItems")
        lines: list[LineInput] | Keep = KEEP if items is KEEP else [each.line() for each in items]
        row = await invoice.update_invoice(
            info.context,
            input.id,
            customer_id=set_or_kept(input.customer_id, "customerId"),
            currency=set_or_kept(input.currency, "currency"),
            line_items=lines,
            due_date=kept(input.due_date),
            memo=kept(input.memo),
            metadata=changed_metadata(input.metadata),
        )
        return UpdateInvoiceSuccess(invoice=Invoice.of(row))

    @mutation(description="Delete a draft. Needs the scope WRITE.")
    async def delete_invoice(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of the draft.")]
    ) -> DeleteInvoiceResult:
        deleted_id = await invoice.delete_invoice(info.context, id)
        return DeleteInvoiceSuccess(deleted_id=strawberry.ID(deleted_id))

    @mutation(
        description=(
            "Make a draft OPEN. This can't be undone. The invoice gets its number, and Fluxrate asks"
            " Stripe to make the invoice's Payment Link. If Stripe does not make the link, the invoice"
            " still becomes OPEN. An invoice with a total of 0 becomes PAID at once. Needs the scope"
            " WRITE."
        )
    )
    async def finalize_invoice(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id of the draft.")],
        integration_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description=(
                    "The id of the integration that receives the payment. Required if several integrations are active."
                )
            ),
        ] = strawberry.UNSET,
    ) -> FinalizeInvoiceResult:
        row = await invoice.finalize_invoice(info.context, id, given(integration_id))
        return FinalizeInvoiceSuccess(invoice=Invoice.of(row))

    @mutation(
        description=(
            "Have Stripe make a Payment Link for the amount that remains to pay on an OPEN invoice."
            " Needs the scope WRITE."
        )
    )
    async def create_payment_link(
        self,
        info: Info,
        invoice_id: InvoiceId,
        integration_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description=(
                    "The id of the integration that receives the payment. By default, the integration that"
                    " was last chosen for the invoice receives the payment. If no integration was chosen, the"
                    " only active integration receives the payment."
                )
            ),
        ] = strawberry.UNSET,
    ) -> CreatePaymentLinkResult:
        row = await payment_link.create_payment_link(info.context, invoice_id, given(integration_id))
        return CreatePaymentLinkSuccess(invoice=Invoice.of(row))

    @mutation(
        description=(
            "Record that the remaining amount of an invoice was paid outside of Stripe, for instance"
            " in cash. Needs the scope WRITE."
        )
    )
    async def mark_invoice_paid(
        self, info: Info, id: InvoiceId, note: Note = strawberry.UNSET
    ) -> MarkInvoicePaidResult:
        row = await invoice.mark_invoice_paid(info.context, id, given(note))
        return MarkInvoicePaidSuccess(invoice=Invoice.of(row))

    @mutation(description="Void an invoice. This can't be undone. Needs the scope WRITE.")
    async def void_invoice(self, info: Info, id: InvoiceId, note: Note = strawberry.UNSET) -> VoidInvoiceResult:
        row = await invoice.void_invoice(info.context, id, given(note))
        return VoidInvoiceSuccess(invoice=Invoice.of(row))

    @mutation(description="Write an invoice off. A late payment can still make it PAID. Needs the scope WRITE.")
    async def mark_invoice_uncollectible(
        self, info: Info, id: InvoiceId, note: Note = strawberry.UNSET
    ) -> MarkInvoiceUncollectibleResult:
        row = await invoice.mark_invoice_uncollectible(info.context, id, given(note))
        return MarkInvoiceUncollectibleSuccess(invoice=Invoice.of(row))
