"""`fluxrate simulator`."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import AsJson, print_json
from errors import InvalidInputError

if TYPE_CHECKING:
    import uvicorn

THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def simulator(
    host: Annotated[str, typer.Option(help="An address of this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")] = 12111,
    as_json: AsJson = False,
) -> None:
    """Serve a stand-in for Stripe, to try the product without an account."""
    from edge.server import listen

    if host not in THIS_MACHINE:
        raise InvalidInputError("The simulator knows no passwords: serve it on 127.0.0.1, ::1 or localhost only.")
    bound = listen.bind(host, port)
    url = listen.url_of(bound)
    if as_json:
        print_json({"url": url})
    else:
        print(f"The simulator serves on {url}: start Fluxrate with FLUXRATE_STRIPE_API_BASE={url}", flush=True)
    new_server().run(sockets=[bound])


def new_server() -> "uvicorn.Server":
    """Make a simulator that is not served yet."""
    import uvicorn

    from simulator.app import create_app as create_simulator

    return uvicorn.Server(
        uvicorn.Config(create_simulator(), lifespan="on", log_level="warning", timeout_graceful_shutdown=1)
    )
