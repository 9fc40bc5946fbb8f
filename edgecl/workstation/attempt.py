"""One attempt at a better tail: trained, made into graphs, judged and decided on. Everything but files.

The device's own kind of head is fitted twice to the examples that are not held out, as embedded by the current tail and
by the trained one, and both are asked about what is held out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.heads import Fit
from edgecl.manifest import Precision, read_verified
from edgecl.types import LinearHead
from edgecl.workstation.acceptance import Bar, Judged, Verdict, decide
from edgecl.workstation.candidate import Candidate, embedded
from edgecl.workstation.consolidation import Keeper, Step, Trained, train
from edgecl.workstation.material import Material, held_out
from edgecl.workstation.parent import Parent
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.training import Plan

NOWHERE = "0" * 64  # digest of a tail that is in no release yet


@dataclass(frozen=True, eq=False)
class Attempt:
    """What came of it.

    Attributes:
        parent: the release that was trained further.
        trained: its tail now.
        candidate: the same as graphs.
        judged: views held out, answered before and after.
        verdict: whether it becomes a release.
        bar: what was asked for.
        seconds: that it took.
        precision: in which it was judged.
    """

    parent: Parent
    trained: Trained
    candidate: Candidate
    judged: Judged
    verdict: Verdict
    bar: Bar
    seconds: float
    precision: Precision

    def embed(self, material: Material) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) by the trained tail, as a device makes them."""
        return embedded(self.candidate.tails[self.precision], material, self.precision)

    def refitted(self, material: Material, fit: Fit) -> LinearHead:
        """The device's head, fitted to all of `material` as the trained tail embeds it."""
        return fit(material.view(self.embed(material), NOWHERE, self.candidate.spread))


def attempt(
    parent: Parent,
    material: Material,
    recipe: Recipe,
    plan: Plan,
    precision: Precision,
    fit: Fit,
    *,
    bar: Bar | None = None,
    device: str = "cpu",
    take_up: Keeper | None = None,
    keep: Keeper | None = None,
    step: Step | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Attempt:
    """Train the tail of `parent` further, and decide whether the result is better.

    Args:
        parent: the release.
        material: to learn from, part of which is held out.
        recipe: which penalty.
        plan: how to train.
        precision: in which devices of this memory run.
        fit: the head that they learn.
        bar: what is asked for; None for the usual.
        device: see `train`, as are take_up, keep and step.
        take_up: see `train`.
        keep: see `train`.
        step: see `train`.
        say: told of each part, in words.

    Raises:
        ConsolidationRefused: nothing can be held out, a loss or answer is not finite, or the penalty is too strong.
    """
    begun = time.monotonic()
    held, bar = held_out(material), bar or Bar()
    say("training")
    trained = train(parent, material, held, recipe, plan, device=device, take_up=take_up, keep=keep, step=step)
    say("making the graphs")
    candidate = Candidate.of(trained.tail, parent, material.select(~held))
    say("judging")
    judged = judge(parent, candidate, material, held, precision, fit)
    verdict = decide(judged, candidate.parity, candidate.latency, bar)
    return Attempt(parent, trained, candidate, judged, verdict, bar, time.monotonic() - begun, precision)


def judge(
    parent: Parent, candidate: Candidate, material: Material, held: NDArray[np.bool_], precision: Precision, fit: Fit
) -> Judged:
    """Ask a head of either tail about what was held out.

    Args:
        parent: the current release.
        candidate: of the trained tail.
        material: with its classes.
        held: bool (N,), what neither head has learned.
        precision: in which devices of this memory run.
        fit: the head that they learn.
    """
    current = read_verified(parent.folder, parent.manifest.graphs[precision].tail)
    before, after = (
        _answers(embedded(tail, material, precision), material, held, fit, spread)
        for tail, spread in ((current, parent.manifest.spread), (candidate.tails[precision], candidate.spread))
    )
    return Judged(tuple(material.names.values()), material.rows[held], before, after)


def _answers(
    vectors: NDArray[np.float32], material: Material, held: NDArray[np.bool_], fit: Fit, spread: float
) -> NDArray[np.int64]:
    """Class numbers (n,) that a head fitted to the examples not held out answers for those that are."""
    view = material.view(vectors, NOWHERE, spread)
    head = fit(view.without(held))
    best = head.class_ids[head.logits(vectors[held]).argmax(axis=1)]
    result: NDArray[np.int64] = np.searchsorted(np.array(list(material.names), np.int64), best)
    return result
