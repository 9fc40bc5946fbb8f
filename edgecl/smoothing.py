"""Steady answers from a stream: recent frames of one camera vote, newer ones more."""

from __future__ import annotations

import math

import numpy as np

from edgecl.recognition import Scores


class Smoother:
    """Exponential smoothing of probabilities and unknown scores, for one camera.

    A frame's weight falls by 1/e every `time_constant_s`; what was seen before a gap of ten of these is gone. Classes
    are matched by id, so that a lesson in between does no harm.
    """

    def __init__(self, time_constant_s: float) -> None:
        """0 s gives every frame its own answer."""
        self.time_constant_s = time_constant_s
        self._last: Scores | None = None
        self._weight = 0.0
        self._monotonic = self._taken_at = 0.0

    def update(self, scores: Scores, monotonic: float, taken_at: float = 0.0) -> Scores:
        """Take in one frame's answer; return the smoothed one.

        Args:
            scores: of the frame.
            monotonic: s, when the frame was read.
            taken_at: s, when it was taken, where that is known. A recording is read faster than it was taken, and a
                clock may be set back: the longer of both times is right.
        """
        gap = max(monotonic - self._monotonic, taken_at - self._taken_at, 0.0)
        kept = self._weight * math.exp(-gap / self.time_constant_s) if self.time_constant_s > 0 else 0.0
        if self._last is not None and kept > 1e-4:
            scores = _blend(self._last, kept, scores)
        self._last, self._weight = scores, kept + 1.0
        self._monotonic, self._taken_at = monotonic, taken_at
        return scores

    def reset(self) -> None:
        """Forget what was seen, as after a lesson."""
        self._last = None


def _blend(before: Scores, weight: float, now: Scores) -> Scores:
    probabilities = now.probabilities.copy()
    _, rows, known = np.intersect1d(now.class_ids, before.class_ids, return_indices=True)
    probabilities[rows] += np.float32(weight) * before.probabilities[known]
    total = probabilities.sum()
    unknown = (now.unknown + weight * before.unknown) / (1.0 + weight)
    return Scores(now.class_ids, probabilities / total if total > 0 else probabilities, unknown)
