"""Fills a demo with customers, invoices in every state and a month of payments, by public APIs alone.

It calls the product's GraphQL API like any client, and the simulator, whose customers pay and whose webhooks reach the
product. It writes to neither's data directly.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx

from errors import FluxrateError

STRIPE_KEY: Final = "sk_test_demo_0123456789"
TIMEOUT_S: Final = 30.0
DAY_S: Final = 86_400
MONTH_DAYS: Final = 30
REPORTED_EVERY: Final = 10

CUSTOMERS: Final = (
    ("Ada's Bakery", "EUR"),
    ("Bergmann Architects", "EUR"),
    ("Cobalt Films", "USD"),
    ("Delta Bikes", "USD"),
    ("Elm Street Dental", "USD"),
    ("Fuji Garden", "JPY"),
    ("Gallery Nord", "EUR"),
    ("Harbor Coffee", "EUR"),
)
"""Who is invoiced, and in which currency."""

SERVICES: Final = (
    ("Consulting, an hour", 120),
    ("Website maintenance, a month", 480),
    ("Design workshop", 950),
    ("Hosting, a month", 89),
    ("Support, an hour", 75),
)
PRICE_OF_1: Final = {"EUR": 1, "USD": 1, "JPY": 150}
MINOR_UNITS: Final = {"EUR": 100, "USD": 100, "JPY": 1}

CASES: Final = {
    "open": 6,
    "draft": 3,
    "overdue": 4,
    "paid": 17,
    "partly_paid": 3,
    "refunded": 1,
    "refunded_partly": 1,
    "disputed": 1,
    "debit_under_way": 1,
    "declined": 1,
    "void": 2,
    "uncollectible": 2,
}
"""How many invoices of each case."""

INVOICE: Final = "invoice { id number paymentLink { url stripeId amount { amount } } }"


@dataclass(frozen=True)
class OpenInvoice:
    """An invoice to pay, and where."""

    id: str
    number: str
    payment_url: str


@dataclass(frozen=True)
class _Finalized:
    id: str
    number: str
    currency: str
    link: str
    url: str
    minor_units: int


class Books:
    """Calls a demo's product and simulator by their URLs."""

    def __init__(self, product_url: str, simulator_url: str, api_key: str) -> None:
        self._http = httpx.Client(trust_env=False, timeout=TIMEOUT_S)
        self._graphql = f"{product_url}/graphql"
        self._simulator = simulator_url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._now = int(time.time())
        self._integration = ""

    def fill(self, on_progress: Callable[[str], None]) -> OpenInvoice:
        """Fill an empty workspace, reporting progress; return an open invoice to try.

        Raises:
            FluxrateError: Something was refused.
        """
        with self._http:
            self._connect()
            customers = [self._add_customer(name) for name, _ in CUSTOMERS]
            on_progress(f"Connected the simulated Stripe account, added {len(customers)} customers.")
            cases = list(_mixed_cases())
            to_try = None
            for position, case in enumerate(cases):
                made = self._add_invoice(position, customers, case)
                if case == "open" and made is not None and to_try is None:
                    to_try = OpenInvoice(made.id, made.number, made.url)
                if (position + 1) % REPORTED_EVERY == 0 or position + 1 == len(cases):
                    on_progress(f"{position + 1} of {len(cases)} invoices.")
            self._pay_for_no_invoice(customers[0])
        if to_try is None:
            raise FluxrateError("The demo has no open invoice to try.")
        return to_try

    # --- The product -------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        wanted = {"name": "Simulated Stripe", "secretKey": STRIPE_KEY, "registerWebhook": True}
        done = self._mutate("connectStripe", "ConnectStripe", "integration { id }", input=wanted)
        self._integration = done["integration"]["id"]

    def _add_customer(self, name: str) -> str:
        mailbox = name.lower().replace("'", "").replace(" ", ".")
        wanted = {"name": name, "email": f"{mailbox}@example.com"}
        customer_id: str = self._mutate("createCustomer", "CreateCustomer", "customer { id }", input=wanted)[
            "customer"
        ]["id"]
        return customer_id

    def _add_draft(self, position: int, customers: list[str], due_in_days: int) -> tuple[str, str]:
        """Create a draft; return its id and currency."""
        of = (position + position // len(CUSTOMERS)) % len(CUSTOMERS)  # so that each case has several currencies
        currency = CUSTOMERS[of][1]
        service, price = SERVICES[position % len(SERVICES)]
        line = {
            "description": service,
            "quantity": str(1 + position % 4),
            "unitAmount": str(price * PRICE_OF_1[currency]),
        }
        due = (datetime.now(UTC) + timedelta(days=due_in_days)).date().isoformat()
        wanted = {"customerId": customers[of], "currency": currency, "lineItems": [line], "dueDate": due}
        done = self._mutate("createInvoice", "CreateInvoice", "invoice { id }", input=wanted)
        return done["invoice"]["id"], currency

    def _finalize(self, invoice_id: str, currency: str) -> _Finalized:
        invoice = self._mutate(
            "finalizeInvoice", "FinalizeInvoice", INVOICE, id=invoice_id, integrationId=self._integration
        )["invoice"]
        link = invoice["paymentLink"]
        if not link or not link["stripeId"]:
            raise FluxrateError(f"The demo's simulator made no Payment Link for invoice {invoice['number']}.")
        minor_units = int(Decimal(link["amount"]["amount"]) * MINOR_UNITS[currency])
        return _Finalized(invoice_id, invoice["number"], currency, link["stripeId"], link["url"], minor_units)

    def _add_invoice(self, position: int, customers: list[str], case: str) -> _Finalized | None:
        """Create an invoice and carry out its case; return the finalized invoice, or None for a draft."""
        due_in_days = -3 - 9 * (position % 5) if case == "overdue" else 7 + position % 21
        draft, currency = self._add_draft(position, customers, due_in_days)
        if case == "draft":
            return None
        invoice = self._finalize(draft, currency)
        self._carry_out(invoice, case, 1 + (position * 11) % (MONTH_DAYS - 1) + (position * 5 % 11) / 24)
        return invoice

    def _carry_out(self, invoice: _Finalized, case: str, days_ago: float) -> None:
        """Carry out an open invoice's case."""
        if case == "void":
            self._mutate("voidInvoice", "VoidInvoice", "invoice { id }", id=invoice.id, note="Sent by mistake.")
        elif case == "uncollectible":
            note = "The company was dissolved."
            self._mutate(
                "markInvoiceUncollectible", "MarkInvoiceUncollectible", "invoice { id }", id=invoice.id, note=note
            )
        elif case == "declined":
            self._pay(invoice.link, days_ago, outcome="declined")
        elif case == "debit_under_way":
            self._pay(invoice.link, 1, outcome="async")
        elif case == "partly_paid":
            self._pay(invoice.link, days_ago, amount=invoice.minor_units // 2)
        elif case not in ("open", "overdue"):
            self._pay(invoice.link, days_ago)
            self._return_money(invoice, case, days_ago / 2)

    def _return_money(self, invoice: _Finalized, case: str, days_ago: float) -> None:
        if case == "refunded":
            self._post(f"/pay/{invoice.link}/refund", created=self._at(days_ago))
        elif case == "refunded_partly":
            self._post(f"/pay/{invoice.link}/refund", created=self._at(days_ago), amount=invoice.minor_units // 4)
        elif case == "disputed":
            self._post(f"/pay/{invoice.link}/dispute", created=self._at(days_ago))

    def _mutate(self, name: str, type_: str, selection: str, **arguments: Any) -> dict[str, Any]:
        """Send a mutation; return what its success contains.

        Raises:
            FluxrateError: It was refused, with the reason.
        """
        declared = {"input": f"{type_}Input!", "id": "ID!", "integrationId": "ID", "note": "String"}
        variables = ", ".join(f"${argument}: {declared[argument]}" for argument in arguments)
        passed = ", ".join(f"{argument}: ${argument}" for argument in arguments)
        query = (
            f"mutation ({variables}) {{ {name}({passed}) {{"
            f" ... on {type_}Success {{ {selection} }} ... on Problem {{ message }} }} }}"
        )
        asked = {"query": query, "variables": arguments}
        answer = self._http.post(self._graphql, json=asked, headers=self._headers).json()
        done: dict[str, Any] = (answer.get("data") or {}).get(name) or {}
        if not done or "message" in done:
            reason = done.get("message") or "; ".join(error["message"] for error in answer.get("errors", ()))
            raise FluxrateError(f"The demo could not be filled: {name} was refused ({reason}).")
        return done

    # --- The simulator -----------------------------------------------------------------------------------------

    def _pay(self, link: str, days_ago: float, **options: Any) -> None:
        self._post(f"/pay/{link}", created=self._at(days_ago), **options)

    def _pay_for_no_invoice(self, customer: str) -> None:
        """Pay a link that was made by hand for a deleted draft."""
        draft, currency = self._add_draft(0, [customer], due_in_days=7)
        self._mutate("deleteInvoice", "DeleteInvoice", "deletedId", id=draft)
        product = {"currency": currency.lower(), "unit_amount": "14900", "product_data": {"name": "Website check"}}
        metadata = {"invoice_id": draft}
        wanted = _form(
            {
                "line_items": {"0": {"price_data": product, "quantity": "1"}},
                "metadata": metadata,
                "payment_intent_data": {"metadata": metadata},
            }
        )
        made = self._http.post(
            f"{self._simulator}/v1/payment_links", data=wanted, headers={"Authorization": f"Bearer {STRIPE_KEY}"}
        )
        self._pay(_accepted(made)["id"], days_ago=2)

    def _post(self, path: str, **options: Any) -> None:
        _accepted(self._http.post(f"{self._simulator}{path}", json=options))

    def _at(self, days_ago: float) -> int:
        return self._now - int(days_ago * DAY_S)


def _mixed_cases() -> Iterator[str]:
    """List every case as often as CASES says, mixed evenly."""
    listed = [case for case, count in CASES.items() for _ in range(count)]
    yield from (listed[position * 5 % len(listed)] for position in range(len(listed)))


def _accepted(response: httpx.Response) -> dict[str, Any]:
    answer: dict[str, Any] = response.json()
    if not response.is_success:
        raise FluxrateError(f"The demo could not be filled: the simulator refused ({answer['error']['message']}).")
    return answer


def _form(nested: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """Flatten a hash as Stripe's forms write it: `a[b][c]`."""
    flat: dict[str, str] = {}
    for name, value in nested.items():
        path = f"{within}[{name}]" if within else name
        flat |= _form(value, path) if isinstance(value, Mapping) else {path: value}
    return flat
