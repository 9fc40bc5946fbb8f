"""L2-SP: every parameter matters alike (Li, Grandvalet and Davoine, 2018, arXiv 1802.01483).

The starting point of fine-tuning is the anchor. With networks that were trained before on much else it is often no
worse than what measures importance, so it is the yardstick for the others.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecl.workstation.quadratic import Mode, Outputs, Quadratic


class Penalty(Quadratic):
    """Guards from the first step on: it needs to have seen nothing."""

    def __init__(self, params: Mapping[str, nn.Parameter], strength: float, mode: Mode = "penalty") -> None:
        super().__init__(params, strength, mode)
        self._add(self._measured(()))

    def _measured(self, outputs: Outputs) -> dict[str, Tensor]:
        return {name: torch.ones_like(param) for name, param in self.params.items()}

    def _add(self, measured: Mapping[str, Tensor]) -> None:
        self._set(dict(measured))  # tasks do not add up where nothing is measured
