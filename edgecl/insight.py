"""How good the memory is, for a person: what is mixed up with what, what looks mislabelled, what to show next; and why.

Everything is a function of a view of the memory. What is said of an example is said by a head that did not see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.heads import Fit
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser
from edgecl.types import Embedding, LinearHead
from edgecl.unknown import nearest_distance, unlike_halves

FEW = 8  # examples
SHAKY = 0.8  # accuracy
ALIKE = 0.9  # mean cosine between the examples of a class
SURE = 0.6  # probability of another class from which on an example looks mislabelled
SUSPECTS, NEAREST = 24, 6  # named at most
ROUNDS = 12  # of the power iteration


@dataclass(frozen=True)
class Suspect:
    """An example that looks like another class.

    Attributes:
        example: its number.
        label: that it counts as.
        answered: by a head that did not see it.
        probability: of that answer, in [0, 1].
    """

    example: int
    label: str
    answered: str
    probability: float


@dataclass(frozen=True)
class Known:
    """How well a class is known.

    Attributes:
        label: its name.
        class_id: its number.
        examples: kept.
        accuracy: on its left-out half, None with a single example.
        advice: what to do about it, in words; None where nothing is needed.
    """

    label: str
    class_id: int
    examples: int
    accuracy: float | None
    advice: str | None


@dataclass(frozen=True)
class Point:
    """An example on the map: x and y in [0, 1]."""

    example: int
    label: str
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Insight:
    """What there is to say of a memory.

    Attributes:
        classes: by rising number.
        confusion: int64 (K, K), left-out examples by class (rows) and answer (columns).
        suspects: the surest first.
        points: every example.
    """

    classes: tuple[Known, ...]
    confusion: NDArray[np.int64]
    suspects: tuple[Suspect, ...]
    points: tuple[Point, ...]

    @classmethod
    def of(cls, view: MemoryView, recogniser: Recogniser | None, fit: Fit) -> Insight:
        """Look at `view`, which takes two fits.

        Args:
            view: of the memory.
            recogniser: fitted to it; None of an empty memory.
            fit: the head that learns.
        """
        if recogniser is None or not len(view):
            return cls((), np.zeros((0, 0), np.int64), (), ())
        ids = recogniser.head.class_ids
        expected = np.searchsorted(ids, view.class_ids)
        answered, shares = _left_out(view, recogniser.head, fit)
        asked = answered >= 0
        confusion = np.zeros((len(ids), len(ids)), np.int64)
        np.add.at(confusion, (expected[asked], answered[asked]), 1)
        return cls(
            tuple(_known(view, recogniser, confusion, row) for row in range(len(ids))),
            confusion,
            _suspects(view, ids, expected, answered, shares),
            _points(view),
        )


@dataclass(frozen=True)
class Reason:
    """Why a picture was answered as it was.

    Attributes:
        label: the answer, None for unknown.
        probability: of the most probable class.
        unknown_score: see `Prediction`.
        margin: between the two largest scores, in logits; None with one class.
        runner_up: the class with the second largest, or None.
        distance: squared, to the nearest class mean.
        usual_distance: the same for left-out examples, their middle.
        nearest: the taught examples that are most alike: (example, label, cosine).
    """

    label: str | None
    probability: float
    unknown_score: float
    margin: float | None
    runner_up: str | None
    distance: float
    usual_distance: float
    nearest: tuple[tuple[int, str, float], ...]


def reason(view: MemoryView, recogniser: Recogniser, vector: NDArray[np.float32]) -> Reason:
    """Why a picture embedded as `vector`, float32 (D,), is answered as it is."""
    scores = recogniser.scores(Embedding(vector, view.tail))
    prediction = scores.prediction(view.names)
    logits = recogniser.head.logits(vector[None])[0]
    order = np.argsort(-scores.probabilities, kind="stable")
    second = int(order[1]) if len(order) > 1 else None
    distance = nearest_distance(vector[None], recogniser.rejector.prototypes, recogniser.rejector.lengths)
    cosines = view.vectors @ vector
    nearest = np.argsort(-cosines, kind="stable")[:NEAREST]
    return Reason(
        prediction.label,
        prediction.probability,
        prediction.unknown_score,
        None if second is None else float(logits[order[0]] - logits[second]),
        None if second is None else view.names[int(scores.class_ids[second])],
        float(distance[0]),
        recogniser.rejector.distance_middle,
        tuple(
            (int(view.example_ids[row]), view.names[int(view.class_ids[row])], float(cosines[row])) for row in nearest
        ),
    )


def _left_out(view: MemoryView, head: LinearHead, fit: Fit) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For every example the class row (N,) that a head which did not see it answered, −1 if none did; how surely."""
    answered, shares = np.full(len(view), -1, np.int64), np.zeros(len(view), np.float32)
    for left_out in unlike_halves(view):
        if not left_out.any():
            continue
        learned = fit(view.without(left_out))
        logits = learned.logits(view.vectors[left_out]) / np.float32(head.temperature)
        logits -= logits.max(axis=1, keepdims=True)
        likelihood = np.exp(logits)
        best = logits.argmax(axis=1)
        answered[left_out] = np.searchsorted(head.class_ids, learned.class_ids[best])
        shares[left_out] = likelihood[np.arange(len(best)), best] / likelihood.sum(axis=1)
    return answered, shares


def _suspects(
    view: MemoryView,
    ids: NDArray[np.int64],
    expected: NDArray[np.int64],
    answered: NDArray[np.int64],
    shares: NDArray[np.float32],
) -> tuple[Suspect, ...]:
    rows = np.flatnonzero((answered >= 0) & (answered != expected) & (shares >= SURE))
    rows = rows[np.argsort(-shares[rows], kind="stable")][:SUSPECTS]
    names = [view.names[int(class_id)] for class_id in ids]
    return tuple(
        Suspect(int(view.example_ids[row]), names[expected[row]], names[answered[row]], float(shares[row]))
        for row in rows
    )


def _known(view: MemoryView, recogniser: Recogniser, confusion: NDArray[np.int64], row: int) -> Known:
    class_id = int(recogniser.head.class_ids[row])
    mine = view.class_ids == class_id
    accuracy = recogniser.held_out.of(class_id)
    others = confusion[row].copy()
    others[row] = 0
    mixed_up_with = None
    if others.any():
        mixed_up_with = view.names[int(recogniser.head.class_ids[int(others.argmax())])]
    vectors, lessons = view.vectors[mine], np.unique(view.lesson_ids[mine])
    advice = _advice(vectors, len(lessons), accuracy, mixed_up_with)
    return Known(view.names[class_id], class_id, int(mine.sum()), accuracy, advice)


def _advice(
    vectors: NDArray[np.float32], lessons: int, accuracy: float | None, mixed_up_with: str | None
) -> str | None:
    """The one thing that helps most."""
    count = len(vectors)
    if count < FEW:
        return f"only {count} view{'s' if count != 1 else ''}: hold the button longer, and turn the thing"
    if accuracy is not None and accuracy < SHAKY and mixed_up_with is not None:
        return f"mixed up with {mixed_up_with}: show both from the sides on which they differ"
    alike = (float(np.square(vectors.sum(axis=0)).sum()) - count) / (count * (count - 1))
    if alike > ALIKE:
        return "its views are nearly alike: turn it, and change distance and light"
    if lessons < 2:
        return "taught in one go: teach it again at another place, or at another time of day"
    return None


def _points(view: MemoryView) -> tuple[Point, ...]:
    """On the two axes along which classes differ most; where there are fewer than three, along which examples do."""
    centred = view.vectors - view.vectors.mean(axis=0)
    means = np.stack([centred[view.class_ids == class_id].mean(axis=0) for class_id in np.unique(view.class_ids)])
    axes = _directions(means, 2) if len(means) > 2 else _directions(centred, 2)
    places = centred @ axes.T
    low, high = places.min(axis=0), places.max(axis=0)
    places = (places - low) / np.maximum(high - low, 1e-6)
    return tuple(
        Point(int(example), view.names[int(class_id)], round(float(x), 4), round(float(y), 4))
        for example, class_id, (x, y) in zip(view.example_ids, view.class_ids, places, strict=True)
    )


def _directions(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The directions float32 (count, D) in which `rows` (N, D) vary most, by power iteration: all cost too much."""
    dice = np.random.default_rng(0)
    axes = dice.standard_normal((rows.shape[1], count)).astype(np.float32)
    for _ in range(ROUNDS):
        axes, _ = np.linalg.qr(rows.T @ (rows @ axes))
    for column in range(count):  # so that the map is not mirrored from one look to the next
        axes[:, column] *= np.sign(axes[np.abs(axes[:, column]).argmax(), column])
    result: NDArray[np.float32] = axes.T.astype(np.float32)
    return result
