"""`fluxrate sums`."""

from typing import Annotated

import typer

from cli.output import AsJson, operated, print_json


def sums(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Add all rows up again; writes wait meanwhile.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the stored sums, which totals and counts use, with the rows."""
    from models import sums as kept

    if rebuild:
        operated(kept.rebuild)
    found = operated(kept.mistakes)
    if as_json:
        print_json({"mistakes": [mistake._asdict() for mistake in found]})
    else:
        for mistake in found:
            print(f"{mistake.table} {' '.join(mistake.key)}: {mistake.kept} is kept, {mistake.counted} is counted")
        print(f"{len(found)} sums are wrong: add them up again with --rebuild." if found else "All sums are right.")
    if found:
        raise typer.Exit(1)
