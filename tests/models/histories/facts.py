"""What Stripe tells of a payment, each fact beside the event that it comes in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

from gateways.stripe.events import read
from models.ids import Prefix, new_id
from models.payment_fact import PaymentFact
from tests.world import stripe_payloads as stripe

WORKSPACE: Final = new_id(Prefix.WORKSPACE)
INVOICES: Final = tuple(new_id(Prefix.INVOICE) for _ in range(3))
CUSTOMERS: Final = tuple(new_id(Prefix.CUSTOMER) for _ in range(2))
NO_INVOICE: Final = new_id(Prefix.INVOICE)
"""An invoice's id that nothing here has."""

PAID, REFUNDED, PENDING, FAILED = "paid", "refunded", "pending", "failed"
REFUND, REFUND_FAILED, DISPUTED = "refund", "refund failed", "disputed"
MONEY: Final = frozenset({PAID, REFUNDED})
PROOFS: Final = frozenset({PAID, REFUNDED, PENDING, FAILED})

LATEST: Final = 30
"""Stripe's clock stands between 1 and this, so that many events share an instant."""


@dataclass(frozen=True, eq=False)
class Fact:
    """One thing that Stripe says. `invoice` and `link` are what it names; `at` is when the money came."""

    id: str
    payment: str
    kind: str
    created: int
    at: int
    amount: int
    currency: str
    invoice: str | None
    customer: str | None
    link: str | None
    live: bool
    foreign: bool
    failure: str | None
    late: int
    refunded: int
    refund: str | None
    refunded_at: int
    dispute: tuple[str, str, int, int | None] | None
    body: bytes
    event: PaymentFact

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Stripe's clock; within one second the consequence after its cause, the larger refund after the smaller."""
        return self.created, self.late, self.refunded, self.id


@dataclass(frozen=True)
class Payment:
    """A payment at Stripe, and what its events carry: `metadata` is theirs, `link` the session's.

    Its session is `bare` when it carries none, as a link whose metadata was removed. It is `torn` when the link is not
    that of the invoice which the metadata names: nothing else tells of it then but what carries no metadata.
    """

    name: str
    way: "Callable[[Stripe, Payment, Random], list[Fact]]"
    amount: int
    currency: str
    metadata: Mapping[str, Any]
    link: str | None
    live: bool = False
    foreign: bool = False
    bare: bool = False
    torn: bool = False
    refunded_at: tuple[int, int] = (10, 20)


class Stripe:
    """Stripe, as far as it tells something: every event is new."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def name(self, prefix: str) -> str:
        """A payment's id that no other has."""
        return f"{prefix}_{next(self._numbers):03d}"

    def tells(
        self,
        payment: Payment,
        kind: str,
        factory: Callable[..., stripe.Event],
        *,
        created: int,
        metadata: Mapping[str, Any] | None = None,
        **told: Any,
    ) -> Fact:
        """An event of a payment. Its metadata is the payment's unless another is given."""
        carried = payment.metadata if metadata is None else metadata
        event = factory(
            **carried,
            event_id=f"evt_{next(self._numbers):04d}",
            created=created,
            livemode=payment.live,
            **({"amount": payment.amount, "currency": payment.currency} | told),
        )
        subject = event["data"]["object"]
        body = stripe.body(event)
        about_it = kind in {REFUND, REFUND_FAILED, DISPUTED}
        closed = created if event["type"] == "charge.dispute.closed" else None
        return Fact(
            id=event["id"],
            payment=payment.name,
            kind=kind,
            created=created,
            at=told.get("paid_at", created),
            amount=told.get("amount", payment.amount),
            currency=payment.currency.upper(),
            invoice=None if about_it else carried.get("invoice_id"),
            customer=None if about_it else carried.get("customer_id"),
            link=told.get("payment_link"),
            live=payment.live,
            foreign=payment.foreign and bool(carried),
            failure=_failure(event, subject),
            late=1 if kind is REFUND_FAILED else _late(event["type"]),
            refunded=told.get("refunded", 0),
            refund=told.get("refund"),
            refunded_at=told.get("refunded_at", 0),
            dispute=(told["dispute"], told["status"], told["opened"], closed) if kind is DISPUTED else None,
            body=body,
            event=read(body),
        )


def _late(type_: str) -> int:
    """How many of a payment's events may have led to one of this type."""
    if type_ in {"checkout.session.completed", "payment_intent.processing", "refund.failed", "charge.dispute.closed"}:
        return 1
    return 2 if type_ in {"checkout.session.async_payment_failed", "payment_intent.canceled"} else 0


def _failure(event: stripe.Event, subject: Mapping[str, Any]) -> str | None:
    if event["type"] == "checkout.session.async_payment_failed":
        return "async_payment_failed"
    if event["type"] == "payment_intent.canceled":
        return "canceled"
    error = subject.get("last_payment_error")
    return str(error["code"]) if error else None


# --- What the ways of paying tell ------------------------------------------------------------------------------


def by_card(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    """Perhaps attempts that fail, then the money, told by the intent and by the session."""
    facts = _attempts(teller, payment, chance)
    if chance.random() < 0.8:
        facts += _money(teller, payment, chance)
    return facts


def by_debit(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    """Perhaps cards that were declined, a session that is through before the money is, and what becomes of it."""
    session = _session(payment)
    facts = [
        *_attempts(teller, payment, chance),
        teller.tells(
            payment,
            PENDING,
            stripe.checkout_session_completed,
            payment_status="unpaid",
            created=_when(chance),
            **session,
        ),
        teller.tells(
            payment, PENDING, stripe.payment_intent_processing, payment_intent=payment.name, created=_when(chance)
        ),
    ]
    outcome = chance.choice(["money", "money", "failure", "cancellation", "nothing yet"])
    if outcome == "money":
        facts.append(_intent_succeeded(teller, payment, chance))
        facts.append(
            teller.tells(payment, PAID, stripe.checkout_session_async_succeeded, created=_when(chance), **session)
        )
    elif outcome == "failure":
        facts.append(
            teller.tells(payment, FAILED, stripe.checkout_session_async_failed, created=_when(chance), **session)
        )
    elif outcome == "cancellation":
        canceled = stripe.payment_intent_canceled
        facts.append(teller.tells(payment, FAILED, canceled, payment_intent=payment.name, created=_when(chance)))
    return facts


def by_stripe_invoice(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    """A Stripe Invoice that carries our metadata; of some shapes it alone names the payment."""
    alone = payment.name.startswith("in_")
    names = {"invoice": payment.name if alone else f"in_{payment.name}"}
    told: dict[str, Any] = {**names, "payment_intent": None if alone else payment.name, "shape": stripe.OLD}
    facts = [] if alone else [_intent_succeeded(teller, payment, chance)]
    if chance.random() < 0.4:
        facts.append(teller.tells(payment, FAILED, stripe.stripe_invoice_failed, created=_when(chance), **told))
    if chance.random() < 0.8:
        facts.append(teller.tells(payment, PAID, stripe.stripe_invoice_paid, created=_when(chance), **told))
    return facts


def for_nothing(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    """A session in which nothing was to be paid: it has no intent."""
    told: dict[str, Any] = {"session": payment.name, "payment_intent": None, "payment_link": payment.link}
    factory = stripe.checkout_session_completed
    return [teller.tells(payment, PAID, factory, payment_status="no_payment_required", created=_when(chance), **told)]


def by_session_alone(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    """Money that only its session tells of."""
    factory = stripe.checkout_session_completed
    return [teller.tells(payment, PAID, factory, created=_when(chance), **_session(payment))]


def _attempts(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    codes: Sequence[str] = chance.choice([[], [], ["a"], ["a", "b"]])
    return [
        teller.tells(
            payment,
            FAILED,
            stripe.payment_intent_failed,
            payment_intent=payment.name,
            error={"code": code, "message": code},
            created=_when(chance),
        )
        for code in codes
    ]


def _money(teller: Stripe, payment: Payment, chance: Random) -> list[Fact]:
    session = _session(payment)
    if chance.random() < 0.1:  # two amounts for one payment, which should not be
        session["amount"] = payment.amount + 1
    return [
        _intent_succeeded(teller, payment, chance),
        teller.tells(payment, PAID, stripe.checkout_session_completed, created=_when(chance), **session),
    ]


def _intent_succeeded(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    return teller.tells(
        payment, PAID, stripe.payment_intent_succeeded, payment_intent=payment.name, created=_when(chance)
    )


def _session(payment: Payment) -> dict[str, Any]:
    names = {"session": f"cs_{payment.name}", "payment_intent": payment.name, "payment_link": payment.link}
    return names | ({"metadata": {}} if payment.bare else {})


def _when(chance: Random) -> int:
    return chance.randint(1, LATEST)


WAYS: Final[Mapping[str, Callable[[Stripe, Payment, Random], list[Fact]]]] = {
    "card": by_card,
    "debit": by_debit,
    "stripe invoice": by_stripe_invoice,
    "nothing to pay": for_nothing,
    "session alone": by_session_alone,
}


# --- What is told of a payment later ---------------------------------------------------------------------------


def refunded(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    """So much went back in all; a charge made by hand carries no metadata."""
    return teller.tells(
        payment,
        REFUNDED,
        stripe.charge_refunded,
        payment_intent=payment.name,
        refunded=chance.choice([payment.amount, payment.amount // 2, 1]),
        paid_at=_when(chance),
        created=_when(chance),
        metadata={} if payment.torn else chance.choice([None, {}]),
    )


def refund_told(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    """One refund of the payment, as it stands."""
    number = chance.randint(1, 2)
    status = chance.choice(["pending", "succeeded", "canceled"])
    return teller.tells(
        payment,
        REFUND_FAILED if status == "canceled" else REFUND,
        stripe.refund,
        payment_intent=payment.name,
        refund=f"re_{payment.name}_{number}",
        refunded_at=payment.refunded_at[number - 1],
        amount=chance.choice([payment.amount // 2, 1]),
        status=status,
        created=_when(chance),
        metadata={},
    )


def refund_failed(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    """One of the refunds came back."""
    number = chance.randint(1, 2)
    return teller.tells(
        payment,
        REFUND_FAILED,
        stripe.refund_failed,
        payment_intent=payment.name,
        refund=f"re_{payment.name}_{number}",
        refunded_at=payment.refunded_at[number - 1],
        amount=chance.choice([payment.amount // 2, 1]),
        created=_when(chance),
        metadata={},
    )


def disputed(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    """The customer's bank takes it back, or has decided."""
    return teller.tells(
        payment,
        DISPUTED,
        stripe.dispute,
        payment_intent=payment.name,
        dispute=f"dp_{payment.name}_{chance.randint(1, 2)}",
        status=chance.choice(["needs_response", "won", "lost"]),
        opened=_when(chance),
        created=_when(chance),
        metadata={},
    )


def paid_without_metadata(teller: Stripe, payment: Payment, chance: Random) -> Fact:
    """The intent of a link made by hand: the metadata stays with the session."""
    return teller.tells(
        payment,
        PAID,
        stripe.payment_intent_succeeded,
        payment_intent=payment.name,
        created=_when(chance),
        metadata={},
    )
