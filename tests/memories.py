"""Small memories for tests, and everything that can be read from one as a plain value to compare."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.memory.lessons import LessonDraft
from edgecl.memory.reviews import ReviewFrame
from edgecl.memory.store import Store
from edgecl.memory.view import MemoryView
from edgecl.types import Example, Latent, Lesson

TAIL, OTHER_TAIL = "a" * 64, "c" * 64
TRUNK, OTHER_TRUNK = "b" * 64, "d" * 64
DIMENSION = 6


def examples(n: int, seed: int = 0, trunk: str = TRUNK, shape: tuple[int, int, int] = (8, 4, 4)) -> list[Example]:
    """`n` examples whose latents and pictures are noise, so that a fragment of one is in no other."""
    rng = np.random.default_rng(seed)
    return [
        Example(
            id=0,
            lesson=0,
            class_id=0,
            latent=Latent(rng.integers(-128, 128, shape).astype(np.int8), 0.05 + 0.01 * i, i - 3),
            trunk=trunk,
            thumbnail=rng.bytes(300) if i % 3 != 2 else None,
            taken_at=1_700_000_000.25 + i,
            camera="usb:0",
        )
        for i in range(n)
    ]


def vectors(n: int, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """float32 (n, D)."""
    return np.random.default_rng(seed + 1000).normal(size=(n, dimension)).astype(np.float32)


def draft(label: str, n: int = 3, seed: int = 0, **changes: Any) -> LessonDraft:
    """A lesson of `n` examples of noise."""
    counts = {"seen": n + 2, "redundant": 1, "rejected": 1, "reasons": {"blurred": 1}}
    plain = LessonDraft(
        label, "camera", examples(n, seed), vectors(n, seed), TAIL, **counts, taken_at=1_700_000_000.0 + seed
    )
    return replace(plain, **changes)


def teach(
    store: Store,
    label: str,
    n: int = 3,
    seed: int = 0,
    displaced: Sequence[int] = (),
    undoable_lessons: int = 20,
) -> Lesson:
    """Teach `n` examples of noise."""
    return store.teach(draft(label, n, seed, displaced=displaced), undoable_lessons)


def taught(home: Path) -> Path:
    """A closed memory with every kind of lesson, a displaced example, a head and review frames."""
    ticks = itertools.count(1.0)
    with Store(home, clock=lambda: next(ticks)) as store:
        teach(store, "cup", 4, seed=1)
        teach(store, "mug", 3, seed=2, displaced=[2])
        store.correct(3, "spoon")
        store.rename("spoon", "ladle")
        teach(store, "plate", 2, seed=3)
        store.merge("plate", "mug")
        teach(store, "bowl", 2, seed=4)
        store.undo()
        store.heads.put(
            TAIL, "softmax", store.revision, {"W": vectors(3, 9), "ids": np.arange(3)}, {"temperature": 1.5}
        )
        for seed in range(3):
            (frame,) = examples(1, seed=50 + seed)
            store.reviews.add(
                ReviewFrame(0, frame.latent, TRUNK, frame.thumbnail, "cup", 0.4, 0.6, 5.0, "usb:0"), keep=2
            )
    return home


READERS: dict[str, Callable[[Store], Any]] = {
    "revision": lambda store: store.revision,
    "classes": lambda store: dict(store.classes()),
    "counts": lambda store: dict(store.counts()),
    "history": lambda store: store.history(),
    "examples": lambda store: [
        (e.id, e.lesson, e.class_id, _latent(e.latent), e.trunk, e.thumbnail, e.taken_at, e.camera)
        for e in store.examples()
    ],
    "view": lambda store: _view(store.view(TAIL)),
    "head": lambda store: _head(store.heads.get(TAIL, "softmax")),
    "reviews": lambda store: [
        (r.id, _latent(r.latent), r.thumbnail, r.guess, r.probability, r.taken_at) for r in store.reviews
    ],
}


def content(store: Store) -> dict[str, Any]:
    """All that can be read from a memory, as values that compare."""
    return {name: read(store) for name, read in READERS.items()}


def _view(view: MemoryView) -> list[bytes]:
    return [column.tobytes() for column in (view.vectors, view.class_ids, view.example_ids, view.lesson_ids)]


def _head(head: tuple[int, dict[str, NDArray[Any]], dict[str, Any]] | None) -> Any:
    return head and (head[0], {name: array.tobytes() for name, array in head[1].items()}, head[2])


def _latent(latent: Latent) -> tuple[bytes, float, int]:
    return latent.codes.tobytes(), latent.scale, latent.zero_point
