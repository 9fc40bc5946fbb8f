"""What is answered right after each lesson: the accuracies that every figure about forgetting is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecl.evaluate import metrics


class Answers:
    """Accuracy of every class after every lesson, as lesson after lesson is handed in.

    Attributes:
        labels: int64 (N,), right answers to the test pictures, in the order of teaching.
        lessons: the classes of each lesson.
    """

    def __init__(self, labels: NDArray[np.int64], lessons: Sequence[range]) -> None:
        self.labels = labels
        self.lessons = lessons
        self._lesson_of = np.concatenate([np.full(len(classes), k) for k, classes in enumerate(lessons)])
        self._sizes = np.bincount(labels, minlength=len(self._lesson_of))
        self._among_all: list[NDArray[np.float64]] = []
        self._among_earlier: list[NDArray[np.float64]] = []

    @property
    def asked(self) -> NDArray[np.bool_]:
        """(N,), the pictures that can be asked about after the lesson that is handed in next."""
        result: NDArray[np.bool_] = self.labels < self.lessons[len(self._among_all)].stop
        return result

    def add(self, logits: NDArray[np.float32]) -> None:
        """After the next lesson: scores (n, K) of the `asked` pictures, one column for each class taught so far."""
        labels = self.labels[self.asked]
        own = self._lesson_of[labels]
        earlier = np.where(self._lesson_of[: logits.shape[1]] <= own[:, None], logits, -np.inf)
        self._among_all.append(self._share_right(logits, labels))
        self._among_earlier.append(self._share_right(earlier, labels))

    def _share_right(self, scores: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        right = np.bincount(labels[scores.argmax(axis=1) == labels], minlength=len(self._sizes))
        return right / np.maximum(self._sizes, 1)

    def figures(self, names: Sequence[str]) -> dict[str, float | dict[str, float]]:
        """The accuracies of `NewClasses` by the name of the field, after all lessons.

        Args:
            names: of the classes, in the order of teaching.
        """
        known = [classes.stop for classes in self.lessons]
        accuracy = np.stack(self._among_all)
        return {
            "final_accuracy": float((accuracy[-1] * self._sizes).sum() / self._sizes.sum()),
            "average_accuracy": metrics.average_accuracy(accuracy, known),
            "forgetting": metrics.forgetting(accuracy, known),
            "forgetting_among_earlier": metrics.forgetting(np.stack(self._among_earlier), known),
            "per_class": {name: float(accuracy[-1, k]) for k, name in enumerate(names)},
        }
