"""The simulator's state, in memory while it runs."""

from simulator.account import Account
from simulator.delivery import Courier
from simulator.disturbance import Disturbances
from simulator.errors import Payload, StripeError, no_such
from simulator.fault import Faults
from simulator.outage import Outage
from simulator.request_log import RequestLog


class World:
    """All accounts, faults, received calls, and the courier that posts events."""

    def __init__(self, courier: Courier, outage: Outage) -> None:
        self.accounts: dict[str, Account] = {}
        self.courier = courier
        self.disturbances = Disturbances()
        self.faults = Faults()
        self.outage = outage
        self.requests = RequestLog()

    def account(self, name: str) -> Account:
        """Find an account by its name, or make it."""
        return self.accounts.setdefault(name, Account(name))

    def payment_link(self, link_id: str) -> tuple[Account, Payload]:
        """Find a link among those of all accounts.

        Raises:
            ExecutionError: There is none with this id.
        """
        for account in self.accounts.values():
            if link_id in account.payment_links:
                return account, account.payment_links[link_id]
        raise no_such("payment_link", link_id)

    def links_of_invoice(self, invoice: str) -> list[tuple[Account, Payload]]:
        """Find the links that were made for an invoice, by its id or its number, the newest first.

        Raises:
            StripeError: There is none, or several invoices have this number.
        """
        found = [
            (account, link)
            for account in self.accounts.values()
            for link in reversed(account.payment_links.values())
            if invoice in (_invoice_id(link), _invoice_number(link))
        ]
        if not found:
            message = f"No Payment Link of the simulator is for the invoice {invoice[:80]!r}."
            raise StripeError(message, status=404, code="resource_missing", param="invoice")
        ids = {_invoice_id(link) for _, link in found}
        if len(ids) > 1:
            message = f"{len(ids)} invoices have the number {invoice[:80]!r}: give an id, {' or '.join(sorted(ids))}."
            raise StripeError(message, status=409, param="invoice")
        return found


def _invoice_id(link: Payload) -> str:
    return str(link["metadata"].get("invoice_id", ""))


def _invoice_number(link: Payload) -> str:
    """Return the invoice's number, which is in the description of the link's payments."""
    description = (link["payment_intent_data"] or {}).get("description") or ""
    return str(description.removeprefix("Invoice "))
