"""Penalties: what it costs to move parameters that mattered. One file is one penalty, found by its name.

A file has a class `Penalty(params, strength)`, which is a `Quadratic` that knows how to measure importance. Its scope
is the parameters handed in. It works with any `torch.nn.Module`, see docs/howto/penalty.md.
"""

from __future__ import annotations

import importlib
import pkgutil

from edgecl.errors import ConsolidationRefused
from edgecl.workstation.quadratic import Quadratic


def names() -> tuple[str, ...]:
    """The penalties in this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def penalty_of(name: str) -> type[Quadratic]:
    """The class `Penalty` of the penalty called `name`.

    Raises:
        ConsolidationRefused: there is no such penalty.
    """
    if name not in names():
        raise ConsolidationRefused(f"found penalty {name!r}, expected one of {', '.join(names())}; choose one of these")
    penalty: type[Quadratic] = importlib.import_module(f"edgecl.workstation.penalties.{name}").Penalty
    return penalty
