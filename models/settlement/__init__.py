"""The rule at the heart of the product: what an event of a payment does to the books. Pure and total.

`settle` reads no clock and does no I/O. Whatever the order and number in which the events of a payment arrive, the
books end the same: success is final, before it the latest by Stripe's clock is kept, and everything that is derived is
recomputed from all of the invoice's payments.

`settle` reads these chapters in order: `refusal` (is the event ours, does its money fit), `identity` (which known
payments it is about), `learn` (what it adds to them), `tally` (what the invoice comes to), `links` (what can still be
paid) and `log` (what to write down). `case` is what they share. `plain` is a short way to the same verdict, for nearly
all payments.
"""

from models.settlement.case import Absorbed, Case, Ledger, LogEntry, Verdict
from models.settlement.decide import allocate, recount, settle
from models.settlement.links import is_covered_by_what_is_under_way
from models.settlement.refusal import NotAllocated, why_empty, why_not_allocated
from models.settlement.stripe_invoice import StripeInvoice

__all__ = [
    "Absorbed",
    "Case",
    "Ledger",
    "LogEntry",
    "NotAllocated",
    "StripeInvoice",
    "Verdict",
    "allocate",
    "is_covered_by_what_is_under_way",
    "recount",
    "settle",
    "why_empty",
    "why_not_allocated",
]
