"""Which examples to keep: those that together stand for all views seen, and no near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.memory.view import MemoryView


def representatives(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Indices of the `count` vectors that best cover all of them, in the order of their worth.

    Greedy maximisation of the facility location function Σ_i max_j∈kept z_i·z_j, within 1 − 1/e of the best set
    (Nemhauser, Wolsey and Fisher, 1978). Unlike farthest-first it does not collect outliers, unlike herding it keeps
    the rare view as well as the common one.

    Args:
        vectors: float32 (N, D), L2-normalised.
        count: how many; all if there are no more.
    """
    if len(vectors) <= count:
        return np.arange(len(vectors))
    similarity = vectors @ vectors.T
    covered = np.full(len(vectors), -1.0, np.float32)
    kept: list[int] = []
    for _ in range(count):
        gain = np.maximum(similarity - covered, 0.0).sum(axis=1)
        gain[kept] = -1.0
        best = int(gain.argmax())
        kept.append(best)
        covered = np.maximum(covered, similarity[best])
    return np.asarray(kept, np.int64)


def distinct(vectors: NDArray[np.float32], known: NDArray[np.float32], redundant_cosine: float) -> NDArray[np.int64]:
    """Indices of the vectors, in their order, that are no near-duplicate of a known or an earlier one.

    Args:
        vectors: float32 (N, D), L2-normalised.
        known: float32 (M, D), L2-normalised.
        redundant_cosine: from this similarity on, a view shows nothing new.
    """
    fresh: list[int] = []
    for index, vector in enumerate(vectors):
        seen_before = len(known) and float((known @ vector).max()) >= redundant_cosine
        if not seen_before and not (fresh and float((vectors[fresh] @ vector).max()) >= redundant_cosine):
            fresh.append(index)
    return np.asarray(fresh, np.int64)


@dataclass(frozen=True)
class Selection:
    """What a lesson changes in the memory.

    Attributes:
        kept: indices into the lesson's candidates, rising.
        displaced: ids of examples that make room.
    """

    kept: tuple[int, ...]
    displaced: tuple[int, ...]


def select(
    view: MemoryView,
    class_id: int | None,
    candidates: NDArray[np.float32],
    *,
    per_class: int,
    total: int,
    redundant_cosine: float,
) -> Selection:
    """Choose from a lesson's candidates, and whom they displace, so that both caps hold.

    Within the class, old and new examples compete on equal terms. Where the memory as a whole is full, the largest
    classes give way first, so that every class keeps its fair share.

    Args:
        view: the memory before the lesson.
        class_id: the lesson's class, None for a new one.
        candidates: float32 (n, D), L2-normalised.
        per_class: most examples of one class.
        total: most examples of all classes.
        redundant_cosine: see `distinct`.
    """
    if not len(candidates):
        return Selection((), ())
    mine = np.flatnonzero(view.class_ids == class_id) if class_id is not None else np.zeros(0, np.int64)
    sizes = {int(c): int((view.class_ids == c).sum()) for c in np.unique(view.class_ids) if c != class_id}
    old = view.vectors[mine] if len(mine) else np.zeros((0, candidates.shape[1]), np.float32)
    fresh = distinct(candidates, old, redundant_cosine)
    pool = np.concatenate([old, candidates[fresh]])
    level = _level([*sizes.values(), min(len(pool), per_class)], total)
    chosen = representatives(pool, min(per_class, level))
    kept = sorted(int(fresh[index - len(mine)]) for index in chosen if index >= len(mine))
    displaced = set(view.example_ids[mine].tolist()) - {int(view.example_ids[mine[i]]) for i in chosen if i < len(mine)}
    for other in (c for c, size in sizes.items() if size > level):
        rows = np.flatnonzero(view.class_ids == other)
        stays = representatives(view.vectors[rows], level)
        displaced |= set(view.example_ids[np.delete(rows, stays)].tolist())
    return Selection(tuple(kept), tuple(sorted(displaced)))


def _level(sizes: Sequence[int], total: int) -> int:
    """The largest class size, at least 1, at which classes of `sizes`, cut down to it, fit into `total`."""
    level = max(sizes)
    while level > 1 and sum(min(size, level) for size in sizes) > total:
        level -= 1
    return level
