"""CWR*: CWR+ for classes that come again (Lomonaco, Maltoni and Pellegrini, 2020, arXiv 1907.03799).

A lesson starts from what is known of its classes. Where no class comes up twice it is CWR+ to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgecl.workstation.strategies import cwr_plus


class Strategy(cwr_plus.Strategy):
    """A `CopiedHead` that recalls."""

    def _begin(self, labels: Tensor, before: Tensor) -> None:
        self.head.begin(known=torch.unique(labels))
