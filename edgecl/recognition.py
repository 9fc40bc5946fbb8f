"""What has been learned, ready to answer: a head with its rejection and its calibration. A function of the memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import BackboneMismatch
from edgecl.heads import Fit, fit_of
from edgecl.lbfgs import minimise
from edgecl.memory.view import MemoryView
from edgecl.types import Embedding, LinearHead, Prediction, softmax
from edgecl.unknown import UNKNOWN, HeldOut, Rejector, calibrate

TOP = 5
CALIBRATION = 3  # raised where the numbers kept with a head mean something else


@dataclass(frozen=True)
class Scores:
    """The answer for one picture, by class.

    Attributes:
        class_ids: int64 (K,).
        probabilities: float32 (K,), sum 1.
        unknown: in [0, 1], above 0.5 for unknown.
    """

    class_ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    unknown: float

    def prediction(
        self, names: Mapping[int, str], camera: str = "", taken_at: float = 0.0, age: float = 0.0
    ) -> Prediction:
        """The answer in words."""
        best = np.argsort(-self.probabilities, kind="stable")[:TOP]
        top = tuple((names[int(self.class_ids[k])], float(self.probabilities[k])) for k in best)
        label = top[0][0] if top and self.unknown <= UNKNOWN else None
        return Prediction(label, top[0][1] if top else 0.0, top, self.unknown, camera, taken_at, age)


@dataclass(frozen=True)
class Denials:
    """Views that someone said are not of a class, and how far around each that holds.

    A picture that lies closer to such a view than half way to the nearest example of the class is not answered with it.

    Attributes:
        vectors: float32 (M, D), of the views.
        class_ids: int64 (M,), what each is not.
        cosines: float32 (M,), from which similarity on a picture is not of the class either.
    """

    vectors: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    cosines: NDArray[np.float32]

    @classmethod
    def of(cls, view: MemoryView) -> Denials:
        """Those of the memory."""
        cosines = np.zeros(len(view.denied), np.float32)
        for place, (vector, class_id) in enumerate(zip(view.denied, view.denied_ids, strict=True)):
            examples = view.vectors[view.class_ids == class_id]
            nearest = float((examples @ vector).max()) if len(examples) else -1.0
            cosines[place] = (1.0 + min(nearest, 1.0)) / 2.0
        return cls(view.denied, view.denied_ids, cosines)

    def excluded(self, vector: NDArray[np.float32]) -> NDArray[np.int64]:
        """Class ids that a picture embedded as `vector`, float32 (D,), is not answered with."""
        if not len(self.vectors):
            return self.class_ids[:0]
        return self.class_ids[self.vectors @ vector >= self.cosines]


NO_DENIALS = Denials(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Recogniser:
    """A fitted head and what calibrates it. Immutable: a lesson makes a new one, swapped in whole."""

    head: LinearHead
    rejector: Rejector
    held_out: HeldOut
    denials: Denials = NO_DENIALS

    @classmethod
    def fit(cls, view: MemoryView, head_name: str) -> Recogniser | None:
        """Learn all of `view`; None where there is nothing to learn from."""
        if not len(view):
            return None
        fit = fit_of(head_name)
        return cls.of(view, fit(view), fit)

    @classmethod
    def of(cls, view: MemoryView, head: LinearHead, fit: Fit) -> Recogniser:
        """`head`, which `fit` made of the view, with its calibration."""
        return cls(*calibrate(view, head, fit), Denials.of(view))

    def with_new_class(self, view: MemoryView, class_id: int) -> Recogniser:
        """Answer for a class taught a moment ago, before the full fit: one more row, all others as they are.

        The row has the direction that linear discriminant analysis gives it in closed form; its length and bias
        minimise the class-balanced cross-entropy of telling its examples from all others, whose scores stay fixed.

        Args:
            view: the memory with the new class.
            class_id: which must not be in the head yet.
        """
        mine = view.class_ids == class_id
        place = int(np.searchsorted(self.head.class_ids, class_id))
        direction = fit_of("slda")(view).weight[place]
        logits = self.head.logits(view.vectors)
        rivals = logits.max(axis=1) + np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1))
        length, offset = _tell_apart(view.vectors @ direction, rivals, mine)
        head = replace(
            self.head,
            weight=np.insert(self.head.weight, place, length * direction, axis=0),
            bias=np.insert(self.head.bias, place, offset).astype(np.float32),
            class_ids=np.insert(self.head.class_ids, place, class_id),
        )
        mean = view.vectors[mine].mean(axis=0)
        rejector = replace(self.rejector, prototypes=np.insert(self.rejector.prototypes, place, mean, axis=0))
        return replace(self, head=head, rejector=rejector)

    def only(self, class_ids: Collection[int]) -> Recogniser | None:
        """Answer for these classes alone, until it is fitted anew; None if it knows none of them."""
        stay = np.isin(self.head.class_ids, list(class_ids))
        if stay.all():
            return self
        if not stay.any():
            return None
        head = replace(
            self.head, weight=self.head.weight[stay], bias=self.head.bias[stay], class_ids=self.head.class_ids[stay]
        )
        held = np.isin(self.held_out.class_ids, list(class_ids))
        return Recogniser(
            head,
            replace(self.rejector, prototypes=self.rejector.prototypes[stay]),
            HeldOut(self.held_out.class_ids[held], self.held_out.accuracy[held]),
            self.denials,
        )

    def fits(self, dimension: int, class_ids: Collection[int]) -> bool:
        """Whether it can answer for embeddings (D,) of `dimension` with no other classes than these."""
        shape = (len(self.head.class_ids), dimension)
        shapes = (self.head.weight.shape, self.rejector.prototypes.shape)
        known = set(self.head.class_ids.tolist()) <= set(class_ids)
        return known and shapes == (shape, shape) and bool(np.isfinite(self.head.weight).all())

    def scores(self, embedding: Embedding) -> Scores:
        """The answer for one picture.

        Raises:
            BackboneMismatch: the embedding was made by another tail.
        """
        if embedding.tail != self.head.tail:
            raise BackboneMismatch(
                f"found an embedding of tail {embedding.tail[:12]}…, expected {self.head.tail[:12]}…; "
                "the head has to be fitted again for this tail"
            )
        vectors = embedding.vector[None]
        logits = self.head.logits(vectors)
        excluded = np.isin(self.head.class_ids, self.denials.excluded(embedding.vector))
        if excluded.all():
            return Scores(self.head.class_ids, np.zeros(len(excluded), np.float32), 1.0)
        logits[:, excluded] = -np.inf
        unknown = float(self.rejector.scores(vectors, logits)[0])
        return Scores(self.head.class_ids, softmax(logits / np.float32(self.head.temperature))[0], unknown)

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """Named arrays and numbers from which `from_arrays` makes it again."""
        arrays: dict[str, NDArray[Any]] = {
            "weight": self.head.weight,
            "bias": self.head.bias,
            "class_ids": self.head.class_ids,
            "prototypes": self.rejector.prototypes,
            "held_out": self.held_out.accuracy,
            "held_out_ids": self.held_out.class_ids,
            "denied": self.denials.vectors,
            "denied_ids": self.denials.class_ids,
            "denied_cosines": self.denials.cosines,
        }
        numbers = {
            "calibration": CALIBRATION,
            "temperature": self.head.temperature,
            "logit_middle": self.rejector.logit_middle,
            "logit_spread": self.rejector.logit_spread,
            "distance_middle": self.rejector.distance_middle,
            "distance_spread": self.rejector.distance_spread,
            "threshold": self.rejector.threshold,
        }
        return arrays, numbers

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        numbers: Mapping[str, float],
        *,
        tail: str,
        revision: int,
        name: str,
    ) -> Recogniser:
        """The inverse of `to_arrays`.

        Raises:
            KeyError, TypeError, ValueError, BackboneMismatch: it was written by another version, or is damaged.
        """
        left = dict(numbers)
        if left.pop("calibration", None) != CALIBRATION:
            raise ValueError("found a head that was calibrated in another way")
        head = LinearHead(
            np.asarray(arrays["weight"], np.float32),
            np.asarray(arrays["bias"], np.float32),
            np.asarray(arrays["class_ids"], np.int64),
            tail,
            revision,
            name,
            left.pop("temperature"),
        )
        held_out = HeldOut(np.asarray(arrays["held_out_ids"], np.int64), np.asarray(arrays["held_out"], np.float64))
        denials = Denials(
            np.asarray(arrays["denied"], np.float32),
            np.asarray(arrays["denied_ids"], np.int64),
            np.asarray(arrays["denied_cosines"], np.float32),
        )
        return cls(head, Rejector(np.asarray(arrays["prototypes"], np.float32), **left), held_out, denials)


def _tell_apart(
    along: NDArray[np.float32], rivals: NDArray[np.float32], mine: NDArray[np.bool_]
) -> tuple[np.float32, np.float32]:
    """Length a and offset b for which a·along + b exceeds the rivals' log-sum for `mine` alone."""
    shares = np.where(mine, 0.5 / max(mine.sum(), 1), 0.5 / max((~mine).sum(), 1)).astype(np.float32)
    middle, scatter = along.mean(), max(along.std(), np.float32(1e-6))  # one step size then fits both numbers
    design = np.stack([(along - middle) / scatter, np.ones_like(along)], axis=1)

    def loss(point: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        lead = design @ point - rivals
        value = shares @ (np.logaddexp(0.0, lead) - mine * lead)
        slope = design.T @ (shares * (1.0 / (1.0 + np.exp(np.clip(-lead, -30.0, 30.0))) - mine))
        return float(value) + 5e-4 * float(point @ point), (slope + 1e-3 * point).astype(np.float32)

    best = minimise(loss, np.zeros(2, np.float32), 1e-4).point
    return best[0] / scatter, best[1] - best[0] * middle / scatter
