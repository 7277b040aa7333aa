"""All that the simulator remembers, for as long as it runs."""

from simulator.account import Account
from simulator.delivery import Courier
from simulator.errors import Payload, no_such
from simulator.fault import Faults
from simulator.request_log import RequestLog


class World:
    """Every account, the faults to come, the calls received, and the courier of events."""

    def __init__(self, courier: Courier) -> None:
        self.accounts: dict[str, Account] = {}
        self.courier = courier
        self.faults = Faults()
        self.requests = RequestLog()

    def account(self, name: str) -> Account:
        """Find an account by its name; it begins to exist when its first key is used."""
        return self.accounts.setdefault(name, Account(name))

    def payment_link(self, link_id: str) -> tuple[Account, Payload]:
        """Find a link whoever made it.

        Raises:
            ExecutionError: Nobody did.
        """
        for account in self.accounts.values():
            if link_id in account.payment_links:
                return account, account.payment_links[link_id]
        raise no_such("payment_link", link_id)
