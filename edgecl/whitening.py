"""Coordinates in which every class scatters alike: x = L⁻¹(z − m) with L Lᵀ the pooled covariance within classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.memory.stats import ClassStats

# The prior counts like so many examples; it decides while there are next to none and is soon forgotten.
PRIOR_EXAMPLES = 5.0
BLOCK = 128  # columns solved for at a time: small to invert, large enough for fast matrix products


def shrunk_covariance(stats: ClassStats, spread: float, shrinkage: float) -> NDArray[np.float32]:
    """Covariance within classes, float32 (D, D), positive definite for any number of examples.

    (1 − s) Σ + s tr(Σ)/D I (Ledoit and Wolf, 2004, with s fixed), where Σ is the pooled covariance mixed with the
    isotropic prior `spread`/D I in the ratio of the N − K degrees of freedom to PRIOR_EXAMPLES.

    Args:
        stats: of at least one class.
        spread: trace of the covariance of one thing's views, from the backbone's manifest.
        shrinkage: s in [0, 1].
    """
    dimension = stats.dimension
    freedom = max(stats.total - len(stats.class_ids), 0)
    # Single precision is enough: the shrinkage keeps the smallest eigenvalue far above what rounding can reach.
    covariance: NDArray[np.float32] = stats.within_covariance(np.float32)
    covariance *= np.float32(freedom / (freedom + PRIOR_EXAMPLES))
    prior = spread / dimension * PRIOR_EXAMPLES / (freedom + PRIOR_EXAMPLES)
    floor = prior + shrinkage * float(np.trace(covariance)) / dimension
    covariance *= np.float32(1.0 - shrinkage)
    covariance.flat[:: dimension + 1] += np.float32(floor)
    return covariance


@dataclass(frozen=True)
class Whitening:
    """An invertible affine map of the embedding space.

    Attributes:
        mean: float32 (D,), m.
        factor: float32 (D, D), L, lower triangular.
    """

    mean: NDArray[np.float32]
    factor: NDArray[np.float32]

    @classmethod
    def of(cls, covariance: NDArray[np.float32], mean: NDArray[np.float64]) -> Whitening:
        """By Cholesky: any square root of the inverse covariance gives the same heads, and this is the cheapest.

        Block by block and in place, `covariance` becomes the factor: LAPACK's copies would double the peak of memory.
        """
        factor = covariance
        for block in _blocks(len(factor)):
            below, before = slice(block.start, None), slice(0, block.start)
            panel = factor[below, block] - factor[below, before] @ factor[block, before].T
            root = np.linalg.cholesky(panel[: block.stop - block.start]).astype(np.float32, copy=False)
            factor[below, block] = panel @ _inverse(root).T
            factor[block, block] = root
            factor[before, block] = 0.0
        return cls(mean.astype(np.float32), factor)

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) embeddings → (N, D) coordinates, by forward substitution."""
        x: NDArray[np.float32] = vectors - self.mean
        for block, inverse in self._diagonal():
            before = slice(0, block.start)
            x[:, block] = (x[:, block] - x[:, before] @ self.factor[block, before].T) @ inverse.T
        return x

    def fold(
        self, weight: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A linear function of the coordinates, (K, D) and (K,), as one of the embedding, by back substitution."""
        folded = weight.copy()
        for block, inverse in reversed(self._diagonal()):
            after = slice(block.stop, None)
            folded[:, block] = (folded[:, block] - folded[:, after] @ self.factor[after, block]) @ inverse
        offset: NDArray[np.float32] = bias - folded @ self.mean
        return folded, offset

    def _diagonal(self) -> list[tuple[slice, NDArray[np.float32]]]:
        """The blocks along the diagonal of L, with the inverse of each."""
        return [(block, _inverse(self.factor[block, block])) for block in _blocks(len(self.mean))]


def _blocks(dimension: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, dimension)) for start in range(0, dimension, BLOCK)]


def _inverse(block: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.linalg.inv(block).astype(np.float32, copy=False)
