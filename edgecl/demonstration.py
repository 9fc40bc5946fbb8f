"""A demonstration that checks itself: classes are taught one after the other, and none may be forgotten.

What is taught and what is asked come from the same photographs, but from different hands holding the camera.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgecl.cameras.footage import footage
from edgecl.cameras.sample import photograph, pose, view
from edgecl.errors import InputRefused
from edgecl.home import Home
from edgecl.learner import Learner
from edgecl.types import Frame

CLASSES = ("cat", "coffee", "astronaut", "motorcycle")
STRANGERS = ("rocket", "coins")  # never taught
TAUGHT_S = 8.0  # of each class: as long as someone turns a thing before the camera
ASKED_FRAMES = 20  # of each class, after each lesson
ASKED_EVERY_S = 0.7
ACCURACY_MIN = 0.9
FORGETTING_MAX = 0.02
TEACHING_SEED, ASKING_SEED = 1, 1001

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ClassResult:
    """How one class fared. Accuracies are in [0, 1], on frames that were not taught.

    Attributes:
        label: the class.
        kept: examples.
        accuracy_then: right after its lesson.
        accuracy_now: after the last lesson.
        forgetting: the best accuracy it ever had since its lesson less the last; below 0 never.
        first_ms: from its last frame to the first answer.
        full_ms: from its last frame until all was learned.
    """

    label: str
    kept: int
    accuracy_then: float
    accuracy_now: float
    forgetting: float
    first_ms: float
    full_ms: float


@dataclass(frozen=True)
class Demonstration:
    """What came of it.

    Attributes:
        classes: in the order in which they were taught.
        unknown_rejected: share of the frames of never-taught photographs that were called unknown.
        survived_restart: whether all answers were the same after the home was closed and opened again.
    """

    classes: tuple[ClassResult, ...]
    unknown_rejected: float
    survived_restart: bool

    @property
    def mean_accuracy(self) -> float:
        """At the end, over all classes."""
        return statistics.fmean(one.accuracy_now for one in self.classes)

    @property
    def forgetting(self) -> float:
        """Mean over all classes but the last, which could not be forgotten yet."""
        return statistics.fmean(one.forgetting for one in self.classes[:-1])

    @property
    def passed(self) -> bool:
        """Whether the promise was kept."""
        return self.mean_accuracy >= ACCURACY_MIN and self.forgetting <= FORGETTING_MAX and self.survived_restart


@dataclass(frozen=True)
class _Taught:
    label: str
    kept: int
    first_ms: float
    full_ms: float


def demonstrate(home: Home, say: Say = lambda what, done, of: None) -> Demonstration:
    """Run it in `home`, whose memory has to be empty; `say` gets what is being done, and how far it is.

    Raises:
        InputRefused: something was taught in this home before.
        ExtraMissing: the photographs are not installed.
    """
    taught: list[_Taught] = []
    accuracies: dict[str, list[float]] = {label: [] for label in CLASSES}
    with home.learner() as learner:
        if learner.names:
            raise InputRefused(
                f"found {len(learner.names)} classes in {home.folder}, expected a home where nothing was taught yet; "
                "leave out --home, or name a new folder"
            )
        for number, label in enumerate(CLASSES):
            say(f"teaching {label}", number, len(CLASSES))
            taught.append(_teach(learner, label))
            say(f"asking after the lesson on {label}", number, len(CLASSES))
            for known in CLASSES[: number + 1]:
                answers = _answers(learner, known)
                accuracies[known].append(answers.count(known) / len(answers))
        say("asking about what was never taught", len(CLASSES) - 1, len(CLASSES))
        before = _all_answers(learner)
    say("starting again", len(CLASSES) - 1, len(CLASSES))
    with home.learner() as learner:
        after = _all_answers(learner)
    strange = [label for stranger in STRANGERS for label in before[stranger]]
    return Demonstration(
        tuple(_result(one, accuracies[one.label]) for one in taught),
        strange.count(None) / len(strange),
        before == after,
    )


def _result(taught: _Taught, course: list[float]) -> ClassResult:
    return ClassResult(
        taught.label, taught.kept, course[0], course[-1], max(course) - course[-1], taught.first_ms, taught.full_ms
    )


def _teach(learner: Learner, label: str) -> _Taught:
    burst = learner.burst()
    for found in footage(f"sample://{label}?seed={TEACHING_SEED}", learner.settings.camera, seconds=TAUGHT_S):
        if isinstance(found, Frame):
            burst.add(found)
    report = learner.teach(label, burst, "camera")
    return _Taught(label, report.lesson.kept, report.first_ms, report.full_ms)


def _all_answers(learner: Learner) -> dict[str, list[str | None]]:
    return {label: _answers(learner, label) for label in (*CLASSES, *STRANGERS)}


def _answers(learner: Learner, label: str) -> list[str | None]:
    return [learner.predict(frame).label for frame in _asked(label)]


def _asked(label: str) -> Iterator[Frame]:
    for number in range(ASKED_FRAMES):
        image = view(photograph(label), pose(ASKING_SEED, number * ASKED_EVERY_S))
        yield Frame(image, time.time(), time.monotonic(), label, number)
