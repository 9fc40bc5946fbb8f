"""Synaptic intelligence: a parameter matters by how much of the loss its moves took away.

Over a task, ω = −Σ (∂L_task/∂θ) Δθ per step, and F = ω / ((Δθ of the task)² + ξ): Zenke, Poole and Ganguli, 2017, arXiv
1703.04200. Here it is cut off at 0; in the reference code of AR1 it can fall below, which would push a parameter away.
Only the gradient of the task's own loss is credited, not that of the penalty: what `backward` left is taken for the sum
of both, so it must be one backward pass a step. Where gradients are clipped or scaled on the way to the optimizer,
`after_backward` has to be called before that.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecl.workstation.quadratic import Mode, Outputs, Quadratic

DAMPING = 1e-7  # ξ


class Penalty(Quadratic):
    """Watches every step; at the end of a task it needs to be shown nothing."""

    def __init__(self, params: Mapping[str, nn.Parameter], strength: float, mode: Mode = "penalty") -> None:
        super().__init__(params, strength, mode)
        self._path = {name: torch.zeros_like(param) for name, param in self.params.items()}  # ω
        self._begun = self._copies()  # θ at the beginning of the task
        self._before = self._copies()  # θ before the step
        self._of_task: dict[str, Tensor] = {}  # the task's gradient in this step, once it is known

    def after_backward(self) -> None:
        """As `Quadratic`; what the task's gradient is here, the step will be credited with."""
        self._of_task = self._gradients_of_task()
        super().after_backward()

    @torch.no_grad()
    def after_step(self) -> None:
        """Credit every parameter with what its move took off the task's loss."""
        for name, gradient in (self._of_task or self._gradients_of_task()).items():
            self._path[name] -= gradient * (self.params[name] - self._before[name])
            self._before[name].copy_(self.params[name])
        self._of_task = {}

    @torch.no_grad()
    def _gradients_of_task(self) -> dict[str, Tensor]:
        """The gradients that there are, without the penalty's part: that is known in closed form."""
        return {
            name: param.grad - self.gradient(name, self._before[name])
            for name, param in self.params.items()
            if param.grad is not None
        }

    def end(self, outputs: Outputs = ()) -> None:
        """As `Quadratic`; the next task's path begins here."""
        super().end(outputs)
        self._path = {name: torch.zeros_like(path) for name, path in self._path.items()}
        self._begun, self._before = self._copies(), self._copies()

    def _measured(self, outputs: Outputs) -> dict[str, Tensor]:
        return {
            name: (self._path[name] / ((param.detach() - self._begun[name]).square() + DAMPING)).clamp(min=0)
            for name, param in self.params.items()
        }

    def state(self) -> dict[str, Tensor]:
        """As `Quadratic`, with the path so far: `path.NAME` and `begun.NAME`."""
        path = {f"path.{name}": path for name, path in self._path.items()}
        return super().state() | path | {f"begun.{name}": begun for name, begun in self._begun.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """As `Quadratic`; without a path in `state`, a new one begins."""
        path, begun = self._group(state, "path"), self._group(state, "begun")
        super().load(state)
        self._path = path or {name: torch.zeros_like(param) for name, param in self.params.items()}
        self._begun = begun or self._copies()
        self._before = self._copies()
