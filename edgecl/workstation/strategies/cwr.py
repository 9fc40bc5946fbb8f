"""CWR: copy weights with re-init, the first of its kind (Lomonaco and Maltoni, 2017, arXiv 1705.03550).

Each lesson starts from random weights, and what they have become is copied without a shift; rows of a class that
comes again are averaged, each lesson counting once. The tail learns in the first lesson and is frozen then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgecl.workstation.copied_head import CopiedHead
from edgecl.workstation.incremental import Settings
from edgecl.workstation.nets import EMBEDDING_CHANNELS
from edgecl.workstation.strategies import cwr_plus

DEVIATION = 0.01  # of the random weights


class Strategy(cwr_plus.Strategy):
    """As CWR+ but for how a lesson begins and ends."""

    defaults = Settings(tail_rate_later=0.0, epochs=16)

    def _new_head(self, classes: int) -> CopiedHead:
        return _RandomHead(EMBEDDING_CHANNELS, classes)

    def _begin(self, labels: Tensor, before: Tensor) -> None:
        torch.nn.init.normal_(self.head.weight, std=DEVIATION, generator=self.random)


class _RandomHead(CopiedHead):
    """`past` counts lessons."""

    @torch.no_grad()
    def end(self, labels: Tensor) -> None:
        """After a lesson with these labels (N,): cw ← (past·cw + tw) / (past + 1) for each of its classes."""
        learned = torch.unique(labels)
        past = self.past[learned, None]
        self.consolidated[learned] = (past * self.consolidated[learned] + self.weight[learned]) / (past + 1)
        self.past[learned] += 1
