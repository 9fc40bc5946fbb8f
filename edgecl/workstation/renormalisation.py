"""Batch renormalisation: batch normalisation that may follow the data while training sees small, one-sided batches.

Ioffe, 2017, arXiv 1702.03275. Where BN statistics are simply left as they are, none of this is needed; plain batch
normalisation in training mode is what ruins continual learning (Lomonaco, Maltoni and Pellegrini, 2020).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

# What the authors of AR1* use after the first batch of a stream.
R_MAX, D_MAX = 1.25, 0.5
MOMENTUM = 1e-4


class BatchRenorm(nn.Module):
    """Normalises (N, C, h, w) by the batch, corrected within bounds towards the running statistics, which it moves."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Share the parameters and statistics of `norm`."""
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """As batch normalisation would with the running statistics, up to r ≤ R_MAX and d ≤ D_MAX."""
        norm = self.norm
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        deviation = (variance + norm.eps).sqrt()
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101  # for mypy: ours track them
        with torch.no_grad():
            running = (norm.running_var + norm.eps).sqrt()
            r = (deviation / running).clamp(1 / R_MAX, R_MAX)
            d = ((mean - norm.running_mean) / running).clamp(-D_MAX, D_MAX)
            norm.running_mean.lerp_(mean, MOMENTUM)
            norm.running_var.lerp_(x.var(dim=(0, 2, 3)), MOMENTUM)
        scale = norm.weight * r / deviation
        offset = norm.bias + norm.weight * d - mean * scale
        return x * scale[:, None, None] + offset[:, None, None]


@contextlib.contextmanager
def renormalised(module: nn.Module, wanted: bool) -> Iterator[None]:
    """For as long as the block lasts, let every batch normalisation below `module` be a renormalisation, if `wanted`.

    Parameters stay where they are, under the same names once the block is left.
    """
    places = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if wanted and isinstance(child, nn.BatchNorm2d)
    ]
    for parent, name, child in places:
        setattr(parent, name, BatchRenorm(child))
    try:
        yield
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
