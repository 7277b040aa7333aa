"""The page where a customer pays a link, and the form behind its button."""

from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from simulator.errors import Payload
from simulator.event import record
from simulator.form import read_params
from simulator.line_item import total
from simulator.money import LARGEST_TOTAL, in_words
from simulator.parameters import Reader, fields, integer, list_of, matching, one_of, text
from simulator.payment import (
    ORDERS,
    PAY_OUTCOMES,
    SETTLE_OUTCOMES,
    Payment,
    check_events,
    pay,
    settle,
    visit,
)
from simulator.world import World

TELLING: Final[dict[str, Reader]] = {
    "deliveries": integer(least=0, most=100),
    "events": list_of(text()),
    "order": one_of(*ORDERS),
}
PAY: Final = fields(
    {
        **TELLING,
        "amount": integer(most=LARGEST_TOTAL),
        "checkout_session": text(),
        "email": matching(r"[^@\s]{1,100}@[^@\s]{1,200}", "an e-mail address"),
        "outcome": one_of(*PAY_OUTCOMES),
    }
)
SETTLE: Final = fields(
    {
        **TELLING,
        "checkout_session": text(),
        "outcome": one_of(*SETTLE_OUTCOMES),
    },
    required=("outcome",),
)
PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Pay {amount}</title>
<h1>Pay {amount}</h1>
<p>A simulated payment page: no money moves.</p>
<ul>{lines}</ul>
<form method="post">
<input type="hidden" name="checkout_session" value="{session}">
<label>Outcome <select name="outcome">{outcomes}</select></label>
<button>Pay {amount}</button>
</form>
</html>
"""


async def show_page(world: World, request: Request) -> Response:
    """Show what the link sells, and a button to pay: the page stays payable until its session expires."""
    account, link = world.payment_link(request.path_params["link"])
    session = visit(account, link)
    items = account.line_items[link["id"]]
    lines = (f"{item['quantity']} × {item['description']}: {_amount(item['amount_total'], link)}" for item in items)
    page = PAGE.format(
        session=escape(session["id"]),
        amount=escape(_amount(total(items), link)),
        lines="".join(f"<li>{escape(line)}</li>" for line in lines),
        outcomes="".join(f"<option>{outcome}</option>" for outcome in PAY_OUTCOMES),
    )
    return HTMLResponse(page)


async def pay_link(world: World, request: Request) -> Response:
    """Pay a link, and answer when each event was posted once."""
    account, link = world.payment_link(request.path_params["link"])
    options = PAY(await read_params(request, json_allowed=True), "")
    outcome = options.get("outcome", "paid")
    check_events(outcome, options.get("events", ()))
    email = options.get("email", "customer@example.com")
    payment = pay(account, link, outcome, options.get("amount"), email, options.get("checkout_session"))
    return await _tell(world, payment, options)


async def settle_link(world: World, request: Request) -> Response:
    """Let a bank debit succeed or fail."""
    account, link = world.payment_link(request.path_params["link"])
    options = SETTLE(await read_params(request, json_allowed=True), "")
    check_events(options["outcome"], options.get("events", ()))
    payment = settle(account, link, options["outcome"], options.get("checkout_session"))
    return await _tell(world, payment, options)


async def _tell(world: World, payment: Payment, options: dict[str, Any]) -> Response:
    told = payment.ordered(options.get("order", ORDERS[0]), options.get("events"))
    events = [record(payment.account, event_type, about) for event_type, about in told]
    answered: list[Payload] = []
    for event in events:
        deliveries = await world.courier.deliver(payment.account, event, options.get("deliveries", 1))
        answered.append({"id": event["id"], "type": event["type"], "deliveries": deliveries})
    return JSONResponse(
        {
            "payment_link": payment.session["payment_link"],
            "checkout_session": payment.session["id"],
            "payment_intent": payment.session["payment_intent"],
            "events": answered,
        }
    )


def _amount(amount: int, link: Payload) -> str:
    return in_words(amount, link["currency"])
