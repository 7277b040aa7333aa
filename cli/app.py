"""All commands. A refusal is printed in a sentence, with exit code 1."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import encryption, key, schema, serve, simulate, simulator, sums, sync, workspace
from errors import FluxrateError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from settings import Settings


def run(create_app: "Callable[[Settings], ASGIApp]") -> None:
    """Run the command line; `create_app` makes the application that `serve` serves."""
    try:
        _typer(create_app)()
    except FluxrateError as error:
        _fail(error.message)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # an operator needs no traceback; the place is for us
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "nowhere"
        _fail(f"Something unexpected went wrong at {where}: {type(error).__name__}: {error}")


def _typer(create_app: "Callable[[Settings], ASGIApp]") -> typer.Typer:
    app = typer.Typer(
        name="fluxrate",
        help="Invoices, Stripe Payment Links and payments over GraphQL, in real time.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": create_app},
    )
    app.command("serve")(serve.serve)
    app.command("migrate")(serve.migrate)
    app.command("sync")(sync.sync)
    app.command("sums")(sums.sums)
    app.command("generate-key")(encryption.generate_key)
    app.command("rotate-encryption-key")(encryption.rotate_encryption_key)
    app.command("simulator")(simulator.simulator)
    app.command("simulate")(simulate.simulate)
    app.command("schema")(schema.print_schema)
    app.add_typer(workspace.app, name="workspace")
    app.add_typer(key.app, name="key")
    return app


def _fail(sentence: str) -> None:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(1)
