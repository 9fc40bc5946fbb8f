"""Published strategies of continual learning, for comparison. One file is one strategy, found by its name.

A file has a class `Strategy(tail, classes, settings, seed)`, which is an `Incremental`: it learns lessons that it will
not see again, and gives logits at any time.
"""

from __future__ import annotations

import importlib
import pkgutil

from edgecl.errors import ConfigRefused
from edgecl.workstation.incremental import Incremental


def names() -> tuple[str, ...]:
    """The strategies in this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def strategy_of(name: str) -> type[Incremental]:
    """The class `Strategy` of the strategy called `name`.

    Raises:
        ConfigRefused: there is no such strategy.
    """
    if name not in names():
        raise ConfigRefused(f"found strategy {name!r}, expected one of {', '.join(names())}; choose one of these")
    strategy: type[Incremental] = importlib.import_module(f"edgecl.workstation.strategies.{name}").Strategy
    return strategy
