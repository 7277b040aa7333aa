"""The page where a customer pays a link, with a button for each action."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from simulator.account import Account
from simulator.action import ACTIONS, TO_CLOSE_DISPUTE, TO_DISPUTE, TO_PAY, TO_REFUND, TO_SETTLE, Action
from simulator.checkout_session import is_open
from simulator.customer import record_step
from simulator.dispute import disputable_session, disputed_session
from simulator.errors import Payload, StripeError
from simulator.form import read_params
from simulator.line_item import total
from simulator.money import in_words
from simulator.page import html_page, status_line
from simulator.parameters import fields, one_of, text
from simulator.payment import awaited_session, visit
from simulator.refund import refundable_session
from simulator.world import World

PRESSED: Final = fields({"action": one_of(*ACTIONS), "checkout_session": text()}, required=("action",))
REPORTED: Final = " Webhooks report it."


async def show_page(world: World, request: Request) -> Response:
    """Show what the link sells, and a button for each possible action; opening the page opens a session."""
    account, link = world.payment_link(request.path_params["link"])
    asked = request.query_params
    before = account.checkout_sessions.get(asked.get("checkout_session", ""))
    action = ACTIONS.get(asked.get("done", ""))
    if action is None or before is None or before["payment_link"] != link["id"]:
        return _page(account, link, before=None, said="")
    return _page(account, link, before, said=_in_words(action.done, account, link, before) + REPORTED)


async def press_button(world: World, request: Request) -> Response:
    """Carry out a button's action, and show the page again after each event was posted once."""
    account, link = world.payment_link(request.path_params["link"])
    pressed = PRESSED(await read_params(request, json_allowed=False), "")
    try:
        payments = ACTIONS[pressed["action"]].perform(account, link, pressed.get("checkout_session"))
    except StripeError as error:
        return _page(account, link, before=None, said=str(error), status=error.status)
    for payment in payments:
        await record_step(world, payment, {})
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
        _form("A dispute is open", TO_CLOSE_DISPUTE, disputed_session(account, link), account, link),
    ]
    items = account.line_items[link["id"]]
    lines = [
        f"{item['quantity']} × {item['description']}: {in_words(item['amount_total'], link['currency'])}"
        for item in items
    ]
    heading = _in_words("Pay {total}" if session else "Payment of {total}", account, link, None)
    content = (
        "".join(status_line(sentence) for sentence in dict.fromkeys((said, refused)) if sentence)
        + f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>\n"
        + "\n".join(forms)
        + '<p><a href="/faults">Let something go wrong</a>: webhooks that come twice, late or out of order,'
        " or an outage.</p>"
    )
    return html_page(heading, content, 409 if refused and not said else status)


def _form(heading: str, actions: Mapping[str, Action], session: Payload | None, account: Account, link: Payload) -> str:
    """Write the buttons of the actions that a session allows; nothing if it allows none."""
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
