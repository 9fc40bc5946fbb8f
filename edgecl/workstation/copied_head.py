"""CWR+: a head that learns each lesson in weights of its own, then copies what it learned beside the rest.

Copy weights with re-init, with zero init and mean shift (Maltoni and Lomonaco, 2019, arXiv 1806.08568), and for classes
that come again its extension CWR* (Lomonaco, Maltoni and Pellegrini, 2020, arXiv 1907.03799).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CopiedHead(nn.Module):
    """Temporary weights tw are trained, consolidated weights cw answer; there is no bias.

    A training step sees every class in its softmax, also those that are not in the lesson: so each lesson's rows share
    a part that sets them off against the absent, which the mean shift takes away before rows of lessons meet.

    Attributes:
        weight: tw, (classes, D).
        consolidated: cw, (classes, D).
        past: int64 (classes,), examples of each class in the lessons before.
    """

    consolidated: Tensor
    past: Tensor

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, dimension))
        self.register_buffer("consolidated", torch.zeros(classes, dimension))
        self.register_buffer("past", torch.zeros(classes, dtype=torch.int64))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (N, classes) while a lesson is trained."""
        return embeddings @ self.weight.T

    def answer(self, embeddings: Tensor) -> Tensor:
        """Logits (N, classes) by all that was consolidated."""
        return embeddings @ self.consolidated.T

    @torch.no_grad()
    def begin(self, known: Tensor | None = None) -> None:
        """Before a lesson: tw ← 0; CWR* alone: tw ← cw for the classes in `known`, which come again."""
        self.weight.zero_()
        if known is not None:
            self.weight[known] = self.consolidated[known]

    @torch.no_grad()
    def end(self, labels: Tensor) -> None:
        """After a lesson with these labels (N,): cw ← (√(past/cur)·cw + tw − mean tw) / (√(past/cur) + 1) per class."""
        current = torch.bincount(labels, minlength=len(self.past))
        learned = current > 0
        shifted = self.weight[learned] - self.weight[learned].mean()
        past_weight = (self.past[learned] / current[learned]).sqrt()[:, None]
        self.consolidated[learned] = (past_weight * self.consolidated[learned] + shifted) / (past_weight + 1)
        self.past += current
