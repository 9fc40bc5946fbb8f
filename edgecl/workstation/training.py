"""Training the tail, and a head that is thrown away afterwards, by cross-entropy and a penalty on the tail alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgecl.errors import ConsolidationRefused
from edgecl.workstation.material import Material
from edgecl.workstation.nets import Tail
from edgecl.workstation.quadratic import Quadratic
from edgecl.workstation.renormalisation import renormalised

AT_A_TIME = 64  # latents in one forward pass without gradients
MEASURED = 400  # examples that importances are measured on: each costs a pass of its own
WARM_UP_STEPS = 600  # of the head alone, on fixed features: a second
WARM_UP_RATE = 0.1


@dataclass(frozen=True)
class Plan:
    """How the tail is trained.

    Rate, clip and patience are chosen on held-out views of training pictures, see docs/decisions/0013. Epochs,
    smoothing and dropout come from a first trial on grocery, which looked at its test pictures; they were not chosen
    anew.

    Attributes:
        epochs: passes through the material.
        rate: largest learning rate; it rises over the first tenth and falls along half a cosine.
        batch: examples in a step, of as many classes as possible.
        momentum: of stochastic gradient descent.
        clip: longest gradient that a step takes, of the tail and of the head by itself; a longer one is shortened.
        label_smoothing: share of the target that is spread over all classes.
        dropout: share of the features that the head does not see.
        noise: standard deviation added to latents, in standard deviations of the batch.
        patience: epochs in a row without a new least held-out loss after which training ends early.
        batch_renorm: let batch normalisation follow the data, slowly, instead of leaving it as it is.
        minutes: the epochs end in about this time, the learning rate falling accordingly; None for no limit.
        seed: of everything random.
    """

    epochs: int = 8
    rate: float = 0.05
    batch: int = 32
    momentum: float = 0.9
    clip: float = 3.0
    label_smoothing: float = 0.1
    dropout: float = 0.2
    noise: float = 0.0
    patience: int = 3
    batch_renorm: bool = False
    minutes: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """What one epoch was like.

    Attributes:
        number: from 1.
        loss: mean cross-entropy, with smoothing.
        penalty: mean of the penalty.
        held_out_loss: cross-entropy of the head in training on what is held out.
        seconds: that it took.
    """

    number: int
    loss: float
    penalty: float
    held_out_loss: float
    seconds: float


@dataclass(eq=False)
class Training:
    """The tail in training. `epochs` goes on from wherever this stands, so it can be stopped, kept and taken up again.

    Attributes:
        tail: which is changed.
        head: features → class scores; only cross-entropy reaches it.
        material: to learn from.
        held: the part of it, bool (N,), that is not trained on.
        penalty: on the tail's parameters, or None.
        plan: how.
        done: epochs so far.
    """

    tail: Tail
    head: nn.Module
    material: Material
    held: NDArray[np.bool_]
    penalty: Quadratic | None
    plan: Plan
    done: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = next(self.tail.parameters()).device
        self._fit = np.flatnonzero(~self.held)
        self._rng = np.random.default_rng(self.plan.seed)
        self._noise = torch.Generator().manual_seed(self.plan.seed)
        self._optimizer = torch.optim.SGD(self._parameters(), lr=self.plan.rate, momentum=self.plan.momentum)

    # The two halves of a training

    def begin(self) -> None:
        """Fit the head to the features as they are, so that its first steps do not shake the tail."""
        features = self.features(self.material, self._fit)
        labels = self._labels(self._fit)
        optimizer = torch.optim.SGD(self.head.parameters(), lr=WARM_UP_RATE, momentum=self.plan.momentum)
        for chosen in self._balanced(WARM_UP_STEPS, 2 * self.plan.batch):
            rows = torch.from_numpy(np.searchsorted(self._fit, chosen))
            loss = F.cross_entropy(self.head(features[rows]), labels[rows], label_smoothing=self.plan.label_smoothing)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()

    def epochs(self, step: Callable[[int, int], None] | None = None) -> Iterator[Epoch]:
        """Train, epoch by epoch, until the plan is carried out, time is up or what is held out gets worse.

        Args:
            step: called with steps done and steps in all.

        Raises:
            ConsolidationRefused: the loss is not finite.
        """
        steps = math.ceil(len(self._fit) / self.plan.batch)
        total = steps * self.plan.epochs
        spent = sum(epoch.seconds for epoch in self.done)
        while len(self.done) < self.plan.epochs and not self._worsens() and self._share_of_time(spent) < 1.0:
            begun = time.monotonic()
            losses: list[tuple[float, float]] = []
            batches = self._balanced(steps, self.plan.batch)
            for number, rows in enumerate(batches, len(self.done) * steps):
                elapsed = spent + time.monotonic() - begun
                progress = max(number / total, self._share_of_time(elapsed))
                if progress >= 1.0 and losses:
                    break
                self._set_rate(progress)
                losses.append(self._step(rows))
                if step is not None:
                    step(number + 1, total)
            loss, penalty = np.mean(losses, axis=0).tolist()
            held_out_loss = self.held_out_loss()
            self._begin_to_guard()
            seconds = time.monotonic() - begun
            spent += seconds
            self.done.append(Epoch(len(self.done) + 1, loss, penalty, held_out_loss, seconds))
            yield self.done[-1]

    # One step

    def _step(self, rows: NDArray[np.int64]) -> tuple[float, float]:
        """One step on the examples `rows`; gives cross-entropy and penalty."""
        with renormalised(self.tail, self.plan.batch_renorm):
            loss = self._cross_entropy(rows)
        price = self.penalty.loss() if self.penalty is not None else torch.zeros((), device=self.device)
        if not torch.isfinite(loss + price):
            raise self._diverged(f"cross-entropy {loss.item():g}, penalty {price.item():g}")
        self._optimizer.zero_grad()
        torch.autograd.backward(loss + price)
        if self.penalty is not None:
            self.penalty.after_backward()
        for part in (self.tail, self.head):  # together, the tail's penalty would shorten the head's step
            nn.utils.clip_grad_norm_(part.parameters(), self.plan.clip)
        self._optimizer.step()
        if self.penalty is not None:
            self.penalty.after_step()
        return loss.item(), price.item()

    def _diverged(self, losses: str) -> ConsolidationRefused:
        return ConsolidationRefused(
            f"found a loss that is not finite in epoch {len(self.done) + 1} ({losses}), expected numbers: the training "
            "diverged; choose a smaller rate or strength (nothing was changed)"
        )

    def _cross_entropy(self, rows: NDArray[np.int64]) -> Tensor:
        latents = self.material.real(rows)
        flipped = torch.from_numpy(self._rng.random(len(rows)) < 0.5)[:, None, None, None]
        latents = torch.where(flipped, latents.flip(3), latents)  # seen in a mirror it counts alike
        if self.plan.noise:
            scatter = self.plan.noise * latents.std()
            latents = latents + scatter * torch.randn(latents.shape, generator=self._noise)
        features = self.tail.features(latents.to(self.device, memory_format=torch.channels_last))
        kept = torch.rand(features.shape, generator=self._noise) >= self.plan.dropout
        features = features * kept.to(self.device) / (1.0 - self.plan.dropout)
        return F.cross_entropy(self.head(features), self._labels(rows), label_smoothing=self.plan.label_smoothing)

    def _balanced(self, batches: int, size: int) -> Iterator[NDArray[np.int64]]:
        """So many batches of `size` examples, in which every class comes as often as any other.

        Round by round each class gives its next example, the classes in random order; a class whose examples are all
        shown begins anew, in another order.
        """
        rows = self.material.rows[self._fit]
        queues: list[list[int]] = [[] for _ in self.material.names]
        classes = np.unique(rows)
        waiting: list[int] = []
        for _ in range(batches):
            while len(waiting) < size:
                for k in self._rng.permutation(classes):
                    queues[k] = queues[k] or self._rng.permutation(self._fit[rows == k]).tolist()
                    waiting.append(queues[k].pop())
            yield np.array(waiting[:size], np.int64)
            del waiting[:size]

    # The schedule

    def _set_rate(self, progress: float) -> None:
        rising = min(progress / 0.1 + 1e-2, 1.0)
        falling = 0.5 * (1.0 + math.cos(math.pi * max(progress - 0.1, 0.0) / 0.9))
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate * min(rising, falling)

    def _share_of_time(self, seconds: float) -> float:
        return 0.0 if self.plan.minutes is None else seconds / (60.0 * self.plan.minutes)

    def _worsens(self) -> bool:
        """Whether the held-out loss was lowest more than `patience` epochs ago."""
        losses = [epoch.held_out_loss for epoch in self.done]
        earlier, last = losses[: -self.plan.patience], losses[-self.plan.patience :]
        return bool(earlier) and min(last) >= min(earlier)

    def _begin_to_guard(self) -> None:
        """A penalty that knows of no earlier task takes the first epoch, which was free, for one."""
        if self.penalty is None:
            return
        if not self.penalty.guards:
            self.end()
        self.penalty.check_step(self.plan.rate)

    # What the network says

    def end(self) -> None:
        """The task is over: the penalty measures what mattered, on some of what was trained on."""
        if self.penalty is not None:
            self.penalty.end(self.outputs(self._rng.permutation(self._fit)[:MEASURED]))

    def outputs(self, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
        """Class scores (1, K) with their graph and labels (1,), one example at a time."""
        for row in rows:
            only = np.array([row])
            yield self.head(self.tail.features(self.material.real(only).to(self.device))), self._labels(only)

    def sample_loss(self, examples: int) -> Tensor:
        """Cross-entropy of about so many examples, with its graph, as in a step."""
        return self._cross_entropy(next(self._balanced(1, examples)))

    @torch.no_grad()
    def features(self, material: Material, rows: NDArray[np.int64]) -> Tensor:
        """float32 (n, D), before the root."""
        parts = [rows[start : start + AT_A_TIME] for start in range(0, len(rows), AT_A_TIME)]
        return torch.cat([self.tail.features(material.real(part).to(self.device)) for part in parts])

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Cross-entropy of the head in training on what is held out, mean over classes.

        Raises:
            ConsolidationRefused: it is not finite.
        """
        rows = np.flatnonzero(self.held)
        scores = self.head(self.features(self.material, rows))
        losses = F.cross_entropy(scores, self._labels(rows), reduction="none").cpu().numpy()
        classes = self.material.rows[rows]
        loss = float(np.mean([losses[classes == k].mean() for k in np.unique(classes)]))
        if not math.isfinite(loss):
            raise self._diverged(f"held-out cross-entropy {loss:g}")
        return loss

    def _labels(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.material.rows[rows]).to(self.device)

    # To be taken up again

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and what can be said in JSON, from which `load` goes on as if nothing had been between."""
        tensors = {f"tail.{name}": value for name, value in self.tail.state_dict().items()}
        tensors |= {f"head.{name}": value for name, value in self.head.state_dict().items()}
        for number, param in enumerate(self._parameters()):
            moment = self._optimizer.state[param].get("momentum_buffer")
            if moment is not None:
                tensors[f"momentum.{number}"] = moment
        if self.penalty is not None:
            tensors |= {f"penalty.{name}": value for name, value in self.penalty.state().items()}
        tensors["noise"] = self._noise.get_state()
        told: dict[str, Any] = {"rng": self._rng.bit_generator.state, "done": [vars(epoch) for epoch in self.done]}
        return tensors, told

    def load(self, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
        """Stand where `state` was called.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError, ConsolidationRefused: it is of another training, or damaged.
        """
        self.tail.load_state_dict(_below("tail.", tensors))
        self.head.load_state_dict(_below("head.", tensors))
        for number, param in enumerate(self._parameters()):
            if f"momentum.{number}" in tensors:
                self._optimizer.state[param]["momentum_buffer"] = (
                    torch.empty_like(param).copy_(tensors[f"momentum.{number}"]).detach()
                )
        if self.penalty is not None:
            self.penalty.load(_below("penalty.", tensors))
        self._noise.set_state(tensors["noise"])
        self._rng.bit_generator.state = told["rng"]
        self.done[:] = [Epoch(**epoch) for epoch in told["done"]]

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.tail.parameters(), *self.head.parameters()]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def new_head(dimension: int, classes: int, bias: bool = True) -> nn.Linear:
    """Features (N, D) → scores (N, K), all zero."""
    head = nn.Linear(dimension, classes, bias)
    for param in head.parameters():
        nn.init.zeros_(param)
    return head
