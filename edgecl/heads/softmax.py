"""The default head: cross-entropy over the memory, in whitened coordinates.

Minimises Σ_i w_i CE(W x_i + b, y_i) + λ/2 ‖W‖², every class weighing alike. The loss is strictly convex in W, so there
is one optimum whatever the order of the lessons: forgetting by order is impossible by construction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecl.lbfgs import minimise
from edgecl.memory.view import MemoryView
from edgecl.types import LinearHead
from edgecl.whitening import Whitening, shrunk_covariance

# Chosen on training photographs alone: learn from one half of a class's views, be tested on the half unlike it.
SHRINKAGE = 0.3
PENALTY = 1e-3
TOLERANCE = 1e-5  # from here on the answers of two searches differ on one photograph in 2,500
ROWS_AT_A_TIME = 2048  # bounds the (rows, K) temporaries and keeps them in the processor's cache


def fit(view: MemoryView) -> LinearHead:
    """The minimiser over the examples of `view`.

    The search always starts from zero. Where classes lie far apart the loss is so flat that an earlier head, though
    nearer, would be left where it is, and what the device answers would depend on how it came to know it.
    """
    stats = view.stats
    class_ids = stats.class_ids
    space = Whitening.of(shrunk_covariance(stats, view.spread, SHRINKAGE), stats.means().mean(axis=0))
    del stats  # a second moment of 13 MB, not needed while the search goes on
    loss = CrossEntropy(space.apply(view.vectors), np.searchsorted(class_ids, view.class_ids), len(class_ids))
    best = minimise(loss, loss.zero(), TOLERANCE).point
    weight, bias = space.fold(*loss.split(best))
    return LinearHead(weight, bias, class_ids, view.tail, view.revision, "softmax")


class CrossEntropy:
    """The loss and its gradient at a point float32 (K·D + K,): W row by row, then b."""

    def __init__(self, coordinates: NDArray[np.float32], rows: NDArray[np.int64], classes: int) -> None:
        """Take examples x float32 (N, D) with their class rows int64 (N,), each in 0 … `classes` − 1."""
        self.coordinates = coordinates
        self.rows = rows
        self.classes = classes
        self.shares = (1.0 / (classes * np.bincount(rows, minlength=classes)[rows])).astype(np.float32)

    def zero(self) -> NDArray[np.float32]:
        """The point at which all classes are equally probable everywhere."""
        return np.zeros(self.classes * (self.coordinates.shape[1] + 1), np.float32)

    def split(self, point: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Point → W (K, D), b (K,)."""
        return point[: -self.classes].reshape(self.classes, -1), point[-self.classes :]

    def __call__(self, point: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Value and gradient."""
        weight, bias = self.split(point)
        value = PENALTY / 2 * float((weight * weight).sum(dtype=np.float64))
        slope_weight, slope_bias = np.float32(PENALTY) * weight, np.zeros_like(bias)
        for start in range(0, len(self.rows), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            x, rows, shares = self.coordinates[part], self.rows[part], self.shares[part]
            scores = x @ weight.T
            scores += bias
            scores -= scores.max(axis=1, keepdims=True)
            own = scores[np.arange(len(rows)), rows]
            np.exp(scores, out=scores)
            totals = scores.sum(axis=1)
            value += float((shares * (np.log(totals) - own)).sum(dtype=np.float64))
            scores *= (shares / totals)[:, None]  # now the weighted probabilities, and soon the residuals
            scores[np.arange(len(rows)), rows] -= shares
            slope_weight += scores.T @ x
            slope_bias += scores.sum(axis=0)
        return value, np.concatenate([slope_weight.ravel(), slope_bias])
