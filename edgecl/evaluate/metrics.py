"""Measures of continual learning, calibration and open-set recognition, under their usual names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def average_accuracy(accuracy: NDArray[np.float64], known: Sequence[int] | None = None) -> float:
    """Average incremental accuracy: mean over lessons of the mean accuracy over the classes taught so far.

    Args:
        accuracy: (lessons, classes) in order of teaching; a_ij of class j after lesson i.
        known: classes taught up to each lesson; None for one class a lesson.
    """
    known = known or range(1, len(accuracy) + 1)
    return float(np.mean([row[:count].mean() for row, count in zip(accuracy, known, strict=True)]))


def forgetting(accuracy: NDArray[np.float64], known: Sequence[int] | None = None) -> float:
    """Mean over all lessons but the last of max over earlier lessons of a_k − a_k at the end (Chaudhry et al., 2018).

    Args:
        accuracy: (lessons, classes) in order of teaching; a_ij of class j after lesson i.
        known: classes taught up to each lesson; None for one class a lesson. a_k is the mean over the lesson's classes.
    """
    lessons = len(accuracy)
    if lessons < 2:
        return 0.0
    ends = known or range(1, lessons + 1)
    by_lesson = np.stack([part.mean(axis=1) for part in np.split(accuracy, ends[:-1], axis=1)], axis=1)
    return float(np.mean([by_lesson[k : lessons - 1, k].max() - by_lesson[-1, k] for k in range(lessons - 1)]))


def auroc(known: NDArray[np.float64], unknown: NDArray[np.float64]) -> float:
    """Chance that an unknown scores above a known one, ties counting half: the area under the ROC curve.

    Args:
        known: scores (n,), higher meaning more unknown.
        unknown: scores (m,).
    """
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, side="left")
    not_above = np.searchsorted(ordered, unknown, side="right")
    return float((below + not_above).mean() / (2 * len(known)))


def fpr_at_95_tpr(known: NDArray[np.float64], unknown: NDArray[np.float64]) -> float:
    """Share of the unknown that passes for known at the threshold which lets 95 % of the known pass."""
    threshold = np.quantile(known, 0.95, method="higher")
    return float((unknown <= threshold).mean())


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """ECE (Guo et al., 2017): mean gap between confidence and accuracy over equal-width bins, weighted by their size.

    Args:
        confidence: (n,) in [0, 1].
        right: (n,) whether the answer was right.
        bins: their number.
    """
    if not len(confidence):
        return 0.0
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    size = np.bincount(place, minlength=bins)
    gap = np.bincount(place, confidence, bins) - np.bincount(place, right.astype(float), bins)
    return float(np.abs(gap).sum() / size.sum())
