"""λ/2 Σ F (θ − θ*)²: the price of moving parameters away from where they were, by how much each mattered.

Every penalty of this project is this form and differs only in how it measures F, the importance. The form holds the
parameters that it was handed and no others: whatever is not among them, a head for one, cannot feel it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from edgecl.errors import ConsolidationRefused

Mode = Literal["penalty", "scale"]
Outputs = Iterable[tuple[Tensor, Tensor]]  # logits (n, K) with their graph, labels int64 (n,)
CLIPPED = 0.99  # quantile of the importances at which they are clipped


class Quadratic:
    """Guards parameters with one importance each.

    A training step is `(loss + penalty.loss()).backward()`, `penalty.after_backward()`, `optimizer.step()`,
    `penalty.after_step()`; the second can be left out in mode 'penalty' where gradients reach the optimizer as they
    are. At the end of a task `penalty.end(…)` measures what mattered in it and drops anchor here.

    Importances of several tasks add up. They are clipped at their 99 % quantile and divided by their mean, so that a
    strength means the same with every way of measuring: it is the stiffness of the average parameter.

    Attributes:
        params: the guarded parameters by name; the scope is this and nothing else.
        strength: λ. In mode 'scale' the share of the gradient, in [0, 1], that the most important parameter loses.
        mode: 'penalty' adds the form to the loss. 'scale' multiplies the gradient by 1 − λ F/max F instead, as the
            authors' configuration of AR1* does (github.com/vlomonaco/core50): what matters learns slowly, and nothing
            is pulled back.
    """

    def __init__(self, params: Mapping[str, nn.Parameter], strength: float, mode: Mode = "penalty") -> None:
        """Guard `params`, from where they are now.

        Raises:
            ConsolidationRefused: nothing to guard, or a strength out of range.
        """
        most = 1.0 if mode == "scale" else math.inf
        if not params:
            raise ConsolidationRefused("found no parameters to guard, expected at least one; hand them in by name")
        frozen = [name for name, param in params.items() if not param.requires_grad]
        if frozen:
            raise ConsolidationRefused(
                f"found {frozen[0]!r} to guard, which takes no gradient, expected what is trained; leave it out"
            )
        if not (math.isfinite(strength) and 0.0 <= strength <= most):
            raise ConsolidationRefused(
                f"found strength {strength}, expected a number from 0 to {most:g} in mode {mode!r}; choose another"
            )
        self.params = dict(params)
        self.strength = strength
        self.mode = mode
        self._anchor = self._copies()
        self._total: dict[str, Tensor] = {}  # importance, summed over tasks, as it was measured
        self._importance: dict[str, Tensor] = {}  # the same, clipped and divided by its mean

    # While training

    @property
    def guards(self) -> bool:
        """Whether anything was found to matter yet; until then nothing has a price."""
        return bool(self._importance)

    @property
    def max_importance(self) -> float:
        """The largest importance, in means; 0 while nothing has one."""
        return max((float(importance.max()) for importance in self._importance.values()), default=0.0)

    def loss(self) -> Tensor:
        """The price, a scalar to add to the loss of the task; 0 in mode 'scale'."""
        total = torch.zeros((), device=next(iter(self.params.values())).device)
        if self.mode == "penalty":
            for name, importance in self._importance.items():
                total = total + (importance * (self.params[name] - self._anchor[name]).square()).sum()
        return self.strength / 2 * total

    def gradient(self, name: str, at: Tensor) -> Tensor:
        """∂loss/∂θ of one guarded parameter in closed form, λ F (θ − θ*), at the value θ = `at`."""
        if self.mode == "scale" or not self.guards:
            return torch.zeros_like(at)
        return self.strength * self._importance[name] * (at - self._anchor[name])

    def shares_taken(self) -> dict[str, Tensor]:
        """In mode 'scale', the share of its gradient that each parameter loses, λ F/max F; else none."""
        if self.mode != "scale" or not self.guards:
            return {}
        largest = self.max_importance
        return {name: self.strength * importance / largest for name, importance in self._importance.items()}

    def after_backward(self) -> None:
        """Called with the gradients as `backward` left them, before they are clipped; mode 'scale' shrinks them."""
        for name, share in self.shares_taken().items():
            gradient = self.params[name].grad
            if gradient is not None:
                gradient.mul_(1.0 - share)

    def after_step(self) -> None:
        """Called after every step of the optimizer."""

    def check_step(self, rate: float) -> None:
        """Whether a step of gradient descent stays on this side of the anchor: λ ≤ 1/(η max F).

        Args:
            rate: η, the largest learning rate that will be used.

        Raises:
            ConsolidationRefused: it would overshoot, and the penalty drive the parameters apart.
        """
        if self.mode == "penalty" and self.strength * rate * self.max_importance > 1.0:
            raise ConsolidationRefused(
                f"found strength {self.strength:g} at learning rate {rate:g}, expected at most "
                f"{1.0 / (rate * self.max_importance):.3g}, which is 1/(η max F) with max F = "
                f"{self.max_importance:.3g}; choose a smaller strength or a smaller rate"
            )

    # Between tasks

    def end(self, outputs: Outputs = ()) -> None:
        """Measure what mattered in the task that ends, add it to what mattered before, drop anchor here.

        Args:
            outputs: what the network says of examples of the task, for penalties that ask it; made while it is read.

        Raises:
            ConsolidationRefused: an importance is not finite.
        """
        self._add(self._measured(outputs))
        self._anchor = self._copies()

    def _measured(self, outputs: Outputs) -> dict[str, Tensor]:
        raise NotImplementedError

    def _add(self, measured: Mapping[str, Tensor]) -> None:
        for name, importance in measured.items():
            if not torch.isfinite(importance).all():
                raise ConsolidationRefused(
                    f"found importances of {name} that are not finite, expected numbers; train with a smaller rate"
                )
        self._set({name: self._total.get(name, 0) + measured[name].clamp(min=0) for name in measured})

    def _set(self, total: dict[str, Tensor]) -> None:
        every = torch.cat([importance.flatten() for importance in total.values()])
        limit = every.kthvalue(max(1, math.ceil(CLIPPED * len(every)))).values  # of any size, unlike torch.quantile
        mean = every.clamp(max=limit).mean()
        if not mean > 0:
            limit, mean = every.max(), every.mean()  # next to nothing matters: then all of that counts
        self._total, self._importance = total, {}
        if mean > 0:
            self._importance = {name: importance.clamp(max=limit) / mean for name, importance in total.items()}

    def _copies(self) -> dict[str, Tensor]:
        return {name: param.detach().clone() for name, param in self.params.items()}

    # On disk

    def state(self) -> dict[str, Tensor]:
        """Everything `load` needs to go on from here: `anchor.NAME` and, once measured, `importance.NAME`."""
        anchors = {f"anchor.{name}": anchor for name, anchor in self._anchor.items()}
        return anchors | {f"importance.{name}": total for name, total in self._total.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state`; without anchors in it, from where the parameters are now.

        Raises:
            ConsolidationRefused: it is of other parameters, or not finite and ≥ 0; nothing was changed.
        """
        groups = {kind: self._group(state, kind) for kind in ("anchor", "importance")}
        if any(bool((importance < 0).any()) for importance in groups["importance"].values()):
            raise ConsolidationRefused("found an importance below 0, expected none; it was written by something else")
        self._anchor = groups["anchor"] or self._copies()
        if groups["importance"]:
            self._set(groups["importance"])

    def _group(self, state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
        """The tensors called `kind`.NAME by NAME: none, or one for every parameter, in its shape, finite."""
        found = {name.removeprefix(f"{kind}."): tensor for name, tensor in state.items() if name.startswith(f"{kind}.")}
        if not found:
            return {}
        shapes = {name: tensor.shape for name, tensor in found.items()}
        expected = {name: param.shape for name, param in self.params.items()}
        if shapes != expected:
            odd = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
            raise ConsolidationRefused(
                f"found {kind} {odd[0]} of shape {list(shapes.get(odd[0], ()))}, expected the guarded parameters with "
                f"{list(expected.get(odd[0], ()))}; this state is of another network"
            )
        if not all(bool(torch.isfinite(tensor).all()) for tensor in found.values()):
            raise ConsolidationRefused(f"found numbers in {kind} that are not finite, expected none; it is damaged")
        # In the order of the parameters, since sums over all of them would else be rounded otherwise.
        return {name: torch.empty_like(param).copy_(found[name]).detach() for name, param in self.params.items()}
