"""Memory views of made-up classes: Gaussian clusters on the unit sphere."""

from __future__ import annotations

import numpy as np

from edgecl.memory.view import MemoryView

TAIL = "a" * 64
SPREAD = 0.2


def clusters(
    classes: int, per_class: int, dimension: int = 24, seed: int = 0, spread: float = SPREAD
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors float32 (N, D) about `classes` random directions, and class ids 10, 20, 30, …"""
    rng = np.random.default_rng(seed)
    means = rng.gamma(0.5, 1.0, (classes, dimension))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    rows = np.repeat(np.arange(classes), per_class)
    vectors = means[rows] + rng.normal(0.0, np.sqrt(spread / dimension), (len(rows), dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), 10 * (rows + 1)


def view_of(vectors: np.ndarray, class_ids: np.ndarray, revision: int = 1) -> MemoryView:
    """The rows as a view, numbered from 1."""
    names = {int(c): f"class {c}" for c in np.unique(class_ids)}
    ids = np.arange(1, len(vectors) + 1)
    return MemoryView(vectors, np.asarray(class_ids, np.int64), ids, ids, names, TAIL, revision, SPREAD)


def shuffled(view: MemoryView, seed: int) -> MemoryView:
    """The same examples, taught in another order."""
    order = np.random.default_rng(seed).permutation(len(view))
    return view_of(view.vectors[order], view.class_ids[order])
