"""A customer's steps on a link, over HTTP: to pay, end a bank debit, get a refund, or dispute."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.account import Account
from simulator.delivery import Posting
from simulator.dispute import CLOSE_OUTCOMES, close_dispute, dispute
from simulator.disturbance import MAX_DELAY_S
from simulator.errors import Payload
from simulator.event import record
from simulator.form import read_params
from simulator.money import MAX_TOTAL
from simulator.parameters import Reader, fields, flag, integer, list_of, matching, one_of, past_instant, seconds, text
from simulator.payment import (
    CUSTOMER,
    ORDERS,
    PAY_OUTCOMES,
    SETTLE_OUTCOMES,
    SHUFFLED,
    Payment,
    check_events,
    pay,
    settle,
)
from simulator.refund import refund
from simulator.world import World

STEP_FIELDS: Final[dict[str, Reader]] = {
    "checkout_session": text(),
    "created": past_instant,
    "delay_s": seconds(MAX_DELAY_S),
    "deliveries": integer(least=0, most=100),
    "events": list_of(text()),
    "order": one_of(*ORDERS),
    "tampered": flag,
}
"""The parameters of every step: its session, its time, and how its events are posted."""

PAY: Final = fields(
    {
        **STEP_FIELDS,
        "amount": integer(most=MAX_TOTAL),
        "email": matching(r"[^@\s]{1,100}@[^@\s]{1,200}", "an e-mail address"),
        "outcome": one_of(*PAY_OUTCOMES),
    }
)
SETTLE: Final = fields({**STEP_FIELDS, "outcome": one_of(*SETTLE_OUTCOMES)}, required=("outcome",))
REFUND: Final = fields({**STEP_FIELDS, "amount": integer(least=1, most=MAX_TOTAL)})
DISPUTE: Final = fields(STEP_FIELDS)
CLOSE_DISPUTE: Final = fields({**STEP_FIELDS, "outcome": one_of(*CLOSE_OUTCOMES)}, required=("outcome",))


async def pay_link(world: World, request: Request) -> Response:
    """Pay a link, and answer when each event was posted once."""
    account, link, options = await _asked(world, request, PAY)
    outcome = options.get("outcome", "paid")
    check_events(outcome, options.get("events", ()))
    email = options.get("email", CUSTOMER)
    payment = pay(account, link, outcome, options.get("amount"), email, *_which(options))
    return await _answer(world, payment, options)


async def settle_link(world: World, request: Request) -> Response:
    """Let a bank debit succeed or fail."""
    account, link, options = await _asked(world, request, SETTLE)
    check_events(options["outcome"], options.get("events", ()))
    return await _answer(world, settle(account, link, options["outcome"], *_which(options)), options)


async def refund_link(world: World, request: Request) -> Response:
    """Give a customer's money back."""
    account, link, options = await _asked(world, request, REFUND)
    check_events("refund", options.get("events", ()))
    return await _answer(world, refund(account, link, options.get("amount"), *_which(options)), options)


async def dispute_link(world: World, request: Request) -> Response:
    """Let a customer's bank dispute a payment."""
    account, link, options = await _asked(world, request, DISPUTE)
    check_events("dispute", options.get("events", ()))
    return await _answer(world, dispute(account, link, *_which(options)), options)


async def close_link_dispute(world: World, request: Request) -> Response:
    """Decide a dispute of a payment."""
    account, link, options = await _asked(world, request, CLOSE_DISPUTE)
    check_events(options["outcome"], options.get("events", ()))
    return await _answer(world, close_dispute(account, link, options["outcome"], *_which(options)), options)


async def record_step(world: World, payment: Payment, options: dict[str, Any]) -> list[Payload]:
    """Record a step's events, post them, and return how each was answered."""
    caused = payment.ordered(options.get("order", ORDERS[0]), options.get("events"))
    events = [record(payment.account, event_type, about, payment.at) for event_type, about in caused]
    asked = Posting(
        times=options.get("deliveries", 1),
        delay_s=options.get("delay_s", 0.0),
        is_shuffled=options.get("order") == SHUFFLED,
        is_tampered=options.get("tampered", False),
    )
    return await world.courier.deliver(payment.account, events, world.disturbances.applied(asked))


def describe_step(payment: Payment, events: list[Payload]) -> Payload:
    """Describe a step, and how its events were received."""
    return {
        "payment_link": payment.session["payment_link"],
        "checkout_session": payment.session["id"],
        "payment_intent": payment.session["payment_intent"],
        "events": events,
    }


async def _asked(world: World, request: Request, reader: Reader) -> tuple[Account, Payload, dict[str, Any]]:
    account, link = world.payment_link(request.path_params["link"])
    return account, link, reader(await read_params(request, json_allowed=True), "")


def _which(options: dict[str, Any]) -> tuple[str | None, int | None]:
    """Return the session and the time of a step."""
    return options.get("checkout_session"), options.get("created")


async def _answer(world: World, payment: Payment, options: dict[str, Any]) -> Response:
    return JSONResponse(describe_step(payment, await record_step(world, payment, options)))
