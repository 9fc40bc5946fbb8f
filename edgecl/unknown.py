"""When to say "I do not know", and how sure to be: open-set rejection and probability calibration.

Both are set after every lesson from the memory alone. Each class is cut into the two halves that differ most, a head
learns from one half of every class and answers for the other. Examples left out at random come from the same minute
as those that stay and would make every answer look right; a half unlike the one learned from is closer to tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgecl.heads import Fit
from edgecl.memory.view import MemoryView
from edgecl.types import LinearHead

# Chosen on training pictures of COIL-100 and the Grocery Store set: see docs/decisions/0003.
ACCEPTED_SHARE = 0.9  # of the left-out examples are less strange than the threshold
DISTANCE_SLACK = 3.5  # spreads by which a distance may exceed the usual one at hardly any price
THRESHOLD_MIN = 0.75  # spreads; a few left-out examples may lie closer together than what will be asked
DISTANCE_PRICE = 5.0  # per spread well beyond that
PRIOR_EXAMPLES = 20.0  # left-out examples that the prior on distances counts for
TEMPERATURE_ROWS = 5000
UNKNOWN = 0.5  # a picture with a higher unknown score is like nothing that was taught


@dataclass(frozen=True)
class Rejector:
    """Scores how little a picture is like what was taught.

    Far unknowns (nothing of the kind was taught) lie at a great distance from every class mean; near unknowns (alike,
    but another thing) are told by a low largest logit. The score is the logit's, and distance only ever adds to it.

    Attributes:
        prototypes: float32 (K, D), class means.
        logit_middle, logit_spread: of the largest logit, left-out examples.
        distance_middle, distance_spread: of the squared distance to the nearest class mean, likewise.
        threshold: from which sum on a picture is unknown.
    """

    prototypes: NDArray[np.float32]
    logit_middle: float
    logit_spread: float
    distance_middle: float
    distance_spread: float
    threshold: float

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """Squared lengths of the prototypes, float32 (K,)."""
        return _squared_lengths(self.prototypes)

    def scores(self, vectors: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (N, D) and their logits (N, K) → unknown score float32 (N,) in (0, 1), > 0.5 for unknown.

        Squashed by x / (1 + |x|), which keeps very strange pictures apart where a logistic curve rounds all to 1.
        """
        distances = nearest_distance(vectors, self.prototypes, self.lengths)
        excess = self.strangeness(logits.max(axis=1), distances) - np.float32(self.threshold)
        unknown: NDArray[np.float32] = np.float32(0.5) + np.float32(0.5) * excess / (1.0 + np.abs(excess))
        return unknown

    def strangeness(self, largest: NDArray[np.float32], distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Largest logits (N,) and squared distances to the nearest prototype (N,) → float32 (N,), in spreads."""
        doubtful = (np.float32(self.logit_middle) - largest) / np.float32(self.logit_spread)
        far = (distances - np.float32(self.distance_middle)) / np.float32(self.distance_spread)
        result: NDArray[np.float32] = doubtful + DISTANCE_PRICE * np.logaddexp(0.0, far - DISTANCE_SLACK)
        return result


@dataclass(frozen=True)
class HeldOut:
    """How well each class is known, by its left-out half.

    Attributes:
        class_ids: int64 (K,).
        accuracy: float64 (K,) in [0, 1]; NaN for a class with a single example.
    """

    class_ids: NDArray[np.int64]
    accuracy: NDArray[np.float64]

    def of(self, class_id: int) -> float | None:
        """Accuracy of one class, None where it is not known."""
        found = self.accuracy[self.class_ids == class_id]
        return float(found[0]) if len(found) and np.isfinite(found[0]) else None

    def mean_of_others(self, class_id: int) -> float | None:
        """Mean accuracy of all classes but one, None where none is known."""
        others = self.accuracy[(self.class_ids != class_id) & np.isfinite(self.accuracy)]
        return float(others.mean()) if len(others) else None


def mean_accuracy(held_out: HeldOut, class_ids: Collection[int]) -> float | None:
    """Mean over those of the classes whose accuracy is known, None where it is of none."""
    found = [value for value in map(held_out.of, class_ids) if value is not None]
    return float(np.mean(found)) if found else None


def nearest_distance(
    vectors: NDArray[np.float32], prototypes: NDArray[np.float32], lengths: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Squared Euclidean distance of each vector (N, D) to the nearest of the prototypes (K, D), float32 (N,).

    `lengths` are the squared lengths of the prototypes, (K,), where they are at hand.
    """
    lengths = _squared_lengths(prototypes) if lengths is None else lengths
    nearest: NDArray[np.float32] = (lengths - 2.0 * (vectors @ prototypes.T)).min(axis=1)
    return _squared_lengths(vectors) + nearest


def _squared_lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.einsum("ij,ij->i", vectors, vectors)
    return lengths


def unlike_halves(view: MemoryView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks, bool (N,): the halves of every class, cut across the direction in which the class varies most.

    A class with a single example is in neither.
    """
    first, second = np.zeros(len(view), bool), np.zeros(len(view), bool)
    for class_id in view.stats.class_ids:
        rows = np.flatnonzero(view.class_ids == class_id)
        if len(rows) < 2:
            continue
        centred = view.vectors[rows] - view.vectors[rows].mean(axis=0)
        _, directions = np.linalg.eigh((centred @ centred.T).astype(np.float64))  # (n, n): n is small, D is not
        along = directions[:, -1]
        along = along * np.sign(along[np.argmax(np.abs(along))])  # an eigenvector's sign is arbitrary
        order = rows[np.argsort(along, kind="stable")]
        first[order[: len(order) // 2]] = True
        second[order[len(order) // 2 :]] = True
    return first, second


def calibrate(view: MemoryView, head: LinearHead, fit: Fit) -> tuple[LinearHead, Rejector, HeldOut]:
    """Give `head` its temperature, and say what is unknown and how well each class is known.

    Args:
        view: what `head` was fitted to, at least one example.
        head: of all classes of the view.
        fit: the function that made it.
    """
    answers = _answers_for_left_out(view, fit)
    prototypes = view.stats.means().astype(np.float32)
    held_out = HeldOut(head.class_ids, answers.accuracy(head.class_ids))
    if not len(answers.rows):
        temperature, middle, spread = 1.0, 0.0, 1.0
    else:
        temperature = _temperature(answers.logits, answers.rows)
        largest = answers.logits.max(axis=1)
        middle, spread = float(np.median(largest)), max(float(largest.std()), 1e-6)
    usual, scatter = _usual_distance(answers.distances, view)
    rejector = Rejector(prototypes, middle, spread, usual, scatter, THRESHOLD_MIN)
    if len(answers.rows):
        strangeness = rejector.strangeness(answers.logits.max(axis=1), answers.distances)
        threshold = max(float(np.quantile(strangeness, ACCEPTED_SHARE)), THRESHOLD_MIN)
        rejector = replace(rejector, threshold=threshold)
    calibrated = LinearHead(head.weight, head.bias, head.class_ids, head.tail, head.revision, head.name, temperature)
    return calibrated, rejector, held_out


@dataclass(frozen=True)
class _Answers:
    """logits (n, K), class rows (n,) and distances to the nearest class mean (n,) of left-out examples."""

    logits: NDArray[np.float32]
    rows: NDArray[np.int64]
    distances: NDArray[np.float32]

    def accuracy(self, class_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        right = self.logits.argmax(axis=1) == self.rows if len(self.rows) else np.zeros(0, bool)
        asked = np.bincount(self.rows, minlength=len(class_ids))
        answered = np.bincount(self.rows[right], minlength=len(class_ids))
        return np.where(asked > 0, answered / np.maximum(asked, 1), np.nan)


def _answers_for_left_out(view: MemoryView, fit: Fit) -> _Answers:
    parts = [_answers_for(view, left_out, fit) for left_out in unlike_halves(view) if left_out.any()]
    if not parts:
        return _Answers(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    return _Answers(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


def _answers_for(view: MemoryView, left_out: NDArray[np.bool_], fit: Fit) -> _Answers:
    head, prototypes = _learn(view.without(left_out), fit)
    vectors = view.vectors[left_out]
    rows = np.searchsorted(view.stats.class_ids, view.class_ids[left_out])
    return _Answers(head.logits(vectors), rows, nearest_distance(vectors, prototypes))


def _learn(view: MemoryView, fit: Fit) -> tuple[LinearHead, NDArray[np.float32]]:
    """A head and the class means, float32 (K, D); the view, the largest thing here, is gone on return."""
    means = [view.vectors[view.class_ids == class_id].mean(axis=0) for class_id in np.unique(view.class_ids)]
    return fit(view), np.stack(means)


def _usual_distance(distances: NDArray[np.float32], view: MemoryView) -> tuple[float, float]:
    """Middle and spread of the distances, with a prior for a memory too small to show them.

    A view lies `spread` from the mean of its class, and the mean of n views another `spread`/n from the true one. What
    was taught in a few seconds varies less than the thing will, so the spread never falls below half of that.
    """
    expected = view.spread * (1.0 + float((1.0 / view.stats.count).mean()))
    if not len(distances):
        return expected, expected / 2.0
    weight = len(distances) / (len(distances) + PRIOR_EXAMPLES)
    middle = weight * float(np.median(distances)) + (1.0 - weight) * expected
    return middle, max(float(distances.std()), expected / 2.0)


def _temperature(logits: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
    """Temperature scaling (Guo et al., 2017): minimise the left-out examples' mean negative log-likelihood.

    A weak prior (two examples' worth) on the logarithm keeps it near 1 where there is little evidence.
    """
    step = -(-len(rows) // TEMPERATURE_ROWS)
    logits, rows = logits[::step].astype(np.float64), rows[::step]
    logits = logits - logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(rows)), rows]

    def loss(log_scale: float) -> float:
        scale = np.exp(log_scale)
        likelihood = scale * own - np.log(np.exp(scale * logits).sum(axis=1))
        return float(-likelihood.sum() + 2.0 * log_scale**2)

    return float(np.exp(-_golden_section(loss, -8.0, 8.0)))


def _golden_section(function: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a unimodal function to 1 part in 1000."""
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-3:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
