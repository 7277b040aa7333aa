"""Carries out an action by its name, for callers who know the invoice but not its Payment Link."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.account import Account
from simulator.action import ACTIONS
from simulator.customer import STEP_FIELDS, describe_step, record_step
from simulator.errors import Payload, StripeError
from simulator.form import read_params
from simulator.parameters import fields, one_of, text
from simulator.payment import Payment
from simulator.world import World

_OPTIONS = {name: STEP_FIELDS[name] for name in ("delay_s", "deliveries", "order", "tampered")}
ACT = fields({**_OPTIONS, "action": one_of(*ACTIONS), "invoice": text()}, required=("action", "invoice"))


async def act_on_invoice(world: World, request: Request) -> Response:
    """Do what a button of an invoice's Payment Link does, and answer when each event was posted once."""
    options = ACT(await read_params(request, json_allowed=True), "")
    payments = _perform(world.links_of_invoice(options["invoice"]), options["action"])
    steps = [describe_step(payment, await record_step(world, payment, options)) for payment in payments]
    return JSONResponse({"invoice": options["invoice"], "steps": steps})


def _perform(links: list[tuple[Account, Payload]], action: str) -> list[Payment]:
    """Perform the action on the newest link that allows it.

    Raises:
        StripeError: No link allows it; the error is the newest link's.
    """
    refusals = []
    for account, link in links:
        try:
            return ACTIONS[action].perform(account, link, None)
        except StripeError as error:
            refusals.append(error)
    raise refusals[0]
