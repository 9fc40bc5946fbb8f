"""Things that nobody taught and that keep coming back: the frames of each, until a person names it or lets it go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgecl.daemon.numbers import Numbers
from edgecl.errors import ItemUnknown
from edgecl.lesson import Candidate

ALIKE = 0.8  # cosine to the mean of a group, from which on a frame is of the same thing
REDUNDANT = 0.985  # to a frame of the group, from which on it shows nothing new
VIEWS = 5  # different ones before a person is asked
VISITS = 2  # times it has to come: what was there once may be someone passing by
APART_S = 3.0  # between two visits
KEPT_VIEWS = 24
KEPT_GROUPS = 12
STRANGE = 0.6  # unknown score from which on a frame counts


@dataclass
class Group:
    """Frames of one thing.

    Attributes:
        number: rising, never used twice while the daemon runs.
        first_at: s, UTC since the epoch, of its first frame.
        last_at: of its newest.
        visits: how often it came.
        candidates: frames that differ, in the form in which they can be taught.
    """

    number: int
    first_at: float
    last_at: float
    visits: int = 1
    candidates: deque[Candidate] = field(default_factory=lambda: deque(maxlen=KEPT_VIEWS))
    _sum: NDArray[np.float32] | float = 0.0
    _seen: float = 0.0  # s, monotonic

    @property
    def asks(self) -> bool:
        """Whether a person should be asked what it is."""
        return len(self.candidates) >= VIEWS and self.visits >= VISITS

    @property
    def picture(self) -> bytes | None:
        """A JPEG of its middle frame, None where pictures are switched off."""
        return self.candidates[len(self.candidates) // 2].thumbnail

    def likeness(self, vector: NDArray[np.float32]) -> float:
        """Cosine to the mean of its frames."""
        return float(vector @ self._sum / max(float(np.linalg.norm(self._sum)), 1e-9))

    def add(self, candidate: Candidate, now: float) -> None:
        """Take in a frame."""
        self.visits += now - self._seen > APART_S and self._seen > 0.0
        self.last_at, self._seen = candidate.taken_at, now
        vectors = np.stack([one.vector for one in self.candidates]) if self.candidates else None
        if vectors is None or float((vectors @ candidate.vector).max()) < REDUNDANT:
            self.candidates.append(candidate)
            self._sum = self._sum + candidate.vector


def _is_known(group: Group, known: Callable[[NDArray[np.float32]], bool]) -> bool:
    """Whether most of its views are; a few that lie far apart stand for all."""
    views = list(group.candidates)[:: max(1, len(group.candidates) // VIEWS)]
    return 2 * sum(known(view.vector) for view in views) > len(views)


class Newcomers:
    """All groups. They live as long as the daemon: nothing is written before someone names one."""

    def __init__(self, numbers: Numbers) -> None:
        self._groups: list[Group] = []
        self._numbers = numbers

    def see(self, candidate: Candidate, now: float) -> bool:
        """Take in a frame of something unknown; returns whether a person is asked about one more thing than before."""
        best = max(self._groups, key=lambda group: group.likeness(candidate.vector), default=None)
        if best is None or best.likeness(candidate.vector) < ALIKE:
            best = Group(self._numbers.next("newcomer"), candidate.taken_at, candidate.taken_at)
            self._groups.append(best)
            if len(self._groups) > KEPT_GROUPS:  # whoever was away for longest, and not asked about if possible
                self._groups.remove(min(self._groups[:-1], key=lambda group: (group.asks, group.last_at)))
        asked = best.asks
        best.add(candidate, now)
        return best.asks and not asked

    def asking(self) -> list[Group]:
        """The groups that a person is asked about, oldest first."""
        return [group for group in self._groups if group.asks]

    def find(self, number: int) -> Group:
        """One of them.

        Raises:
            ItemUnknown: there is none of this number.
        """
        for group in self._groups:
            if group.number == number:
                return group
        raise ItemUnknown(f"found no new thing {number}, expected one that waits for its name; look again")

    def drop(self, number: int) -> None:
        """Ask about it no more.

        Raises:
            ItemUnknown: there is none of this number.
        """
        self._groups.remove(self.find(number))

    def keep_unknown(self, known: Callable[[NDArray[np.float32]], bool]) -> bool:
        """Ask no more about what was taught since; returns whether anything of it was asked about.

        Args:
            known: whether a frame with this vector, float32 (D,), is of something known by now.
        """
        taught = [group for group in self._groups if _is_known(group, known)]
        for group in taught:
            self._groups.remove(group)
        return any(group.asks for group in taught)

    def forget(self) -> None:
        """Keep nothing."""
        self._groups.clear()
