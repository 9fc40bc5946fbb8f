"""Where the gradient of each layer comes from: how much from cross-entropy, how much from the penalty.

The answer to the question this project began with: a term reaches the parameters in its graph and no others. Both
gradients are taken by autograd with respect to all parameters, of tail and head, so a leak would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgecl.workstation.quadratic import Quadratic


@dataclass(frozen=True)
class LayerAudit:
    """One layer.

    Attributes:
        layer: its name; those of the head begin with `head`.
        cross_entropy: L2 norm of the gradient of the cross-entropy.
        penalty: L2 norm of the gradient of the penalty; in mode 'scale', of what the penalty takes off the gradient.
    """

    layer: str
    cross_entropy: float
    penalty: float


def audit(loss: Tensor, penalty: Quadratic | None, tail: nn.Module, head: nn.Module) -> list[LayerAudit]:
    """Compare the two gradients layer by layer, in the order of the network.

    Args:
        loss: cross-entropy of some examples, with its graph.
        penalty: or None.
        tail: whose parameters the penalty may guard.
        head: whose parameters it must not.
    """
    named = {f"tail.{name}": param for name, param in tail.named_parameters()}
    named |= {f"head.{name}": param for name, param in head.named_parameters()}
    from_loss = _gradients(loss, named)
    from_penalty = _gradients(torch.zeros(()) if penalty is None else penalty.loss(), named)
    shares = {} if penalty is None else {id(penalty.params[n]): share for n, share in penalty.shares_taken().items()}
    from_penalty |= {name: shares[id(p)] * from_loss[name] for name, p in named.items() if id(p) in shares}
    layers: dict[str, list[str]] = {}
    for name in named:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return [LayerAudit(layer, _norm(from_loss, names), _norm(from_penalty, names)) for layer, names in layers.items()]


def _gradients(value: Tensor, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """∂value/∂θ of every parameter, 0 where it is not in the graph of `value`."""
    if not value.requires_grad:  # a constant, such as the price of a penalty that guards nothing yet
        return {name: torch.zeros_like(param) for name, param in named.items()}
    found = torch.autograd.grad(value, list(named.values()), retain_graph=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))


def _norm(gradients: Mapping[str, Tensor], names: list[str]) -> float:
    return float(torch.cat([gradients[name].flatten() for name in names]).norm())
