"""What an invoice still wants, and what it got too much: the one place where both are defined. All are minor units."""

from typing import Final


def amount_remaining(total: int, received: int) -> int:
    """Compute what is still to pay; never negative."""
    return max(0, total - received)


def amount_overpaid(total: int, received: int) -> int:
    """Compute what came in beyond the total; never negative."""
    return max(0, received - total)


REMAINING_OF_OPEN: Final = "CASE WHEN status = 'OPEN' THEN total - amount_paid - amount_paid_out_of_band ELSE 0 END"
"""`amount_remaining` of an OPEN invoice in SQL, which is never negative: what is paid in full is PAID."""
