"""L-BFGS for the heads: minimising a smooth convex function of one float32 matrix.

Nocedal and Wright, Numerical Optimization (2nd ed.), algorithms 7.4 and 7.5, with step halving in place of a full
Wolfe search: on these objectives the unit step is accepted nearly always. SciPy has the same method but would add a
hundred megabytes to a device for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
CURVATURE_PAIRS = 8
SUFFICIENT_DECREASE = 1e-4
SHORTEST_STEP = 1e-8


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    Attributes:
        point: float32 (n,).
        value: of the function there.
        evaluations: of the function.
    """

    point: Vector
    value: float
    evaluations: int


def minimise(
    function: Callable[[Vector], tuple[float, Vector]], start: Vector, tolerance: float, evaluations_max: int = 1000
) -> Minimum:
    """Go downhill from `start` until the gradient is shorter than `tolerance`, or no step helps any more.

    Args:
        function: point float32 (n,) → value and gradient float32 (n,).
        start: float32 (n,).
        tolerance: on the Euclidean norm of the gradient.
        evaluations_max: an upper bound on the work.
    """
    point = start
    value, gradient = function(point)
    evaluations = 1
    pairs: deque[tuple[Vector, Vector]] = deque(maxlen=CURVATURE_PAIRS)
    while np.linalg.norm(gradient) > tolerance and evaluations < evaluations_max:
        direction = -_inverse_hessian_times(gradient, pairs)
        slope = float(direction @ gradient)
        step = 1.0
        while True:
            reached = point + np.float32(step) * direction
            lower, slanted = function(reached)
            evaluations += 1
            if lower <= value + SUFFICIENT_DECREASE * step * slope or step < SHORTEST_STEP:
                break
            step /= 2
        if step < SHORTEST_STEP:  # rounding hides any further decrease
            break
        moved, bent = reached - point, slanted - gradient
        if float(moved @ bent) > 0.0:
            pairs.append((moved, bent))
        point, value, gradient = reached, lower, slanted
    return Minimum(point, value, evaluations)


def _inverse_hessian_times(gradient: Vector, pairs: deque[tuple[Vector, Vector]]) -> Vector:
    """Two-loop recursion, algorithm 7.4."""
    if not pairs:
        return gradient / np.float32(max(1.0, float(np.linalg.norm(gradient))))
    result = gradient.copy()
    weights = []
    for moved, bent in reversed(pairs):
        weight = (moved @ result) / (bent @ moved)
        result -= weight * bent
        weights.append(weight)
    moved, bent = pairs[-1]
    result *= (moved @ bent) / (bent @ bent)
    for (moved, bent), weight in zip(pairs, reversed(weights), strict=True):
        result += moved * (weight - (bent @ result) / (bent @ moved))
    return result
