"""Cumulative: keep everything and train on all of it after each lesson. What no other strategy is expected to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecl.workstation.incremental import Incremental, Settings


class Strategy(Incremental):
    """Goes on from the net of the lesson before, with every latent that was ever shown.

    Attributes:
        kept: latents float32 (N, C, h, w) and labels (N,) of each lesson.
    """

    defaults = Settings(tail_rate_later=0.001)
    kept: tuple[tuple[NDArray[np.float32], NDArray[np.int64]], ...] = ()

    def learn(self, latents: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """As `Incremental`, on this lesson and all before."""
        self._check(latents, labels)
        self.kept = (*self.kept, (latents, labels))
        super().learn(*(np.concatenate(arrays) for arrays in zip(*self.kept, strict=True)))

    @property
    def examples_kept(self) -> int:
        """All."""
        return sum(len(labels) for _, labels in self.kept)
