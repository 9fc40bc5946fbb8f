"""Linear discriminant analysis in closed form, from sums alone: what Deep SLDA (Hayes and Kanan, 2020) approximates.

Deep SLDA keeps a running covariance, which depends on the order of the stream and is far off for the first hundred
examples; exact sums cost the same and are neither.
"""

from __future__ import annotations

import numpy as np

from edgecl.memory.view import MemoryView
from edgecl.types import LinearHead
from edgecl.whitening import Whitening, shrunk_covariance

SHRINKAGE = 0.3


def fit(view: MemoryView) -> LinearHead:
    """Scores μ_kᵀ Σ⁻¹ z − ½ μ_kᵀ Σ⁻¹ μ_k, all classes equally likely and μ_k taken from the middle of the classes.

    In whitened coordinates this is x_k·x − ½‖x_k‖², with x_k the class means.
    """
    stats = view.stats
    means = stats.means()
    space = Whitening.of(shrunk_covariance(stats, view.spread, SHRINKAGE), means.mean(axis=0))
    prototypes = space.apply(means.astype(np.float32))
    weight, bias = space.fold(prototypes, -0.5 * (prototypes * prototypes).sum(axis=1))
    return LinearHead(weight, bias, stats.class_ids, view.tail, view.revision, "slda")
