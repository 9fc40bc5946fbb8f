"""One attempt at a better tail: trained, made into graphs, judged and decided on. Everything but files.

The device's own kind of head is fitted twice to the examples that are not held out, as embedded by the current tail and
by the trained one, and both are asked about what is held out. Where the trained one is refused, less of the way is
tried: weights between those of before and those trained (Wortsman et al., 2022, arXiv 2109.01903).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from edgecl.heads import Fit
from edgecl.manifest import Precision, read_verified
from edgecl.workstation.acceptance import Bar, Judged, Verdict, decide
from edgecl.workstation.candidate import Candidate, embedded
from edgecl.workstation.consolidation import Keeper, Step, Trained, train
from edgecl.workstation.material import Exposure, Material, held_out
from edgecl.workstation.nets import Tail
from edgecl.workstation.parent import Parent
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.training import Plan

NOWHERE = "0" * 64  # digest of a tail that is in no release yet
SHARES = (1.0, 0.75, 0.5, 0.25)  # of the way that was trained, tried in turn until one is accepted


@dataclass(frozen=True, eq=False)
class Tried:
    """One candidate, judged.

    Attributes:
        share: of the way from the parent's weights to the trained ones.
        candidate: the tail there, as graphs.
        judged: views held out, answered before and after.
        verdict: whether it becomes a release.
    """

    share: float
    candidate: Candidate
    judged: Judged
    verdict: Verdict

    def answers(self, material: Material, asked: Material, precision: Precision, fit: Fit) -> NDArray[np.int64]:
        """Class ids (n,) that the device's head, fitted to all of `material`, gives for `asked`."""
        tail = self.candidate.tails[precision]
        head = fit(material.view(embedded(tail, material, precision), NOWHERE, self.candidate.spread))
        result: NDArray[np.int64] = head.class_ids[head.logits(embedded(tail, asked, precision)).argmax(axis=1)]
        return result


@dataclass(frozen=True, eq=False)
class Attempt:
    """What came of it.

    Attributes:
        parent: the release that was trained further.
        trained: its tail now.
        tried: candidates in the order in which they were judged, the first of the whole way; all but the last were
            refused.
        bar: what was asked for.
        exposure: which latents were trained on and held out, now and before.
        seconds: that it took.
        precision: in which it was judged.
    """

    parent: Parent
    trained: Trained
    tried: tuple[Tried, ...]
    bar: Bar
    exposure: Exposure
    seconds: float
    precision: Precision

    @property
    def chosen(self) -> Tried:
        """The one that was accepted; if none was, the whole way."""
        return self.tried[-1] if self.tried[-1].verdict.accepted else self.tried[0]


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
    held, bar = held_out(material, parent.exposure), bar or Bar()
    say("training")
    trained = train(parent, material, held, recipe, plan, device=device, take_up=take_up, keep=keep, step=step)
    current = read_verified(parent.folder, parent.manifest.graphs[precision].tail)
    before = _answers(embedded(current, material, precision), material, held, fit, parent.manifest.spread)
    tried: list[Tried] = []
    for share in SHARES if recipe.trains else SHARES[:1]:
        say(f"making the graphs of {100 * share:.0f} % of the way")
        candidate = Candidate.of(_between(parent.tail, trained.tail, share), parent, material.select(~held))
        say("judging")
        vectors = embedded(candidate.tails[precision], material, precision)
        after = _answers(vectors, material, held, fit, candidate.spread)
        judged = Judged(tuple(material.names.values()), material.rows[held], before, after, bar.unchanged_views)
        tried.append(Tried(share, candidate, judged, decide(judged, candidate.parity, candidate.latency, bar)))
        if tried[-1].verdict.accepted:
            break
    exposure = parent.exposure.after(material, held)
    return Attempt(parent, trained, tuple(tried), bar, exposure, time.monotonic() - begun, precision)


def _between(before: Tail, after: Tail, share: float) -> Tail:
    """`share` of the way from the weights of the one to those of the other; exactly `after` for 1."""
    if share == 1.0:
        return after
    tail, there = copy.deepcopy(after), before.state_dict()
    with torch.no_grad():
        for name, value in tail.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(there[name], value, share))
    return tail


def _answers(
    vectors: NDArray[np.float32], material: Material, held: NDArray[np.bool_], fit: Fit, spread: float
) -> NDArray[np.int64]:
    """Class numbers (n,) that a head fitted to the examples not held out answers for those that are."""
    view = material.view(vectors, NOWHERE, spread)
    head = fit(view.without(held))
    best = head.class_ids[head.logits(vectors[held]).argmax(axis=1)]
    result: NDArray[np.int64] = np.searchsorted(np.array(list(material.names), np.int64), best)
    return result
