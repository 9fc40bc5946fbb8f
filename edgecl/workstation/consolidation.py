"""From a release and a memory to a trained tail: a recipe, carried out. The head it was trained with is thrown away."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecl.errors import ConsolidationRefused
from edgecl.workstation.audit import LayerAudit, audit
from edgecl.workstation.material import Material
from edgecl.workstation.nets import Tail
from edgecl.workstation.parent import IMPORTANCE, Parent
from edgecl.workstation.quadratic import Quadratic
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.training import Epoch, Plan, Training, new_head

AUDITED = 32  # examples, one batch: more would need as many times the memory
Keeper = Callable[[Training], None]
Step = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves behind.

    Attributes:
        tail: in evaluation mode, on the CPU.
        audit: where each layer's gradient came from after the last step.
        epochs: how it went.
        importances: what the penalty measured, as `PENALTY.importance.NAME`, for the next consolidation.
        strength: of the penalty, None without one.
        seconds: spent on the training, without judging.
    """

    tail: Tail
    audit: list[LayerAudit]
    epochs: list[Epoch]
    importances: dict[str, Tensor]
    strength: float | None
    seconds: float


def train(
    parent: Parent,
    material: Material,
    held: NDArray[np.bool_],
    recipe: Recipe,
    plan: Plan,
    *,
    device: str = "cpu",
    take_up: Keeper | None = None,
    keep: Keeper | None = None,
    step: Step | None = None,
) -> Trained:
    """Train a copy of the parent's tail.

    Args:
        parent: whose tail, and whose importances for the penalty.
        material: to learn from.
        held: bool (N,), examples that are not trained on.
        recipe: which penalty.
        plan: how.
        device: 'cpu' or 'cuda'.
        take_up: given a training that has not begun, brings it to where an earlier one stood.
        keep: called after every epoch.
        step: called with steps done and steps in all.

    Raises:
        ConsolidationRefused: the loss is not finite, or the penalty too strong for the rate.
    """
    begun = time.monotonic()
    # Convolutions of one pixel, which most of them are, take two thirds of the time where channels lie side by side.
    tail = copy.deepcopy(parent.tail).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = new_head(parent.manifest.dimension, len(material.names), bias=not recipe.like_cwr).to(device)
    penalty = recipe.penalty_on(dict(tail.named_parameters()))
    if penalty is not None and recipe.penalty is not None:
        penalty.load(parent.importances_of(recipe.penalty))
        if not penalty.guards:
            penalty.strength = recipe.first_strength
        penalty.check_step(plan.rate)
    training = Training(tail, head, material, held, penalty, plan)
    if take_up is not None:
        take_up(training)
    else:
        training.begin()
    for _ in training.epochs(step) if recipe.trains else ():
        if keep is not None:
            keep(training)
    found = audit(training.sample_loss(AUDITED), penalty, tail, head)
    if recipe.trains:
        training.end()
    tail = tail.cpu().to(memory_format=torch.contiguous_format).eval()
    strength = None if penalty is None else penalty.strength
    return Trained(tail, found, training.done, _importances(penalty, recipe), strength, time.monotonic() - begun)


def _importances(penalty: Quadratic | None, recipe: Recipe) -> dict[str, Tensor]:
    state = {} if penalty is None else penalty.state()
    kind = "importance."
    return {
        f"{recipe.penalty}{IMPORTANCE}{name.removeprefix(kind)}": value.cpu().contiguous()
        for name, value in state.items()
        if name.startswith(kind)
    }


def choose_device(asked: str) -> str:
    """'cuda' where it is asked for or, with 'auto', where there is one; else 'cpu'.

    Raises:
        ConsolidationRefused: it is asked for, and there is none.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ConsolidationRefused(
            f"found no CUDA device for PyTorch {torch.__version__}, expected one; use --device cpu, or install a "
            "PyTorch that was built for it"
        )
    return "cuda" if there and asked != "cpu" else "cpu"
