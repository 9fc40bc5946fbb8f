"""CWR+: a head whose rows of earlier lessons are never trained again (Maltoni and Lomonaco, 2019, arXiv 1806.08568).

The tail learns in the first lesson and is frozen then, so that rows and embeddings go on fitting together.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgecl.workstation.copied_head import CopiedHead
from edgecl.workstation.incremental import Incremental, Settings
from edgecl.workstation.nets import EMBEDDING_CHANNELS


class Strategy(Incremental):
    """A `CopiedHead`; the strength means nothing."""

    defaults = Settings(tail_rate_later=0.0, epochs=8)
    head: CopiedHead

    def _new_head(self, classes: int) -> CopiedHead:
        return CopiedHead(EMBEDDING_CHANNELS, classes)

    def _begin(self, labels: Tensor, before: Tensor) -> None:
        self.head.begin()

    def _loss(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        return F.cross_entropy(self.head(embeddings), labels)  # among all classes, as `CopiedHead` wants it

    def _end(self, latents: Tensor, labels: Tensor) -> None:
        super()._end(latents, labels)
        self.head.end(labels)

    def _answer(self, embeddings: Tensor) -> Tensor:
        return self.head.answer(embeddings)

    @property
    def numbers_kept(self) -> int:
        """The temporary weights and the counts, beside what a penalty keeps."""
        return super().numbers_kept + self.head.weight.numel() + len(self.taught)
