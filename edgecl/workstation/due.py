"""Whether it is time to consolidate: enough lessons since the last time, of each memory by itself."""

from __future__ import annotations

import json
from pathlib import Path

from edgecl.files import write_durably
from edgecl.memory.store import Store

FILE = "last.json"


def newest_lesson(store: Store) -> int:
    """Number of the newest lesson in the memory, 0 where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    return max((lesson.id for lesson in store.history()), default=0)


def lessons_since(folder: Path, source: str, store: Store) -> int:
    """Lessons in the memory after the last one that a consolidation learned from, undone ones aside.

    Args:
        folder: of the home's consolidations.
        source: where the memory is.
        store: the memory.

    Raises:
        StoreError: it cannot be read.
    """
    seen = _noted(folder / FILE).get(source, 0)
    if seen > newest_lesson(store):  # another memory is there by now
        seen = 0
    return sum(lesson.id > seen and lesson.kind == "teach" and lesson.undone_at is None for lesson in store.history())


def remember(folder: Path, source: str, lesson: int) -> None:
    """Note that a consolidation learned from all lessons of the memory at `source` up to `lesson`.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    write_durably(folder / FILE, json.dumps(_noted(folder / FILE) | {source: lesson}, indent=1).encode("utf-8"))


def _noted(path: Path) -> dict[str, int]:
    """By memory, the last lesson; empty where nothing was noted, or it cannot be read: then it is time sooner."""
    try:
        return {str(source): int(lesson) for source, lesson in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
