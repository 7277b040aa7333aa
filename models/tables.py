"""Lists every table for Tortoise: all models in the modules of this folder."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final

from tortoise.models import Model

import models


def _tables() -> Iterator[type[Model]]:
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        if module.name != __name__:
            own = vars(importlib.import_module(module.name)).values()
            yield from (
                each for each in own if isinstance(each, type) and issubclass(each, Model) and each is not Model
            )


__models__: Final = tuple(dict.fromkeys(_tables()))
