"""What every protocol has in common: what it is told, what its result begins with, and how it teaches a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.errors import InputRefused
from edgecl.evaluate.streams import Stream
from edgecl.heads import Fit
from edgecl.memory.replay import representatives
from edgecl.memory.view import MemoryView
from edgecl.types import LinearHead


@dataclass(frozen=True)
class Setting:
    """What a protocol is told.

    Attributes:
        folder: train/CLASS/* and test/CLASS/*.
        keep: examples of each class; all where there are fewer.
        order_seed: of the order in which the classes are taught.
        head: the file in `heads/` that learns.
        cache: folder for embeddings, None to make them anew.
        lessons: into which the classes are grouped; None for one class a lesson.
    """

    folder: Path
    keep: int = 20
    order_seed: int = 0
    head: str = "softmax"
    cache: Path | None = None
    lessons: int | None = None


@dataclass(frozen=True)
class Result:
    """What every result says: which protocol, on what, with what.

    Attributes:
        protocol: its short name.
        method: the head, or the strategy.
        stream: name of the folder.
        seed: of the order of the classes.
        examples_kept_per_class: at most.
        embedding: sha256 of the tail.
        precision: 'int8' or 'fp32'.
    """

    protocol: str
    method: str
    stream: str
    seed: int
    examples_kept_per_class: int
    embedding: str
    precision: str

    @staticmethod
    def heading(protocol: str, setting: Setting, backbone: Backbone) -> Result:
        """These fields for one run."""
        return Result(
            protocol,
            setting.head,
            setting.folder.name,
            setting.order_seed,
            setting.keep,
            backbone.tail_digest,
            backbone.precision,
        )


@dataclass(frozen=True)
class Taught:
    """Where a learner stands after a lesson: its memory, its head, and the s that choosing and fitting took."""

    view: MemoryView
    head: LinearHead
    seconds: float


def lessons_of(classes: int, lessons: int | None) -> list[range]:
    """Classes 0 … `classes` − 1 in their order, in lessons of equal size or nearly so; None for one class a lesson.

    Raises:
        InputRefused: there are fewer classes than lessons.
    """
    lessons = classes if lessons is None else lessons
    if not 1 <= lessons <= classes:
        raise InputRefused(f"found {lessons} lessons for {classes} classes, expected 1 to {classes}")
    ends = [classes * (lesson + 1) // lessons for lesson in range(lessons)]
    return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def taught(stream: Stream, backbone: Backbone, keep: int, fit: Fit, lessons: Sequence[range]) -> Iterator[Taught]:
    """Teach the classes of one lesson after the other.

    The `keep` examples are chosen as on a device too; but pictures of a folder are no neighbouring frames of a camera,
    so near-duplicates count, and a memory of 20 examples a class holds 20 where there are as many.
    """
    view = _nothing(stream, backbone)
    for lesson in lessons:
        begun = time.perf_counter()
        for label in lesson:
            view = _grown(view, stream.train.vectors[kept_of(label, stream, keep)], label)
        yield Taught(view, fit(view), time.perf_counter() - begun)


def kept_of(label: int, stream: Stream, keep: int) -> NDArray[np.int64]:
    """Rows of the training pictures of class `label` that the memory keeps, rising."""
    rows = np.flatnonzero(stream.train.labels == label)
    kept: NDArray[np.int64] = rows[np.sort(representatives(stream.train.vectors[rows], keep))]
    return kept


def _nothing(stream: Stream, backbone: Backbone) -> MemoryView:
    none = np.zeros(0, np.int64)
    vectors = np.zeros((0, backbone.dimension), np.float32)
    names = dict(enumerate(stream.names))
    return MemoryView(vectors, none, none, none, names, backbone.tail_digest, 0, backbone.manifest.spread)


def _grown(view: MemoryView, vectors: NDArray[np.float32], class_id: int) -> MemoryView:
    """`view` with one more class; on a device each class is a lesson of its own, so its id is its lesson's too."""
    n = len(vectors)
    first = int(view.example_ids.max(initial=0)) + 1
    grown = replace(
        view,
        vectors=np.concatenate([view.vectors, vectors]),
        class_ids=np.concatenate([view.class_ids, np.full(n, class_id)]),
        example_ids=np.concatenate([view.example_ids, np.arange(first, first + n)]),
        lesson_ids=np.concatenate([view.lesson_ids, np.full(n, class_id)]),
        revision=view.revision + 1,
        known_stats=None,
    )
    return replace(grown, known_stats=grown.stats_since(view if len(view) else None))
