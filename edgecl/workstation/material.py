"""What a consolidation learns from: the memory's latents as tensors, and the part of them that is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from edgecl.errors import BackboneMismatch, ConsolidationRefused
from edgecl.memory.view import MemoryView
from edgecl.types import Example, Latent

HELD_OUT, HELD_OUT_MOST = 0.25, 1 / 3  # of a class's first lesson
MARK_BYTES = 8
EVERY = 4  # lessons of a class, of which the last is held out whole
GROUPS = 5  # of like views in a lesson


@dataclass(frozen=True, eq=False)
class Exposure:
    """What consolidations have done with latents so far, by their `Material.marks`.

    Attributes:
        trained: int64 (n,), of those that some tail was trained on.
        held: int64 (m,), of those that were held out.
    """

    trained: NDArray[np.int64]
    held: NDArray[np.int64]

    def after(self, material: Material, held: NDArray[np.bool_]) -> Exposure:
        """This and one more consolidation from `material`, in which `held`, bool (N,), was held out."""
        marks = material.marks()
        return Exposure(np.union1d(self.trained, marks[~held]), np.union1d(self.held, marks[held]))


NO_EXPOSURE = Exposure(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class Material:
    """Latents with what they show, in rising order of the examples' numbers.

    Attributes:
        codes: int8 (N, C, h, w), as the memory keeps them.
        scales: float32 (N,), size of one step of each latent's code.
        zero_points: int64 (N,), the code of 0.0.
        class_ids: int64 (N,).
        lessons: int64 (N,), numbers of the lessons.
        names: class id → name, of all classes that occur.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    lessons: NDArray[np.int64]
    names: dict[int, str]

    @classmethod
    def of_examples(cls, examples: Iterable[Example], names: dict[int, str], trunk: str) -> Material:
        """All of a memory.

        Args:
            examples: by rising number.
            names: class id → name.
            trunk: sha256 of the trunk whose tail is to be trained.

        Raises:
            BackboneMismatch: an example is of another trunk.
            ConsolidationRefused: there are fewer than two classes.
            StoreDamaged: a latent is not what was written.
        """
        kept = []
        for example in examples:
            if example.class_id not in names:
                raise ConsolidationRefused(
                    f"found example {example.id} of a class without a name, expected none: the memory was changed "
                    "while it was read; try again"
                )
            if example.trunk != trunk:
                raise BackboneMismatch(
                    f"found example {example.id} made by trunk {example.trunk:.12}…, expected {trunk:.12}…; "
                    "consolidate with the home whose release has that trunk, in the precision that it was taught with"
                )
            kept.append((example.latent, example.class_id, example.lesson))
        if len({class_id for _, class_id, _ in kept}) < 2:
            raise ConsolidationRefused(
                f"found a memory of {len({class_id for _, class_id, _ in kept})} classes with {len(kept)} examples, "
                "expected at least two classes: there is nothing to tell apart; teach another"
            )
        return cls.of_latents(
            [latent for latent, _, _ in kept],
            np.array([class_id for _, class_id, _ in kept], np.int64),
            np.array([lesson for _, _, lesson in kept], np.int64),
            names,
        )

    @classmethod
    def of_latents(
        cls, latents: Sequence[Latent], class_ids: NDArray[np.int64], lessons: NDArray[np.int64], names: dict[int, str]
    ) -> Material:
        """Latents of one shape, with their classes and lessons (N,)."""
        present = set(class_ids.tolist())
        return cls(
            np.stack([latent.codes for latent in latents]),
            np.array([latent.scale for latent in latents], np.float32),
            np.array([latent.zero_point for latent in latents], np.int64),
            class_ids,
            lessons,
            {class_id: name for class_id, name in sorted(names.items()) if class_id in present},
        )

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def rows(self) -> NDArray[np.int64]:
        """int64 (N,): the place of each example's class among all class ids, which rise."""
        return np.searchsorted(np.array(list(self.names), np.int64), self.class_ids)

    def real(self, rows: NDArray[np.int64] | slice = slice(None)) -> Tensor:
        """The latents at `rows` as float32 (n, C, h, w)."""
        codes = torch.from_numpy(self.codes[rows]).float()
        zero, scale = (
            torch.from_numpy(column[rows])[:, None, None, None] for column in (self.zero_points, self.scales)
        )
        return (codes - zero) * scale

    def marks(self) -> NDArray[np.int64]:
        """int64 (N,), which tell latents apart wherever they are kept: eight bytes of their codes' SHA-256."""
        digests = [hashlib.sha256(one.tobytes()).digest()[:MARK_BYTES] for one in self.codes]
        return np.frombuffer(b"".join(digests), np.int64)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Everything but the names."""
        return self.codes, self.scales, self.zero_points, self.class_ids, self.lessons

    def select(self, mask: NDArray[np.bool_]) -> Material:
        """The examples where `mask`, bool (N,), is true; the classes stay as they are."""
        columns = ("codes", "scales", "zero_points", "class_ids", "lessons")
        return replace(self, **{name: getattr(self, name)[mask] for name in columns})

    def view(self, vectors: NDArray[np.float32], tail: str, spread: float) -> MemoryView:
        """The examples as a head sees them, embedded as `vectors`, float32 (N, D), by `tail`."""
        numbers = np.arange(1, len(self) + 1, dtype=np.int64)
        return MemoryView(vectors, self.class_ids, numbers, self.lessons, self.names, tail, 0, spread)


def held_out(material: Material, exposure: Exposure = NO_EXPOSURE) -> NDArray[np.bool_]:
    """Which examples, bool (N,), are kept from training, to judge by.

    Of a class's first lesson about a quarter, in whole groups of like views, the newest; and every fourth lesson,
    whole. Views of one lesson look alike, and one held out beside its neighbours would be known by heart. Likeness is
    that of the latents' means over places, which are the trunk's: neither the tail that is to be judged nor the one
    before it has had a say.

    What was held out before stays so, and what was trained on before never is, also when a memory has been thinned or
    corrected meanwhile. A class of which nothing else is left gives the older half of it to be trained on.

    A class with one example, or whose first lesson has one, may have nothing held out; then it is not judged.

    Args:
        material: of which some is held out.
        exposure: what earlier consolidations have done with it.

    Raises:
        ConsolidationRefused: no class has anything to hold out.
    """
    held = np.zeros(len(material), bool)
    pooled = material.codes.mean(axis=(2, 3), dtype=np.float32) - material.zero_points[:, None].astype(np.float32)
    pooled *= material.scales[:, None]
    for class_id in np.unique(material.class_ids):
        of_class = material.class_ids == class_id
        lessons = np.unique(material.lessons[of_class])
        held |= of_class & np.isin(material.lessons, lessons[EVERY - 1 :: EVERY])
        first = np.flatnonzero(of_class & (material.lessons == lessons[0]))
        if len(first) >= 2:
            held[first[_newest(_groups(pooled[first]))]] = True
    marks = material.marks()
    held = (held | np.isin(marks, exposure.held)) & ~np.isin(marks, exposure.trained)
    for class_id in np.unique(material.class_ids):
        of_class = np.flatnonzero(material.class_ids == class_id)
        if held[of_class].all():
            held[of_class[: (len(of_class) + 1) // 2]] = False
    if not held.any():
        raise ConsolidationRefused(
            f"found nothing to hold out of {len(material)} examples of {len(material.names)} classes, expected views "
            "that no tail was trained on, in a first lesson of at least two or a fourth one; teach more views"
        )
    return held


def _newest(groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which examples, bool (n,) in the order of their age, are of the newest whole groups that make up a quarter.

    A group that would make it more than a third is passed over; if all are, the newest example is taken.
    """
    chosen = np.zeros(len(groups), bool)
    for group in sorted(np.unique(groups), key=lambda one: -int(np.flatnonzero(groups == one).max())):
        if chosen.sum() >= HELD_OUT * len(groups):
            break
        if chosen.sum() + (groups == group).sum() <= HELD_OUT_MOST * len(groups):
            chosen |= groups == group
    if not chosen.any():
        chosen[-1] = True
    return chosen


def _groups(pooled: NDArray[np.float32]) -> NDArray[np.int64]:
    """Numbers (n,) of at most GROUPS groups of like rows of `pooled`, float32 (n, C)."""
    found: NDArray[np.int64] = fcluster(linkage(pooled, "average"), GROUPS, "maxclust").astype(np.int64)
    return found
