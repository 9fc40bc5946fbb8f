"""The memory as a head sees it: embeddings of one tail, at one revision, never changing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import BackboneMismatch
from edgecl.memory.stats import ClassStats

_COLUMNS = ("vectors", "class_ids", "example_ids", "lesson_ids")


@dataclass(frozen=True, eq=False)
class MemoryView:
    """All live examples at one revision, rows sorted by example id; safe to hand to another thread.

    Attributes:
        vectors: float32 (N, D), read-only; (0, 0) while nothing was taught.
        class_ids: int64 (N,), read-only; merged classes are already counted as their target.
        example_ids: int64 (N,), rising, read-only.
        lesson_ids: int64 (N,), read-only.
        names: class id → name, of every live class, also of one without examples.
        tail: sha256 of the tail that made the vectors.
        revision: of the memory.
        spread: mean squared distance between a view of a thing and the mean of its views, from the backbone's manifest;
            the heads' prior while there are few examples.
        known_stats: statistics of exactly these rows, where the caller already has them.
        denied: float32 (M, D), read-only: embeddings of views that are not of a class, though they may look like it.
        denied_ids: int64 (M,), the class that each is not of.
    """

    vectors: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    example_ids: NDArray[np.int64]
    lesson_ids: NDArray[np.int64]
    names: Mapping[int, str]
    tail: str
    revision: int
    spread: float = 0.2
    known_stats: ClassStats | None = field(default=None, repr=False)
    denied: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    denied_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def __post_init__(self) -> None:
        n = len(self.vectors)
        columns = {"class_ids": self.class_ids, "example_ids": self.example_ids, "lesson_ids": self.lesson_ids}
        shapes = [column.shape for column in columns.values()]
        if self.vectors.dtype != np.float32 or self.vectors.ndim != 2 or any(shape != (n,) for shape in shapes):
            raise BackboneMismatch(
                f"found vectors of shape {self.vectors.shape} and type {self.vectors.dtype} with columns of {shapes}, "
                "expected (N, D) of float32 and three times (N,)"
            )
        object.__setattr__(self, "vectors", _read_only(self.vectors))
        object.__setattr__(self, "denied", _read_only(self.denied))
        for name, column in columns.items():
            object.__setattr__(self, name, _read_only(column))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def stats(self) -> ClassStats:
        """Statistics of the rows: those handed in, to be copied before they are changed; else made anew."""
        if self.known_stats is not None:
            return self.known_stats
        stats = ClassStats.empty(self.vectors.shape[1], self.tail)
        stats.learn(self.vectors, self.class_ids)
        return stats

    def stats_since(self, before: MemoryView | None) -> ClassStats:
        """Statistics of the rows, made from those of an earlier view by reverting what left and learning what came.

        Those of `before` stay as they are: another thread may be learning from them.
        """
        if before is None or before.tail != self.tail or before.vectors.shape[1] != self.vectors.shape[1]:
            return self.stats
        stats = before.stats.copy()
        came, left = _moved(before, self), _moved(self, before)
        if came.sum() + left.sum() > len(self):
            return self.stats
        stats.revert(before.vectors[left], before.class_ids[left])
        stats.learn(self.vectors[came], self.class_ids[came])
        return stats

    def select(self, mask: NDArray[np.bool_]) -> MemoryView:
        """The rows where `mask`, bool (N,), is true."""
        chosen = {name: getattr(self, name)[mask] for name in _COLUMNS}
        return replace(self, **chosen, known_stats=None)

    def without(self, mask: NDArray[np.bool_]) -> MemoryView:
        """The rows where `mask`, bool (N,), is false; for leaving out."""
        return self.select(~mask)


def _moved(before: MemoryView, after: MemoryView) -> NDArray[np.bool_]:
    """The rows of `after`, bool (N,), that `before` lacks or has in another class."""
    _, rows, known = np.intersect1d(after.example_ids, before.example_ids, return_indices=True)
    moved = np.ones(len(after), bool)
    moved[rows] = after.class_ids[rows] != before.class_ids[known]
    return moved


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers through a door that only reads; the caller's own array stays writable."""
    view = array.view()
    view.flags.writeable = False
    return view
