"""Heads: how class scores are learned from the memory. One file is one head, found by its name.

A head is a function `fit(view)` that returns a LinearHead for the classes of the view: a function of the memory, and of
nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from edgecl.errors import ConfigRefused
from edgecl.memory.view import MemoryView
from edgecl.types import LinearHead

Fit = Callable[[MemoryView], LinearHead]


def names() -> tuple[str, ...]:
    """The heads in this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def fit_of(name: str) -> Fit:
    """The `fit` of the head called `name`.

    Raises:
        ConfigRefused: there is no such head.
    """
    if name not in names():
        raise ConfigRefused(f"found head {name!r}, expected one of {', '.join(names())}; choose one of these")
    fit: Fit = importlib.import_module(f"edgecl.heads.{name}").fit
    return fit
