"""How much what a network says of each example depends on each of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from edgecl.errors import ConsolidationRefused
from edgecl.workstation.quadratic import Outputs


def mean_of_gradients(
    params: Mapping[str, nn.Parameter],
    outputs: Outputs,
    value: Callable[[Tensor, Tensor], Tensor],
    size: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Mean over examples of size(∂value/∂θ), for every parameter.

    Args:
        params: by name.
        outputs: logits (n, K) with their graph and labels (n,), batch by batch. In batches of one example the cost is
            one forward and one backward pass each; in larger ones every example still costs a pass through the batch.
        value: of logits and labels, (n,), one number an example.
        size: of a gradient, element by element.

    Raises:
        ConsolidationRefused: no example was shown.
    """
    total = {name: torch.zeros_like(param) for name, param in params.items()}
    seen = 0
    for logits, labels in outputs:
        values = value(logits, labels)
        for index, one in enumerate(values):
            last = index == len(values) - 1
            gradients = torch.autograd.grad(one, list(params.values()), retain_graph=not last, materialize_grads=True)
            for name, gradient in zip(params, gradients, strict=True):
                total[name] += size(gradient)
        seen += len(values)
    if not seen:
        raise ConsolidationRefused("found no example to measure importances on, expected some; show the network a few")
    return {name: importance / seen for name, importance in total.items()}
