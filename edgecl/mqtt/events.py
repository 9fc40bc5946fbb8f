"""What happened between two looks at the daemon. Pure: what was there when the first look was taken is no event."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from edgecl.daemon.snapshots import State
from edgecl.records import of_lesson
from edgecl.types import Lesson

LOOK_BACK = 50  # lessons
WORDS = {
    "teach": "taught",
    "correct": "corrected",
    "rename": "renamed",
    "merge": "merged",
    "deny": "denied",
    "drop": "dropped",
    "forget": "forgotten",
}
UNDONE, CLASS_ADDED, RELEASE, NEWS = "undone", "class_added", "release", "news"

Record = dict[str, Any]


class Events:
    """Remembers the look before."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._undone_at: dict[int, float | None] | None = None  # by number of the lesson

    def of_state(self, state: State) -> list[Record]:
        """Classes that were added, another release, and words of the daemon."""
        before, self._state = self._state, state
        if before is None or before is state:
            return []
        known = {one.id for one in before.classes}
        found = [_event(CLASS_ADDED, label=one.name, class_id=one.id) for one in state.classes if one.id not in known]
        if state.release != before.release:
            found.append(_event(RELEASE, release=state.release, before=before.release))
        return found + [
            {"event": NEWS, "at": at, "text": text} for at, text in state.news if (at, text) not in before.news
        ]

    def of_lessons(self, lessons: Sequence[Lesson]) -> list[Record]:
        """Lessons that were given or taken back.

        Args:
            lessons: the newest, newest first.
        """
        before, self._undone_at = self._undone_at, {one.id: one.undone_at for one in lessons}
        if before is None:
            return []
        last, found = max(before, default=0), []
        for one in reversed(lessons):
            if one.id > last:
                found.append(_event(WORDS.get(one.kind, one.kind), lesson=of_lesson(one)))
            if one.undone_at is not None and (one.id > last or before.get(one.id, one.undone_at) is None):
                found.append(_event(UNDONE, lesson=of_lesson(one)))
        return found


def _event(name: str, **more: Any) -> Record:
    return {"event": name, "at": time.time(), **more}
