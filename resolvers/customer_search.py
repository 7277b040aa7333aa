"""Searches customers by name, email and external id."""

from tortoise.expressions import Q

from models.customer import Customer
from models.text import optional_text
from resolvers.context import Context
from resolvers.reading.narrowing import Narrowing
from resolvers.reading.search import holding


async def searched(ctx: Context, search: str | None, path: list[str]) -> list[Narrowing]:
    """Make the condition that a customer's name, email or external id contains a text; none without a text.

    Raises:
        InvalidInputError: The text is too long, or holds characters that can't be stored.
    """
    text = optional_text(search, "The search", path)
    if text is None:
        return []
    holds = Q(name__icontains=text) | Q(email__icontains=text) | Q(external_id__icontains=text)
    return [await holding(ctx.listed(Customer), "customer", ctx.workspace_id, text, holds)]
