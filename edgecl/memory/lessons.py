"""What each kind of lesson does to the memory, and how it is undone.

Undo goes from the newest lesson to older ones, so each reversal finds the memory as its lesson left it, but for what
final lessons did. A lesson is final, and never undone, once it is older than the undoable ones, or once forgetting took
away what it was about.
Every function works inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import ItemUnknown, LabelRefused, NothingKept, NothingToUndo
from edgecl.memory import classes
from edgecl.memory import examples as stored
from edgecl.memory.rows import CLASSES, EXAMPLES, LESSONS, Field, from_json, number, to_json
from edgecl.types import Example, Lesson, check_label


@dataclass(frozen=True)
class LessonDraft:
    """A lesson before it is written.

    Attributes:
        label: the class.
        origin: see Lesson.
        examples: what to keep; `id`, `lesson` and `class_id` are given by the store.
        vectors: float32 (n, D), their embeddings by `tail`.
        tail: sha256.
        seen: frames looked at.
        redundant: of these, good ones that showed nothing new.
        rejected: of these, refused ones.
        reasons: why they were refused, with counts.
        displaced: ids of live examples that make room; undo brings them back.
        taken_at: s, UTC since the epoch.
    """

    label: str
    origin: str
    examples: Sequence[Example]
    vectors: NDArray[np.float32]
    tail: str
    seen: int
    redundant: int
    rejected: int
    reasons: Mapping[str, int]
    taken_at: float
    displaced: Sequence[int] = ()


def lesson_of(row: Mapping[str, Any]) -> Lesson:
    """A row of the table as the caller sees it."""
    detail = {
        name: row[column]
        for name, column in (("example", "example_id"), ("from_class_id", "other_id"), ("from_label", "other_label"))
        if row[column] is not None
    }
    if row["final"]:
        detail["final"] = True
    return Lesson(
        id=row["id"],
        kind=row["kind"],
        class_id=row["class_id"],
        label=row["label"],
        origin=row["origin"],
        seen=row["seen"],
        kept=row["kept"],
        redundant=row["redundant"],
        rejected=row["rejected"],
        reasons=from_json(row["reasons"]),
        taken_at=row["taken_at"],
        undone_at=row["undone_at"],
        detail=detail,
    )


def history(database: sqlite3.Connection, limit: int | None = None, after: float = 0.0) -> tuple[Lesson, ...]:
    """Lessons, newest first."""
    asked = after, -1 if limit is None else limit
    rows = LESSONS.read(database, "WHERE taken_at > ? ORDER BY id DESC LIMIT ?", asked)
    return tuple(lesson_of(row) for row in rows)


def last_taught(database: sqlite3.Connection) -> dict[int, float]:
    """Class id → when the newest lesson about it was given, s, UTC since the epoch; without reading all others."""
    newest = "SELECT max(id) FROM lessons WHERE undone_at IS NULL AND kind IN ('teach', 'correct') GROUP BY class_id"
    return {row["class_id"]: row["taken_at"] for row in LESSONS.read(database, f"WHERE id IN ({newest})")}


def lesson(database: sqlite3.Connection, lesson_id: int) -> Lesson:
    """The lesson with this number."""
    (row,) = LESSONS.read(database, "WHERE id = ?", (lesson_id,))
    return lesson_of(row)


def record(database: sqlite3.Connection, kind: str, class_id: int, label: str, at: float, **more: Field) -> int:
    """Write down a lesson under the next number and return the number."""
    lesson_id = classes.next_id(database, "lessons")
    row: dict[str, Field] = dict.fromkeys(LESSONS.columns)
    row |= {
        "id": lesson_id,
        "kind": kind,
        "class_id": class_id,
        "label": label,
        "origin": "",
        "taken_at": number(at, "taken_at"),
    }
    row |= {"seen": 0, "kept": 0, "redundant": 0, "rejected": 0, "reasons": "{}", "final": int(kind == "forget")}
    LESSONS.insert(database, [tuple((row | more).values())])
    return lesson_id


def teach(database: sqlite3.Connection, draft: LessonDraft) -> int:
    """Take in the examples of one lesson and make room for them.

    Raises:
        NothingKept: no example.
        LabelRefused: the label cannot be one.
        BackboneMismatch, FrameUnusable: see `edgecl.memory.examples.check`.
        ItemUnknown: a displaced example is not live.
    """
    label = check_label(draft.label)
    if not draft.examples:
        raise NothingKept(f"found no example to keep for {label!r}, expected at least one; show it from other sides")
    stored.check(database, draft.examples, draft.vectors, draft.tail)
    known = classes.named(database, label)
    class_id = classes.next_id(database, "classes") if known is None else known
    lesson_id = record(
        database,
        "teach",
        class_id,
        label,
        draft.taken_at,
        origin=draft.origin,
        seen=draft.seen,
        kept=len(draft.examples),
        redundant=draft.redundant,
        rejected=draft.rejected,
        reasons=reasons_text(draft.reasons),
    )
    if known is None:
        classes.create(database, label, lesson_id)
    displace(database, draft.displaced, lesson_id)
    stored.insert(database, draft.examples, draft.vectors, draft.tail, class_id, lesson_id)
    return lesson_id


def deny(database: sqlite3.Connection, draft: LessonDraft) -> int:
    """Take in views that are not of the class, whatever else they show; they never count as examples.

    They are written as examples that the lesson itself displaces: embedded, moved and forgotten with the class.

    Raises:
        ClassUnknown: no class of this name.
        NothingKept, BackboneMismatch, FrameUnusable: see `teach`.
    """
    label = check_label(draft.label)
    if not draft.examples:
        raise NothingKept(f"found no view that is not {label!r}, expected at least one; try again")
    class_id = classes.find(database, label)
    stored.check(database, draft.examples, draft.vectors, draft.tail)
    kept, reasons = len(draft.examples), reasons_text(draft.reasons)
    counts = {"seen": draft.seen, "kept": kept, "redundant": draft.redundant, "rejected": draft.rejected}
    lesson_id = record(
        database, "deny", class_id, label, draft.taken_at, origin=draft.origin, reasons=reasons, **counts
    )
    stored.insert(database, draft.examples, draft.vectors, draft.tail, class_id, lesson_id)
    EXAMPLES.change(database, {"displaced_by": lesson_id}, "WHERE lesson_id = ?", (lesson_id,))
    return lesson_id


def drop(database: sqlite3.Connection, example_id: int, at: float) -> int:
    """Take one example out of the memory; undoing brings it back.

    Raises:
        ItemUnknown: no such example.
    """
    example = live_example(database, example_id)
    class_id = classes.counts_as(database)[example["class_id"]]
    label = classes.live(database)[class_id]
    lesson_id = record(database, "drop", class_id, label, at, example_id=example_id)
    displace(database, [example_id], lesson_id)
    return lesson_id


def displace(database: sqlite3.Connection, example_ids: Sequence[int], lesson_id: int) -> None:
    """Take live examples out of the memory in favour of a lesson; undoing the lesson brings them back.

    Raises:
        ItemUnknown: one of them is not live.
    """
    for example_id in dict.fromkeys(int(n) for n in example_ids):
        row = live_example(database, example_id)
        EXAMPLES.change(database, {"displaced_by": lesson_id}, "WHERE id = ?", (row["id"],))


def live_example(database: sqlite3.Connection, example_id: int) -> dict[str, Any]:
    """The row of an example that is in the memory and not displaced.

    Raises:
        ItemUnknown: there is none with this number.
    """
    if 0 < example_id < 2**63:  # what SQLite can hold
        for row in EXAMPLES.read(database, "WHERE id = ? AND displaced_by IS NULL", (example_id,)):
            return row
    raise ItemUnknown(
        f"found no example {example_id} in the memory, expected one that is kept; list them with: edgecl examples LABEL"
    )


def settle(database: sqlite3.Connection, undoable: int) -> None:
    """Make all but the newest `undoable` lessons final."""
    LESSONS.change(
        database,
        {"final": 1},
        "WHERE id IN (SELECT id FROM lessons WHERE undone_at IS NULL AND final = 0 ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (undoable,),
    )
    drop_unreachable(database)


def drop_unreachable(database: sqlite3.Connection) -> None:
    """Delete the displaced examples that no undo can bring back any more; what is denied stays."""
    database.execute(
        """DELETE FROM examples WHERE displaced_by IN (SELECT id FROM lessons WHERE final = 1)
           AND displaced_by != lesson_id"""
    )


def correct(database: sqlite3.Connection, example_id: int, label: str, at: float) -> int:
    """Count one example as `label`.

    Raises:
        ItemUnknown: no such example.
        LabelRefused: it is of this class already.
    """
    example = live_example(database, example_id)
    before = classes.counts_as(database)[example["class_id"]]
    target = classes.named(database, label)
    if target == before:
        raise LabelRefused(
            f"found example {example_id} in class {label!r} already, expected another class; nothing to do"
        )
    was = classes.live(database)[before]
    class_id = classes.next_id(database, "classes") if target is None else target
    lesson_id = record(
        database, "correct", class_id, label, at, other_id=example["class_id"], other_label=was, example_id=example_id
    )
    if target is None:
        classes.create(database, label, lesson_id)
    EXAMPLES.change(database, {"class_id": class_id}, "WHERE id = ?", (example_id,))
    return lesson_id


def rename(database: sqlite3.Connection, name: str, new: str, at: float) -> int:
    """Give a class another name.

    Raises:
        ClassUnknown: no class `name`.
        LabelRefused: `new` is taken.
    """
    class_id = classes.find(database, name)
    if name == new:
        raise LabelRefused(f"found the class called {new!r} already, expected another name; nothing to do")
    if classes.named(database, new) is not None:
        raise LabelRefused(
            f"found a class {new!r} already, expected a new name for {name!r}; "
            f"to make one class of both use: edgecl classes merge {name!r} {new!r}"
        )
    CLASSES.change(database, {"name": new}, "WHERE id = ?", (class_id,))
    return record(database, "rename", class_id, new, at, other_label=name)


def merge(database: sqlite3.Connection, source: str, target: str, at: float) -> int:
    """Let the examples of `source` count as `target`; its name becomes free.

    Raises:
        ClassUnknown: one of them is no class.
        LabelRefused: both are the same.
    """
    source_id, target_id = classes.find(database, source), classes.find(database, target)
    if source_id == target_id:
        raise LabelRefused(f"found {source!r} as source and target, expected two classes; nothing to do")
    CLASSES.change(database, {"merged_into": target_id}, "WHERE id = ?", (source_id,))
    return record(database, "merge", target_id, target, at, other_id=source_id, other_label=source)


def undo(database: sqlite3.Connection, at: float, lesson: int | None = None) -> int:
    """Take back the newest lesson that can be; returns its number.

    Raises:
        NothingToUndo: there is none, or it is not the `lesson` that was meant.
    """
    newest = list(LESSONS.read(database, "WHERE undone_at IS NULL AND final = 0 ORDER BY id DESC LIMIT 1"))
    if not newest:
        raise NothingToUndo(
            "found no lesson that can be undone; expected one that was not undone yet, is among the newest, and is not "
            "about a forgotten class; see: edgecl history"
        )
    row = newest[0]
    lesson_id: int = row["id"]
    if lesson not in (None, lesson_id):
        raise NothingToUndo(
            f"found lesson {lesson_id} ({row['kind']}, {row['label']!r}) as the newest that can be undone, expected "
            f"lesson {lesson}; undo the newer ones first"
        )
    _REVERSE[row["kind"]](database, row)
    LESSONS.change(database, {"undone_at": number(at, "undone_at")}, "WHERE id = ?", (lesson_id,))
    return lesson_id


def _undo_teach(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    database.execute("DELETE FROM examples WHERE lesson_id = ?", (row["id"],))
    EXAMPLES.change(database, {"displaced_by": None}, "WHERE displaced_by = ?", (row["id"],))
    classes.drop_if_unused(database, row["id"])


def _undo_correct(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    EXAMPLES.change(database, {"class_id": row["other_id"]}, "WHERE id = ?", (row["example_id"],))
    classes.drop_if_unused(database, row["id"])


def _undo_rename(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    classes.call(database, row["class_id"], row["other_label"])


def _undo_merge(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    classes.call(database, row["other_id"], row["other_label"])


def _undo_deny(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    database.execute("DELETE FROM examples WHERE lesson_id = ?", (row["id"],))


def _undo_drop(database: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    EXAMPLES.change(database, {"displaced_by": None}, "WHERE displaced_by = ?", (row["id"],))


_REVERSE = {
    "teach": _undo_teach,
    "correct": _undo_correct,
    "rename": _undo_rename,
    "merge": _undo_merge,
    "deny": _undo_deny,
    "drop": _undo_drop,
}


def reasons_text(reasons: Mapping[str, int]) -> str:
    """Why frames were refused, as the table keeps it."""
    return to_json({str(reason): int(count) for reason, count in sorted(reasons.items())})
