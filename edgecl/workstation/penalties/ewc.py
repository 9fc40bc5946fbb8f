"""Elastic weight consolidation: a parameter matters by its Fisher information.

Kirkpatrick et al., 2017, arXiv 1612.00796.

F = mean over examples of (∂ log p(y|x)/∂θ)², each example's own gradient squared; the square of a batch's gradient is
something else. Tasks add up, as in the online form (Schwarz et al., 2018, arXiv 1805.06370) with γ = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecl.workstation.quadratic import Mode, Outputs, Quadratic
from edgecl.workstation.sensitivity import mean_of_gradients

Fisher = Literal["empirical", "true"]


class Penalty(Quadratic):
    """Asks the network, at the end of a task, about examples of the task.

    Attributes:
        fisher: 'empirical' takes y as it is labelled. 'true' draws y from what the network itself believes of x, which
            is the Fisher information in the sense of statistics (Kunstner, Balles and Hennig, 2019, arXiv 1905.12558).
    """

    def __init__(
        self,
        params: Mapping[str, nn.Parameter],
        strength: float,
        mode: Mode = "penalty",
        fisher: Fisher = "empirical",
    ) -> None:
        super().__init__(params, strength, mode)
        self.fisher = fisher
        self._drawing = torch.Generator().manual_seed(0)

    def _measured(self, outputs: Outputs) -> dict[str, Tensor]:
        return mean_of_gradients(self.params, outputs, self._log_likelihoods, torch.square)

    def _log_likelihoods(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.fisher == "true":
            drawn = torch.multinomial(logits.detach().softmax(dim=1).cpu(), 1, generator=self._drawing)
            labels = drawn.flatten().to(logits.device)
        return -F.cross_entropy(logits, labels, reduction="none")
