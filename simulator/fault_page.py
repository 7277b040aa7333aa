"""The page that makes things fail for a while: disturbed webhooks, an outage, a rolled webhook secret."""

from html import escape
from typing import Final

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from simulator.delivery import Posting
from simulator.disturbance import MAX_DELAY_S, MAX_DURATION_S, MAX_STEPS, MAX_TIMES
from simulator.errors import StripeError
from simulator.form import read_params
from simulator.outage import MAX_DURATION_S as MAX_OUTAGE_S
from simulator.page import html_page, status_line
from simulator.parameters import Reader, fields, integer, one_of, seconds
from simulator.webhook_endpoint import MAX_OVERLAP_S
from simulator.world import World

HEADING: Final = "Let something go wrong"
DONE: Final = {
    "disturb": "The next webhooks are disturbed. Go and pay an invoice.",
    "outage": "The outage has begun.",
    "end": "Everything is as it should be again.",
}
UNDISTURBED: Final = "Choose what shall happen to the webhooks: more than one post, another order, or a delay."
NOBODY: Final = "There is no webhook endpoint yet: connect the simulator first."

_checked: Final = one_of("yes")
READERS: Final[dict[str, Reader]] = {
    "disturb": fields(
        {
            "action": one_of("disturb"),
            "delay_s": seconds(MAX_DELAY_S),
            "shuffled": _checked,
            "steps": integer(least=1, most=MAX_STEPS),
            "times": integer(least=1, most=MAX_TIMES),
        },
        required=("delay_s", "steps", "times"),
    ),
    "outage": fields(
        {"action": one_of("outage"), "seconds": seconds(MAX_OUTAGE_S)},
        required=("seconds",),
    ),
    "roll": fields({"action": one_of("roll"), "overlap": _checked}),
    "end": fields({"action": one_of("end")}),
}


async def show_page(world: World, request: Request) -> Response:
    """Show the current faults, and the forms."""
    return _page(world, DONE.get(request.query_params.get("done", ""), ""))


async def press_button(world: World, request: Request) -> Response:
    """Do what a form says; the new secrets of a roll are shown once, on the page that answers."""
    params = await read_params(request, json_allowed=False)
    try:
        action = one_of(*READERS)(params.get("action"), "action")
        given = READERS[action](params, "")
        if action == "roll":
            return _page(world, _roll(world, overlap="overlap" in given))
        if action == "disturb":
            _disturb(world, given["times"], given["delay_s"], given["steps"], shuffled="shuffled" in given)
        elif action == "outage":
            world.outage.begin(given["seconds"])
        else:
            world.disturbances.end()
            world.outage.end()
            world.faults.clear()
    except StripeError as error:
        return _page(world, str(error), error.status)
    return RedirectResponse(str(URL("/faults").include_query_params(done=action)), 303)


def _disturb(world: World, times: int, delay_s: float, steps: int, *, shuffled: bool) -> None:
    posting = Posting(times=times, delay_s=delay_s, is_shuffled=shuffled)
    if posting == Posting():
        raise StripeError(UNDISTURBED)
    world.disturbances.begin(posting, steps)


def _roll(world: World, *, overlap: bool) -> str:
    """Roll the secrets of all endpoints, and show the new ones."""
    endpoints = [endpoint for account in world.accounts.values() for endpoint in account.webhook_endpoints.values()]
    if not endpoints:
        raise StripeError(NOBODY, status=409)
    for endpoint in endpoints:
        endpoint.roll_secret(MAX_OVERLAP_S if overlap else 0.0)
    secrets = ", ".join(f"{endpoint.payload['id']}: {endpoint.secret}" for endpoint in endpoints)
    until_then = "the old one signs too for 24 hours" if overlap else "posts can't be verified until it is"
    return f"The webhook secret was rolled. Save the new one in Fluxrate: {until_then}. {secrets}"


def _page(world: World, said: str, status: int = 200) -> Response:
    content = (
        "<p>What a webhook receiver meets in its life, on purpose and for a while. Everything else goes on:"
        " payment pages can be paid meanwhile.</p>"
        + (status_line(said) if said else "")
        + f"<h2>Now</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in _now(world))}</ul>"
        + _FORMS
    )
    return html_page(HEADING, content, status)


def _now(world: World) -> list[str]:
    lines = []
    disturbance = world.disturbances.current
    if disturbance is not None:
        what = ", ".join(_in_words(disturbance.posting))
        lines.append(
            f"Webhooks are posted {what}: for {disturbance.steps_left} more"
            f" {'step' if disturbance.steps_left == 1 else 'steps'}, {disturbance.left_s:.0f} s at most."
        )
    if world.outage.left_s:
        lines.append(f"Stripe is out: its API answers 500, webhooks are held back, {world.outage.left_s:.0f} s more.")
    return lines or ["Nothing goes wrong."]


def _in_words(posting: Posting) -> list[str]:
    words = []
    if posting.times > 1:
        words.append(f"{posting.times} times each")
    if posting.is_shuffled:
        words.append("out of order")
    if posting.delay_s:
        words.append(f"{posting.delay_s:g} s late")
    return words


def _number(name: str, label: str, value: float, least: float, most: float) -> str:
    return (
        f'<li><label for="{name}">{label}</label>'
        f'<input type="number" id="{name}" name="{name}" value="{value:g}" min="{least:g}" max="{most:g}" required>'
        "</li>"
    )


def _checkbox(name: str, label: str) -> str:
    return f'<li><input type="checkbox" id="{name}" name="{name}" value="yes"><label for="{name}">{label}</label></li>'


def _form(action: str, heading: str, hint: str, inputs: str, button: str) -> str:
    return (
        f'<form method="post" action="/faults">\n<h2>{heading}</h2>\n<p>{hint}</p>\n'
        f'<ul class="actions">{inputs}<li><button name="action" value="{action}">{button}</button></li></ul>\n</form>\n'
    )


_FORMS: Final = (
    _form(
        "disturb",
        "Disturb the webhooks",
        f"Of the next steps that customers take, such as a payment; it ends after {MAX_DURATION_S / 60:g} minutes.",
        _number("times", "Post each event this many times", 2, 1, MAX_TIMES)
        + _number("delay_s", "Post it this many seconds late", 0, 0, MAX_DELAY_S)
        + _checkbox("shuffled", "Post the events of a step out of order")
        + _number("steps", "For this many steps", 3, 1, MAX_STEPS),
        "Disturb",
    )
    + _form(
        "outage",
        "Outage",
        "Stripe's API answers 500 to everything; webhooks are held back and posted when it is over.",
        _number("seconds", "Seconds", 20, 1, MAX_OUTAGE_S),
        "Begin an outage",
    )
    + _form(
        "roll",
        "Roll the webhook secret",
        "Webhooks are signed with a new secret, which is shown once.",
        _checkbox("overlap", "The old secret signs too, for 24 hours"),
        "Roll the secret",
    )
    + _form("end", "End", "What was begun here ends; a secret that was rolled stays.", "", "End all faults")
)
