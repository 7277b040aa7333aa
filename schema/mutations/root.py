"""Collects all mutations."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final

import strawberry

from schema import mutations


def _by_noun() -> Iterator[type]:
    """Find the class `NounMutations` of each module."""
    for module in pkgutil.iter_modules(mutations.__path__, f"{mutations.__name__}."):
        if module.name != __name__:
            own = vars(importlib.import_module(module.name))
            yield from (each for name, each in own.items() if name.endswith("Mutations"))


Mutation: Final = strawberry.type(
    type("Mutation", tuple(_by_noun()), {}),
    description=(
        "All changes. If Fluxrate refuses a change and the client can fix the cause, the result"
        " has a type that implements `Problem`."
    ),
)
