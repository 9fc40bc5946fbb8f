"""Learning without forgetting: say of the new pictures what the net said before (Li and Hoiem, 2016, arXiv 1606.09282).

Loss = (1 − λ)·cross-entropy + λ·T²·KL(before ‖ now) with both softened by T = 2 and over the classes taught before.
There is one head, so λ has to grow with what there is to lose, as in the single-incremental-task variant (Maltoni and
Lomonaco, 2019, arXiv 1806.08568); here it is the strength times the share of the known classes that are older than the
lesson.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecl.workstation.incremental import Incremental, Settings

SOFTENING = 2.0  # T


class Strategy(Incremental):
    """The net itself remembers: before a lesson it is asked about the lesson's pictures, and held to what it said."""

    defaults = Settings(tail_rate_later=0.0003, strength=1.0)
    _before: Tensor
    _said: Tensor

    def _begin(self, labels: Tensor, before: Tensor) -> None:
        self._before = before

    def _train(self, latents: Tensor, labels: Tensor) -> None:
        with torch.no_grad():
            self._said = self.head(self.embed_all(latents))[:, self._before] / SOFTENING
        super()._train(latents, labels)
        del self._said

    @property
    def share(self) -> float:
        """λ in this lesson."""
        return self.settings.strength * float(self._before.sum() / self.taught.sum())

    def _loss(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        logits = self.head(embeddings)
        loss = F.cross_entropy(logits.masked_fill(~self.taught, -math.inf), labels)
        if self.share == 0.0:
            return loss
        now = F.log_softmax(logits[:, self._before] / SOFTENING, dim=1)
        said = F.log_softmax(self._said[rows], dim=1)
        distance = F.kl_div(now, said, reduction="batchmean", log_target=True)
        return (1 - self.share) * loss + self.share * SOFTENING**2 * distance
