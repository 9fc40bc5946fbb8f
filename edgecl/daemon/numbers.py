"""Numbers of frames, lessons and the like, as those see them who listen."""

from __future__ import annotations

from collections import Counter


class Numbers:
    """Of each kind 1, 2, 3 … for as long as the daemon runs, also when the memory is put back and a new desk begins.

    Whoever listens takes a lower number than the last one for something old, and the same one for the same thing.
    """

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()

    def next(self, kind: str) -> int:
        """One more of this kind."""
        self._given[kind] += 1
        return self._given[kind]
