"""`fluxrate schema`."""

from cli.output import AsJson, print_json


def print_schema(as_json: AsJson = False) -> None:
    """Print the GraphQL schema."""
    from execution.schema import schema

    sdl = schema.as_str()
    if as_json:
        print_json({"schema": sdl})
    else:
        print(sdl)
