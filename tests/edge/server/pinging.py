"""The command line of a product that pings twice a second: `python -m tests.edge.server.pinging serve …`."""

from functools import partial

from edge.server import listen
from main import cli

if __name__ == "__main__":
    listen.run = partial(listen.run, ping_s=0.5)
    cli()
