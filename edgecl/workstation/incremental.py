"""Learning lesson after lesson with PyTorch: what every published strategy has in common, so that they can be compared.

The same tail, a linear head on its embeddings, the same optimiser. A strategy differs in what it does about what the
earlier lessons taught, and says so by overriding as little of this as it can.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgecl.errors import ConsolidationRefused
from edgecl.workstation.nets import EMBEDDING_CHANNELS, Tail
from edgecl.workstation.quadratic import Quadratic

MOMENTUM = 0.9
WARM_UP = 0.1  # share of a lesson's steps; a step too large at the beginning is not made good again
TEMPERATURE = 1 / 16  # an embedding has length 1: without this, a softmax over it could hardly be sure of anything
ROWS_AT_A_TIME = 64
ASKED = 128  # examples of a lesson on which importance is measured: each costs a backward pass


@dataclass(frozen=True)
class Settings:
    """How a strategy trains.

    Attributes:
        rate: largest learning rate of the head.
        tail_rate: largest learning rate of the tail in the first lesson.
        tail_rate_later: the same in every later lesson.
        epochs: passes over each lesson.
        batch: examples a step.
        strength: of whatever the strategy does against forgetting; 0 for nothing.
    """

    rate: float = 0.01
    tail_rate: float = 0.003
    tail_rate_later: float = 0.003
    epochs: int = 2
    batch: int = 8
    strength: float = 0.0


class Incremental:
    """A tail and a head that are taught lesson after lesson.

    The statistics of batch normalisation stay as they were: those of a lesson are not those of all that was taught.

    Attributes:
        defaults: settings chosen on training pictures held out.
        tail: a copy of the one handed in.
        head: embedding times 1/TEMPERATURE (N, D) → logits (N, classes).
        penalty: what it costs to move parameters, None where that costs nothing.
        taught: bool (classes,), which classes came up so far.
        lessons: how many were learned.
    """

    defaults: ClassVar[Settings] = Settings()

    def __init__(self, tail: Tail, classes: int, settings: Settings | None = None, seed: int = 0) -> None:
        """Start from `tail`, which is not changed, with nothing taught.

        Args:
            tail: latent float32 (N, C, h, w) → embedding float32 (N, 1280) of length 1.
            classes: how many there will be in all; labels are 0 … classes − 1.
            settings: None for the strategy's own.
            seed: of the order of examples within a lesson, and of whatever else is drawn.
        """
        self.settings = settings or self.defaults
        self.tail = copy.deepcopy(tail).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.head = self._new_head(classes)
        self.penalty = self._new_penalty()
        self.taught = torch.zeros(classes, dtype=torch.bool)
        self.lessons = 0
        self.random = torch.Generator().manual_seed(seed)

    def _new_head(self, classes: int) -> nn.Module:
        head = nn.Linear(EMBEDDING_CHANNELS, classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head

    def _new_penalty(self) -> Quadratic | None:
        return None

    # What is asked of it

    def learn(self, latents: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Learn one lesson, which will not be shown again.

        Args:
            latents: (N, C, h, w).
            labels: (N,), in 0 … classes − 1.

        Raises:
            ConsolidationRefused: the arrays do not fit together, or training went out of bounds.
        """
        self._check(latents, labels)
        shown, answers = _image(latents), torch.from_numpy(labels)
        before = self.taught.clone()
        self.taught[answers] = True
        self._begin(answers, before)
        self._train(shown, answers)
        self._end(shown, answers)
        self.lessons += 1

    def logits(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (N, classes) of latents (N, C, h, w); −∞ for classes that did not come up yet."""
        with torch.no_grad():
            parts = [self._answer(self.embed(part)) for part in torch.split(_image(latents), ROWS_AT_A_TIME)]
            scores = torch.cat(parts).masked_fill(~self.taught, -math.inf)
        result: NDArray[np.float32] = scores.numpy()
        return result

    @property
    def examples_kept(self) -> int:
        """How many latents it keeps from lesson to lesson."""
        return 0

    @property
    def numbers_kept(self) -> int:
        """How many float32 it keeps from lesson to lesson beside tail, head and latents."""
        if self.penalty is None:
            return 0
        return 2 * sum(param.numel() for param in self.penalty.params.values())  # where it was, how much it mattered

    # What a strategy may do otherwise

    @property
    def tail_rate(self) -> float:
        """Largest learning rate of the tail in this lesson; 0 where it is frozen."""
        return self.settings.tail_rate if self.lessons == 0 else self.settings.tail_rate_later

    def _begin(self, labels: Tensor, before: Tensor) -> None:
        """Called before a lesson, with its labels and a mask of the classes taught before."""

    def _end(self, latents: Tensor, labels: Tensor) -> None:
        """Called after a lesson, with all of it."""
        if self.penalty is not None:
            self.penalty.end(self._outputs(latents, labels))

    def _outputs(self, latents: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """What the net says of some examples of the lesson, one by one, for penalties that ask it."""
        for row in torch.randperm(len(labels), generator=self.random)[:ASKED, None]:
            yield self.head(self.embed(latents[row])).masked_fill(~self.taught, -math.inf), labels[row]

    def _loss(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Loss of a batch, `rows` being its places in the lesson: cross-entropy among the classes taught so far."""
        return F.cross_entropy(self.head(embeddings).masked_fill(~self.taught, -math.inf), labels)

    def _answer(self, embeddings: Tensor) -> Tensor:
        """Logits that are given out."""
        logits: Tensor = self.head(embeddings)
        return logits

    # How it is done

    def embed(self, latents: Tensor) -> Tensor:
        """What the head reads, (N, D)."""
        embeddings: Tensor = self.tail(latents) / TEMPERATURE
        return embeddings

    def embed_all(self, latents: Tensor) -> Tensor:
        """The same for many at once, without a graph."""
        with torch.no_grad():
            return torch.cat([self.embed(part) for part in torch.split(latents, ROWS_AT_A_TIME)])

    def _train(self, latents: Tensor, labels: Tensor) -> None:
        frozen = self.tail_rate == 0.0
        inputs = self.embed_all(latents) if frozen else latents
        groups = [{"params": list(self.head.parameters()), "lr": self.settings.rate}]
        if not frozen:
            groups.append({"params": list(self.tail.parameters()), "lr": self.tail_rate})
        optimizer = torch.optim.SGD(groups, momentum=MOMENTUM)
        steps = self.settings.epochs * math.ceil(len(labels) / self.settings.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_rate(step, steps))
        for _ in range(self.settings.epochs):
            for rows in torch.split(torch.randperm(len(labels), generator=self.random), self.settings.batch):
                shown = inputs[rows] if frozen else self.embed(inputs[rows])
                self._step(self._loss(shown, labels[rows], rows), optimizer)
                schedule.step()

    def _step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if self.penalty is not None:
            loss = loss + self.penalty.loss()
        if not bool(torch.isfinite(loss)):
            raise ConsolidationRefused(
                f"found a loss of {loss.item()} in lesson {self.lessons + 1}, expected a number; "
                "choose a smaller rate or strength"
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.penalty is not None:
            self.penalty.after_backward()
        optimizer.step()
        if self.penalty is not None:
            self.penalty.after_step()

    def _check(self, latents: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        classes = len(self.taught)
        if latents.ndim != 4 or latents.dtype != np.float32 or labels.shape != (len(latents),) or not len(labels):
            raise ConsolidationRefused(
                f"found latents of shape {latents.shape} and type {latents.dtype} with labels of {labels.shape}, "
                "expected (N, C, h, w) of float32 and (N,) with N > 0"
            )
        if labels.min() < 0 or labels.max() >= classes:
            raise ConsolidationRefused(
                f"found labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}; "
                "make the strategy with more classes"
            )


def parameters_of(**modules: nn.Module) -> dict[str, nn.Parameter]:
    """All parameters of `modules`, by name: `tail.conv.0.weight`."""
    return {
        f"{prefix}.{name}": param for prefix, module in modules.items() for name, param in module.named_parameters()
    }


def _image(latents: NDArray[np.float32]) -> Tensor:
    # In this order of memory the convolutions of the tail take two thirds of the time.
    return torch.from_numpy(latents).contiguous(memory_format=torch.channels_last)


def _share_of_rate(step: int, steps: int) -> float:
    """Up in a line, down by half a cosine."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
