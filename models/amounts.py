"""Defines what remains to pay of an invoice, and by how much it is overpaid, in minor units.

Nothing else computes these.
"""

from typing import Final


def amount_remaining(total: int, received: int) -> int:
    """Compute what is still to pay; never negative."""
    return max(0, total - received)


def amount_overpaid(total: int, received: int) -> int:
    """Compute what came in beyond the total; never negative."""
    return max(0, received - total)


REMAINING_OF_OPEN: Final = "CASE WHEN status = 'OPEN' THEN total - amount_paid - amount_paid_out_of_band ELSE 0 END"
"""The SQL of an OPEN invoice's `amount_remaining`.

It is never negative, because an invoice that is paid in full is PAID.
"""
