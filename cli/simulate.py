"""`fluxrate simulate`."""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.output import AsJson, operated, print_json
from errors import ConfigurationError, FluxrateError, InvalidInputError, NotFoundError
from settings import PREFIX, Settings

if TYPE_CHECKING:
    import httpx

DEFAULT_URL: Final = "http://127.0.0.1:12111"
TIMEOUT_S: Final = 120.0


class Event(StrEnum):
    """What happens to an invoice at Stripe."""

    PAID = "paid"
    PAID_TWICE = "paid-twice"
    PAID_PARTLY = "paid-partly"
    DECLINED = "declined"
    DEBIT_PENDING = "debit-pending"
    DEBIT_SETTLED = "debit-settled"
    DEBIT_FAILED = "debit-failed"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute-won"
    DISPUTE_LOST = "dispute-lost"


ACTIONS: Final = {
    Event.PAID: "pay",
    Event.PAID_TWICE: "pay_twice",
    Event.PAID_PARTLY: "pay_partly",
    Event.DECLINED: "decline",
    Event.DEBIT_PENDING: "debit",
    Event.DEBIT_SETTLED: "settle",
    Event.DEBIT_FAILED: "fail",
    Event.REFUNDED: "refund",
    Event.DISPUTED: "dispute",
    Event.DISPUTE_WON: "win",
    Event.DISPUTE_LOST: "lose",
}
"""The simulator's name of each event."""


def simulate(
    event: Annotated[Event, typer.Argument(metavar="EVENT", help=f"What happens to it: {', '.join(Event)}.")],
    invoice: Annotated[str, typer.Option(help="Its id, inv_…, or its number.")],
    duplicate: Annotated[int, typer.Option(min=0, max=99, help="How many more times to post each webhook.")] = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Post the webhooks out of order.")] = False,
    delay: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="Post the webhooks this many seconds later.")
    ] = 0,
    tamper: Annotated[
        bool,
        typer.Option("--tamper", help="Sign the webhooks with a wrong secret; a post that is refused is not repeated."),
    ] = False,
    simulator: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Its URL; by default FLUXRATE_STRIPE_API_BASE, or {DEFAULT_URL}."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have the running simulator pay, refund or dispute an invoice, and send Stripe's webhooks."""
    url = (simulator or os.environ.get(f"{PREFIX}STRIPE_API_BASE", "").strip() or DEFAULT_URL).rstrip("/")
    asked: dict[str, Any] = {"action": ACTIONS[event], "invoice": invoice, "deliveries": 1 + duplicate}
    asked |= {"order": "shuffled"} if shuffle else {}
    asked |= {"delay_s": f"{delay:.3f}"} if delay else {}
    asked |= {"tampered": True} if tamper else {}
    steps = [_printed(step) for step in _act(url, asked)["steps"]]
    if as_json:
        print_json({"event": event.value, "invoice": invoice, "delayS": delay, "steps": steps})
    else:
        print(_in_words(event, invoice, delay, steps))


def _act(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Send the action to the simulator.

    Raises:
        FluxrateError: No simulator answers, it does not know the invoice, or the action is impossible.
    """
    import httpx

    try:
        answer = httpx.post(f"{url}/simulator/actions", json=asked, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.TransportError, httpx.InvalidURL):
        raise FluxrateError(
            f"No simulator answers at {url}. Start it with {_start(url)}, and Fluxrate with"
            f' FLUXRATE_STRIPE_API_BASE={url}; or try "fluxrate serve --demo", which prints its simulator\'s URL'
            " (--simulator URL)."
        ) from None
    stranger = FluxrateError(f"What answers at {url} is no simulator: name it by --simulator URL.")
    if answer.is_success:
        try:
            done: object = answer.json()
        except ValueError:
            raise stranger from None
        if not isinstance(done, dict) or "steps" not in done:
            raise stranger
        return done
    refusal = _refusal(answer)
    if refusal is None:
        raise stranger
    if answer.status_code == httpx.codes.NOT_FOUND and refusal.get("param") == "invoice":
        raise _why_unknown(asked["invoice"], url)
    raise InvalidInputError(f"That can't be simulated: {refusal['message']}")


def _start(url: str) -> str:
    port = url.rpartition(":")[2]
    return f'"fluxrate simulator --port {port}"' if port.isdecimal() else '"fluxrate simulator"'


def _refusal(answer: "httpx.Response") -> dict[str, Any] | None:
    """Return the simulator's error message; None if the answer is not a simulator's."""
    try:
        error = answer.json()["error"]
        return {"message": error["message"], "param": error.get("param")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _why_unknown(invoice: str, url: str) -> FluxrateError:
    """Say why the simulator at a URL has no link of an invoice, if the database knows."""
    from resolvers import operator

    try:
        settings = Settings.from_env(sealing=False)
        reason = operated(lambda: operator.why_not_simulated(invoice), settings)
    except ConfigurationError:  # the simulator was asked; this machine may have no database
        reason = None
    return reason or NotFoundError(
        f"The simulator at {url} has no Payment Link of an invoice {invoice[:80]!r}: give the id, inv_…, or the number"
        " of a finalized invoice whose link was made there. The simulator forgets its links when it stops."
    )


def _printed(step: dict[str, Any]) -> dict[str, Any]:
    """Format a step for --json without URLs: a webhook URL is a secret."""
    return {
        "paymentLink": step["payment_link"],
        "checkoutSession": step["checkout_session"],
        "paymentIntent": step["payment_intent"],
        "webhooks": [
            {
                "id": webhook["id"],
                "type": webhook["type"],
                "answers": [delivery["status"] for delivery in webhook["deliveries"]],
            }
            for webhook in step["events"]
        ],
    }


def _in_words(event: Event, invoice: str, delay: float, steps: list[dict[str, Any]]) -> str:
    webhooks = [webhook for step in steps for webhook in step["webhooks"]]
    when = f", to be posted in {delay:g} s" if delay else ""
    count = "1 webhook" if len(webhooks) == 1 else f"{len(webhooks)} webhooks"
    lines = [f"Invoice {invoice}: {event.value}. {count}{when}:"]
    for webhook in webhooks:
        answers = ", ".join(_answer(status) for status in webhook["answers"])
        lines.append(f"  {webhook['type']:<42} {webhook['id']}  {answers or 'not posted yet'}")
    return "\n".join(lines)


def _answer(status: int | None) -> str:
    if status is None:
        return "no answer, it is tried again"
    return f"received ({status})" if 200 <= status < 300 else f"refused ({status})"
