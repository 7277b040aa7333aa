"""Faults: how the next calls of the API fail."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from simulator.account import Account
from simulator.errors import StripeError
from simulator.form import Params
from simulator.parameters import fields, integer, matching, one_of, seconds, text


class FaultKind(StrEnum):
    """What goes wrong."""

    DELAY = "delay"
    """The call is answered later."""

    HANG_UP = "hang_up"
    """The work is done, and the connection closed without an answer."""

    STATUS_AFTER = "status_after"
    """The work is done, and the answer, which the idempotency key replays, is a server error."""

    STATUS_BEFORE = "status_before"
    """The work isn't done."""

    TIMEOUT = "timeout"
    """The work is done, and never answered."""


INJECT: Final = fields(
    {
        "account": text(),
        "delay_s": seconds(600.0),
        "kind": one_of(*FaultKind),
        "method": one_of("DELETE", "GET", "POST"),
        "path": matching(r"/v1/.+", "a path of the API; * stands for anything"),
        "status": integer(least=400, most=599),
        "times": integer(least=1),
    },
    required=("kind", "method", "path"),
)


@dataclass
class Fault:
    """A fault for some calls of one path."""

    kind: FaultKind
    method: str
    path: str
    status: int = 500
    times: int = 1
    delay_s: float = 0.5
    account: str | None = None
    """The name or id of the account that it is limited to."""

    def hits(self, method: str, path: str, account: Account) -> bool:
        """Whether it applies to a call."""
        is_for_it = self.account in (None, account.id, account.name)
        return is_for_it and method == self.method and fnmatchcase(path, self.path)


class Faults:
    """The faults of the next calls."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def inject(self, params: Params) -> Fault:
        """Add a fault.

        Raises:
            StripeError: The parameters are invalid.
        """
        given = INJECT(params, "")
        kind = FaultKind(given.pop("kind"))
        if kind is FaultKind.STATUS_AFTER and given.get("status", 500) < 500:
            raise StripeError("After the work is done only a status of 500 or more makes sense.", param="status")
        fault = Fault(kind, **given)
        self._faults.append(fault)
        return fault

    def take(self, method: str, path: str, account: Account) -> Fault | None:
        """Use up the first fault that hits this call."""
        for fault in self._faults:
            if fault.hits(method, path, account):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
