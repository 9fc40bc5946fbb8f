"""Exact sufficient statistics of the memory: what NCM, SLDA, ridge and whitening are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import BackboneMismatch, FrameUnusable, NotLearned

_ROWS_AT_A_TIME = 256  # bounds the float64 copy of the vectors: 3 MB at D = 1280
_COLUMNS_AT_A_TIME = 256


class ClassStats:
    """Counts, sums and second moments per class; learning, reverting and adding up are exact but for rounding.

    A running mean would depend on the order of the examples. Sums do not, so undo, merge and rebuild come for free.

    Attributes:
        class_ids: int64 (K,), rising; the labels.
        count: int64 (K,), examples of each class, ≥ 1.
        sum: float64 (K, D), sum of the embeddings of each class.
        outer: float64 (D, D), sum of z zᵀ over all examples.
        tail: sha256 of the tail that made the embeddings.
    """

    def __init__(
        self,
        class_ids: NDArray[np.int64],
        count: NDArray[np.int64],
        sum: NDArray[np.float64],
        outer: NDArray[np.float64],
        tail: str,
    ) -> None:
        dimension = outer.shape[0]
        if sum.shape != (len(class_ids), dimension) or count.shape != class_ids.shape or outer.shape[1] != dimension:
            raise BackboneMismatch(
                f"found statistics with count {count.shape}, sum {sum.shape} and outer {outer.shape}, "
                f"expected ({len(class_ids)},), ({len(class_ids)}, D) and (D, D)"
            )
        self.class_ids = class_ids
        self.count = count
        self.sum = sum
        self.outer = outer
        self.tail = tail

    def __repr__(self) -> str:
        return f"ClassStats({len(self.class_ids)} classes, {self.total} examples, D={self.dimension})"

    @classmethod
    def empty(cls, dimension: int, tail: str) -> ClassStats:
        """Statistics of no example at all."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros((0, dimension)),
            np.zeros((dimension, dimension)),
            tail,
        )

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.outer.shape[0])

    @property
    def total(self) -> int:
        """N, examples of all classes."""
        return int(self.count.sum())

    def copy(self) -> ClassStats:
        """An independent copy."""
        return ClassStats(self.class_ids.copy(), self.count.copy(), self.sum.copy(), self.outer.copy(), self.tail)

    def learn(self, vectors: NDArray[np.float32], class_ids: NDArray[np.int64]) -> None:
        """Take in examples.

        Args:
            vectors: float32 (n, D).
            class_ids: int64 (n,).

        Raises:
            BackboneMismatch: another number of dimensions.
            FrameUnusable: a number is not finite; nothing was learned.
        """
        ids = self._check(vectors, class_ids)
        self._widen(ids)
        rows = np.searchsorted(self.class_ids, ids)
        np.add.at(self.count, rows, 1)
        for start in range(0, len(ids), _ROWS_AT_A_TIME):
            part = vectors[start : start + _ROWS_AT_A_TIME].astype(np.float64)
            taught, sums = _sums(rows[start : start + _ROWS_AT_A_TIME], part)
            self.sum[taught] += sums
            self._add_to_outer(part, 1.0)

    def revert(self, vectors: NDArray[np.float32], class_ids: NDArray[np.int64]) -> None:
        """Take out examples that were learned before; a class without examples disappears.

        Raises:
            NotLearned: more examples of a class than were learned; nothing was changed.
            BackboneMismatch: another number of dimensions.
            FrameUnusable: a number is not finite.
        """
        ids = self._check(vectors, class_ids)
        leaving, how_many = np.unique(ids, return_counts=True)
        for class_id, n in zip(leaving.tolist(), how_many.tolist(), strict=True):
            held = int(self.count[self.class_ids == class_id].sum())
            if n > held:
                raise NotLearned(
                    f"found {n} examples of class {class_id} to revert, expected at most the {held} learned"
                )
        rows = np.searchsorted(self.class_ids, ids)
        np.subtract.at(self.count, rows, 1)
        for start in range(0, len(ids), _ROWS_AT_A_TIME):
            part = vectors[start : start + _ROWS_AT_A_TIME].astype(np.float64)
            taught, sums = _sums(rows[start : start + _ROWS_AT_A_TIME], part)
            self.sum[taught] -= sums
            self._add_to_outer(part, -1.0)
        self._keep(self.count > 0)
        if not len(self.class_ids):
            self.outer[:] = 0.0  # what rounding left behind

    def __iadd__(self, other: ClassStats) -> ClassStats:
        """Add the statistics of other examples, of the same tail.

        Raises:
            BackboneMismatch: another tail, or another number of dimensions.
        """
        if other.tail != self.tail or other.dimension != self.dimension:
            raise BackboneMismatch(
                f"found statistics of tail {other.tail[:12]} with {other.dimension} dimensions, "
                f"expected tail {self.tail[:12]} with {self.dimension}; embed the examples again with one tail"
            )
        self._widen(other.class_ids)
        rows = np.searchsorted(self.class_ids, other.class_ids)
        self.count[rows] += other.count
        self.sum[rows] += other.sum
        self.outer += other.outer
        return self

    def means(self) -> NDArray[np.float64]:
        """float64 (K, D), mean embedding of each class."""
        return self.sum / self.count[:, None]

    def within_covariance(self, dtype: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
        """(D, D) of `dtype`, covariance about the class means, pooled over the classes, divided by max(N − K, 1)."""
        covariance = np.empty((self.dimension, self.dimension), dtype)
        means = self.means()
        freedom = max(self.total - len(self.class_ids), 1)
        for block in self._blocks():
            covariance[:, block] = (self.outer[:, block] - self.sum.T @ means[:, block]) / freedom
        return covariance

    def _add_to_outer(self, vectors: NDArray[np.float64], sign: float) -> None:
        for block in self._blocks():
            self.outer[:, block] += vectors.T @ (sign * vectors[:, block])

    def _blocks(self) -> Iterator[slice]:
        """Columns of (D, D) to work on at a time: a whole temporary would be 13 MB at D = 1280."""
        return (slice(start, start + _COLUMNS_AT_A_TIME) for start in range(0, self.dimension, _COLUMNS_AT_A_TIME))

    def _check(self, vectors: NDArray[np.float32], class_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        ids = np.asarray(class_ids, np.int64)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or ids.shape != (len(vectors),):
            raise BackboneMismatch(
                f"found embeddings of shape {vectors.shape} with class ids of shape {ids.shape}, "
                f"expected (n, {self.dimension}) and (n,)"
            )
        if not np.isfinite(vectors).all():
            raise FrameUnusable("found embeddings with numbers that are not finite; none of them was used")
        return ids

    def _widen(self, class_ids: NDArray[np.int64]) -> None:
        """Give each of `class_ids` a row; new ones are empty until the caller fills them."""
        wanted = np.union1d(self.class_ids, class_ids)
        if len(wanted) == len(self.class_ids):
            return
        rows = np.searchsorted(wanted, self.class_ids)
        count, total = np.zeros(len(wanted), np.int64), np.zeros((len(wanted), self.dimension))
        count[rows], total[rows] = self.count, self.sum
        self.class_ids, self.count, self.sum = wanted, count, total

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        self.class_ids, self.count, self.sum = self.class_ids[rows], self.count[rows], self.sum[rows]


def _sums(rows: NDArray[np.int64], vectors: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The different `rows`, rising, and the sum of the vectors (n, D) of each."""
    order = np.argsort(rows, kind="stable")
    taught, starts = np.unique(rows[order], return_index=True)
    return taught, np.add.reduceat(vectors[order], starts, axis=0)
