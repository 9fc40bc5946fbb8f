"""Whether it is time to consolidate, of each memory by itself: enough new lessons, or more to be had from the old ones.

A consolidation that is accepted seldom has got everything out of a memory: what it became can be trained further, until
a consolidation is refused. docs/decisions/0014 has the figures.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edgecl.files import write_durably
from edgecl.memory.store import Store

FILE = "last.json"


@dataclass(frozen=True)
class Last:
    """What is noted of the last consolidation of a memory.

    Attributes:
        lesson: the newest that it learned from; 0 where there was none yet.
        release: number of the release that it became, None where it was refused.
    """

    lesson: int = 0
    release: int | None = None


def newest_lesson(store: Store) -> int:
    """Number of the newest lesson in the memory, 0 where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    return max((lesson.id for lesson in store.history()), default=0)


def lessons_since(last: Last, store: Store) -> int:
    """Lessons in the memory after `last`, undone ones aside.

    Raises:
        StoreError: the memory cannot be read.
    """
    seen = last.lesson if last.lesson <= newest_lesson(store) else 0  # else another memory is there by now
    return sum(lesson.id > seen and lesson.kind == "teach" and lesson.undone_at is None for lesson in store.history())


def remember(folder: Path, source: str, last: Last) -> None:
    """Note what the last consolidation of the memory at `source` was, in the `folder` of the home's consolidations.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    noted = _noted(folder / FILE) | {source: last}
    content = {name: asdict(one) for name, one in noted.items()}
    write_durably(folder / FILE, json.dumps(content, indent=1).encode("utf-8"))


def last_of(folder: Path, source: str) -> Last:
    """What is noted of the memory at `source`."""
    return _noted(folder / FILE).get(source, Last())


def _noted(path: Path) -> dict[str, Last]:
    """By memory; empty where nothing was noted, or it cannot be read: then it is time sooner."""
    try:
        found = {str(source): Last(**one) for source, one in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    whole = all(type(one.lesson) is int and isinstance(one.release, int | None) for one in found.values())
    return found if whole else {}
