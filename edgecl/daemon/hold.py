"""A lesson while someone holds the button: fed by one camera, ended by them, by the clock, or by their silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.lesson import Burst
from edgecl.types import Frame, Sight

SILENT_S = 2.0  # a page that holds says so twice a second; without its word for so long, it is gone
LONGEST_S = 120.0


@dataclass(frozen=True)
class Count:
    """How far a lesson is; the counts of what is kept are a forecast, the choice is made at its end.

    Attributes:
        hold: its number.
        label: what is taught.
        seen: frames looked at.
        kept: that show something new.
        redundant: good ones that do not.
        reasons: why the others were refused, with counts.
        last: of the newest frame: 'kept', 'redundant', or why it was refused; None before the first.
        left_s: until it ends by itself; None where it ends when they let go.
    """

    hold: int
    label: str
    seen: int
    kept: int
    redundant: int
    reasons: Mapping[str, int]
    last: str | None
    left_s: float | None


class Hold:
    """One lesson being given.

    Attributes:
        number: by which whoever began it names it.
        camera: that is looked through.
        label: what is taught.
        origin: of the lesson, see `Lesson`.
        burst: the frames so far.
    """

    def __init__(
        self,
        number: int,
        camera: str,
        label: str,
        origin: str,
        burst: Burst,
        known: NDArray[np.float32],
        redundant_cosine: float,
        begun: float,
        seconds: float | None,
    ) -> None:
        """Begin.

        Args:
            number: by which it is named.
            camera: that is looked through.
            label: what is taught.
            origin: of the lesson.
            burst: without frames.
            known: float32 (n, D), embeddings of the class's examples.
            redundant_cosine: from this similarity on, a frame shows nothing new.
            begun: s, monotonic.
            seconds: after which it ends by itself; None where whoever began it keeps saying that they still hold.
        """
        self.number, self.camera, self.label, self.origin, self.burst = number, camera, label, origin, burst
        self._fresh, self._redundant_cosine = [*known], redundant_cosine
        self._ends = begun + (LONGEST_S if seconds is None else seconds)
        self._held = seconds is None
        self._heard = begun
        self._kept = self._redundant = 0
        self._last: str | None = None

    def beat(self, now: float) -> None:
        """Whoever began it still holds, at `now` s monotonic."""
        self._heard = max(self._heard, now)

    def look(self, frame: Frame, sight: Sight | None) -> None:
        """Take in one frame."""
        reason = self.burst.add(frame, sight)
        if reason is not None:
            self._last = reason
            return
        vector = self.burst.candidates[-1].vector
        if self._fresh and float((np.stack(self._fresh) @ vector).max()) >= self._redundant_cosine:
            self._redundant += 1
            self._last = "redundant"
        else:
            self._fresh.append(vector)
            self._kept += 1
            self._last = "kept"

    def is_over(self, now: float) -> bool:
        """Whether it ends by itself at `now` s monotonic."""
        return now >= self._ends or (self._held and now - self._heard > SILENT_S)

    def count(self, now: float) -> Count:
        """How far it is."""
        left_s = None if self._held else max(self._ends - now, 0.0)
        seen, reasons = self.burst.seen, dict(self.burst.reasons)
        return Count(self.number, self.label, seen, self._kept, self._redundant, reasons, self._last, left_s)
