"""Memory aware synapses: a parameter matters by how much the output feels it (Aljundi et al., 2018, arXiv 1711.09601).

F = mean over examples of |∂ ‖f(x)‖² / ∂θ| with f the logits. No label is asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgecl.workstation.quadratic import Outputs, Quadratic
from edgecl.workstation.sensitivity import mean_of_gradients


class Penalty(Quadratic):
    """Asks the network, at the end of a task, about examples of the task; their labels are ignored."""

    def _measured(self, outputs: Outputs) -> dict[str, Tensor]:
        return mean_of_gradients(self.params, outputs, lambda logits, _: logits.square().sum(dim=1), torch.abs)
