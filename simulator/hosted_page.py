"""The page where a customer pays a link, and whatever else a customer can do about it, a button each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Final

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from simulator.account import Account
from simulator.checkout_session import is_open
from simulator.customer import tell
from simulator.dispute import disputable_session, dispute
from simulator.errors import Payload, StripeError
from simulator.form import read_params
from simulator.line_item import total
from simulator.money import in_words
from simulator.parameters import fields, one_of, text
from simulator.payment import Payment, awaited_session, pay, settle, visit
from simulator.refund import refund, refundable_session
from simulator.world import World

Perform = Callable[[Account, Payload, str | None], list[Payment]]


@dataclass(frozen=True)
class Action:
    """A button: what it says, what it is for, what it does, and the sentence about that afterwards.

    The sentence may hold `{paid}`, what its session came to, and `{total}`, what the link asks for.
    """

    label: str
    hint: str
    perform: Perform
    done: str


def _pay(account: Account, link: Payload, session_id: str | None, *, outcome: str) -> list[Payment]:
    return [pay(account, link, outcome, session_id=session_id)]


def _pay_partly(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    half = (total(account.line_items[link["id"]]) + 1) // 2
    return [pay(account, link, amount=half, session_id=session_id)]


def _pay_twice(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    """Pay two sessions that are open at once, before anybody hears of the first."""
    second = visit(account, link)
    return [pay(account, link, session_id=session_id), pay(account, link, session_id=second["id"])]


def _settle(account: Account, link: Payload, session_id: str | None, *, outcome: str) -> list[Payment]:
    return [settle(account, link, outcome, session_id)]


def _refund(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    return [refund(account, link, session_id=session_id)]


def _dispute(account: Account, link: Payload, session_id: str | None) -> list[Payment]:
    return [dispute(account, link, session_id)]


TO_PAY: Final = {
    "pay": Action("Pay {total}", "By card, all of it.", partial(_pay, outcome="paid"), "{paid} was paid by card."),
    "decline": Action(
        "Decline", "The card is refused.", partial(_pay, outcome="declined"), "The card was declined: nothing was paid."
    ),
    "debit": Action(
        "Bank debit",
        "Begins now, and settles or fails later.",
        partial(_pay, outcome="async"),
        "A bank debit over {paid} is under way: let it settle or fail.",
    ),
    "pay_twice": Action(
        "Pay twice",
        "Two open pages are paid at once.",
        _pay_twice,
        "The link was paid twice, {paid} each time: the second payment is too much.",
    ),
    "pay_partly": Action(
        "Pay partly",
        "Half of it, which Stripe itself would not offer.",
        _pay_partly,
        "{paid} of {total} was paid: the rest needs a link of its own.",
    ),
}
TO_SETTLE: Final = {
    "settle": Action(
        "Debit settles",
        "The money arrives.",
        partial(_settle, outcome="succeeded"),
        "The bank debit settled: {paid} was paid.",
    ),
    "fail": Action(
        "Debit fails",
        "The bank sends no money.",
        partial(_settle, outcome="failed"),
        "The bank debit failed: nothing was paid.",
    ),
}
TO_REFUND: Final = {
    "refund": Action("Refund", "All that is left goes back.", _refund, "The payment of {paid} was refunded."),
}
TO_DISPUTE: Final = {
    "dispute": Action(
        "Dispute", "The customer's bank asks for it back.", _dispute, "The payment of {paid} is disputed."
    ),
}
ACTIONS: Final = TO_PAY | TO_SETTLE | TO_REFUND | TO_DISPUTE
PRESSED: Final = fields({"action": one_of(*ACTIONS), "checkout_session": text()}, required=("action",))
TOLD: Final = " Webhooks tell of it."

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading} · simulation</title>
<style>
:root {{ color-scheme: light dark; --line: #767b85; --accent: #2f4bc7; --on-accent: #fff; --note: #fff3cd; --on-note: #4d3a00 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --line: #8f95a1; --accent: #a9b8ff; --on-accent: #10152b; --note: #423506; --on-note: #ffeeb5 }}
}}
* {{ box-sizing: border-box }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 36rem; padding: 1rem; overflow-wrap: anywhere }}
.note {{ background: var(--note); color: var(--on-note); border-radius: .5rem; padding: .5rem .75rem }}
.said {{ border: 1px solid var(--line); border-left: .375rem solid var(--accent); border-radius: .5rem; padding: .5rem .75rem }}
.actions {{ list-style: none; padding: 0 }}
.actions li {{ display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; margin-block: .5rem }}
button {{ font: inherit; min-height: 2.75rem; min-width: 9rem; padding: .25rem 1rem; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--line); background: Canvas; color: CanvasText }}
button[value="pay"] {{ background: var(--accent); color: var(--on-accent); border-color: var(--accent) }}
button:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px }}
h1 {{ line-height: 1.2 }} h2 {{ font-size: 1.1rem; margin-bottom: 0 }}
</style>
</head>
<body>
<main>
<p class="note"><strong>Simulation.</strong> This page stands in for Stripe's: no money moves.</p>
<h1>{heading}</h1>
{said}
<ul>{lines}</ul>
{forms}
</main>
</body>
</html>
"""  # noqa: E501 - a line of CSS each


async def show_page(world: World, request: Request) -> Response:
    """Show what the link sells, and a button for all that can be done: it is payable until its session expires."""
    account, link = world.payment_link(request.path_params["link"])
    asked = request.query_params
    before = account.checkout_sessions.get(asked.get("checkout_session", ""))
    action = ACTIONS.get(asked.get("done", ""))
    if action is None or before is None or before["payment_link"] != link["id"]:
        return _page(account, link, before=None, said="")
    return _page(account, link, before, said=_in_words(action.done, account, link, before) + TOLD)


async def press_button(world: World, request: Request) -> Response:
    """Do what a button of the page says, and show the page again when each event was posted once."""
    account, link = world.payment_link(request.path_params["link"])
    pressed = PRESSED(await read_params(request, json_allowed=False), "")
    try:
        payments = ACTIONS[pressed["action"]].perform(account, link, pressed.get("checkout_session"))
    except StripeError as error:
        return _page(account, link, before=None, said=str(error), status=error.status)
    for payment in payments:
        await tell(world, payment, {})
    query = {"done": pressed["action"], "checkout_session": payments[0].session["id"]}
    return RedirectResponse(str(URL(f"/pay/{link['id']}").include_query_params(**query)), 303)


def _page(account: Account, link: Payload, before: Payload | None, said: str, status: int = 200) -> Response:
    session, refused = before if before is not None and is_open(before) else None, ""
    if session is None:
        try:
            session = visit(account, link)
        except StripeError as error:
            refused = str(error)
    forms = [
        _form("Pay", TO_PAY, session, account, link),
        _form("A bank debit is under way", TO_SETTLE, awaited_session(account, link), account, link),
        _form("After the payment", TO_REFUND, refundable_session(account, link), account, link),
        _form("Trouble", TO_DISPUTE, disputable_session(account, link), account, link),
    ]
    items = account.line_items[link["id"]]
    lines = [
        f"{item['quantity']} × {item['description']}: {in_words(item['amount_total'], link['currency'])}"
        for item in items
    ]
    page = PAGE.format(
        heading=escape(_in_words("Pay {total}" if session else "Payment of {total}", account, link, None)),
        said="".join(
            f'<p class="said" role="status">{escape(sentence)}</p>'
            for sentence in dict.fromkeys((said, refused))
            if sentence
        ),
        lines="".join(f"<li>{escape(line)}</li>" for line in lines),
        forms="\n".join(forms),
    )
    return HTMLResponse(page, 409 if refused and not said else status)


def _form(heading: str, actions: Mapping[str, Action], session: Payload | None, account: Account, link: Payload) -> str:
    """Write the buttons of what can be done about a session; nothing where there is none."""
    if session is None:
        return ""
    buttons = _buttons(actions, account, link)
    return (
        f'<form method="post" action="/pay/{escape(link["id"])}/page">\n<h2>{heading}</h2>\n'
        f'<input type="hidden" name="checkout_session" value="{escape(session["id"])}">\n'
        f'<ul class="actions">{"".join(buttons)}</ul>\n</form>'
    )


def _buttons(actions: Mapping[str, Action], account: Account, link: Payload) -> Iterable[str]:
    for name, action in actions.items():
        label = escape(_in_words(action.label, account, link, None))
        yield (
            f'<li><button name="action" value="{name}" aria-describedby="{name}-hint">{label}</button>'
            f'<span id="{name}-hint">{escape(action.hint)}</span></li>\n'
        )


def _in_words(sentence: str, account: Account, link: Payload, session: Payload | None) -> str:
    asked = total(account.line_items[link["id"]])
    paid = session["amount_total"] if session else 0
    return sentence.format(total=in_words(asked, link["currency"]), paid=in_words(paid, link["currency"]))
