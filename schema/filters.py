"""The filters and orders of lists and subscriptions. All conditions of a filter must hold."""

from collections.abc import Callable
from dataclasses import fields as fields_of
from typing import Any, TypeVar, get_type_hints

import strawberry

from models.kinds import CustomerOrderField, InvoiceOrderField, PaymentOrderField
from resolvers.event import EventQuery
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.webhook_event import WebhookEventQuery
from schema import fields
from schema.enums import OrderDirection

FilterT = TypeVar("FilterT")


def restricting(query: type[Any], description: str) -> Callable[[type[FilterT]], type[FilterT]]:
    """Declare an input with the restrictions of a use case's query; each field is optional."""
    types = get_type_hints(query)

    def declare(filter_: type[FilterT]) -> type[FilterT]:
        for each in fields_of(query):
            if each.metadata:
                type_ = types[each.name]
                if each.metadata["is_id"]:
                    type_ = strawberry.ID | None if type_ == str | None else list[strawberry.ID] | None
                filter_.__annotations__[each.name] = type_
                setattr(filter_, each.name, fields.optional(each.metadata["description"]))
        return strawberry.input(filter_, description=description)

    return declare


@restricting(InvoiceQuery, "Which invoices to select. If you give several conditions, all must hold.")
class InvoiceFilter:
    pass


@restricting(WebhookEventQuery, "Which webhook events to select. If you give several conditions, all must hold.")
class WebhookEventFilter:
    pass


@restricting(PaymentQuery, "Which payments to select. If you give several conditions, all must hold.")
class PaymentFilter:
    pass


@restricting(EventQuery, "Which events to select. If you give several conditions, all must hold.")
class EventFilter:
    pass


# --- Orders ----------------------------------------------------------------------------------------------------


@strawberry.input(description="How to order invoices.")
class InvoiceOrder:
    field: InvoiceOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction of the order.")


@strawberry.input(description="How to order payments.")
class PaymentOrder:
    field: PaymentOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction of the order.")


@strawberry.input(description="How to order customers.")
class CustomerOrder:
    field: CustomerOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction of the order.")
