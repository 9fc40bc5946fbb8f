"""The last moments of each camera, so that a person who sees a wrong answer can still say what it was."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edgecl.daemon.numbers import Numbers
from edgecl.errors import ItemUnknown
from edgecl.lesson import Candidate
from edgecl.types import Prediction

EVERY_S = 1.0
KEPT = 12  # of each camera


@dataclass(frozen=True)
class Moment:
    """One frame of the last moments.

    Attributes:
        number: rising, never used twice while the daemon runs.
        camera: that saw it.
        candidate: the frame in the form in which it can be taught.
        prediction: what was answered.
    """

    number: int
    camera: str
    candidate: Candidate
    prediction: Prediction


class Moments:
    """The ring of every camera."""

    def __init__(self, numbers: Numbers) -> None:
        self._kept: dict[str, deque[Moment]] = {}
        self._due: dict[str, float] = {}
        self._numbers = numbers

    def is_due(self, camera: str, now: float) -> bool:
        """Whether the frame of this moment, s monotonic, should be kept."""
        return now >= self._due.get(camera, 0.0)

    def keep(self, camera: str, candidate: Candidate, prediction: Prediction, now: float) -> None:
        """Keep a frame."""
        self._due[camera] = now + EVERY_S
        ring = self._kept.setdefault(camera, deque(maxlen=KEPT))
        ring.append(Moment(self._numbers.next("moment"), camera, candidate, prediction))

    def of(self, camera: str) -> list[Moment]:
        """The camera's last moments, newest first."""
        return list(reversed(self._kept.get(camera, ())))

    def find(self, camera: str, number: int) -> Moment:
        """One of them.

        Raises:
            ItemUnknown: it is gone.
        """
        for moment in self._kept.get(camera, ()):
            if moment.number == number:
                return moment
        raise ItemUnknown(
            f"found no moment {number} of {camera}, expected one of its last {KEPT}; it was too long ago, teach it anew"
        )

    def forget(self, camera: str | None = None) -> None:
        """Keep nothing of a camera any more, or of all."""
        for name in [camera] if camera is not None else list(self._kept):
            self._kept.pop(name, None)
