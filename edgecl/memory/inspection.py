"""Looking for everything in a memory that is not as it was written, or could not have been written by us.

Checksums and seals notice what a disk does to a memory. They cannot speak for a file from elsewhere, which may be
sealed and hold nonsense all the same; so each row is also read as its reader will read it.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgecl.errors import EdgeclError, StoreDamaged
from edgecl.memory import classes, fitted, schema, seals
from edgecl.memory.lessons import lesson_of
from edgecl.memory.rows import TABLES, Table, checksum, latent_of, vector_of
from edgecl.types import check_label

_PYTHON = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes}
_REFERENCES = (
    ("example {} has no latent", "SELECT id FROM examples WHERE id NOT IN (SELECT example_id FROM latents)"),
    (
        "latent of example {} has no example",
        "SELECT example_id FROM latents WHERE example_id NOT IN (SELECT id FROM examples)",
    ),
    (
        "embedding of example {} has no example",
        "SELECT example_id FROM embeddings WHERE example_id NOT IN (SELECT id FROM examples)",
    ),
    (
        "example {} belongs to a lesson that was undone",
        "SELECT id FROM examples WHERE lesson_id IN (SELECT id FROM lessons WHERE undone_at IS NOT NULL)",
    ),
    (
        "example {} is displaced by a lesson that was undone",
        "SELECT id FROM examples WHERE displaced_by IN (SELECT id FROM lessons WHERE undone_at IS NOT NULL)",
    ),
    (
        "lesson {} can be undone but is about a class that is not there",
        """SELECT id FROM lessons WHERE undone_at IS NULL AND final = 0
           AND (class_id NOT IN (SELECT id FROM classes) OR other_id NOT IN (SELECT id FROM classes))""",
    ),
    (
        "latent of example {} is of another trunk or shape than the first",
        """SELECT example_id FROM latents
           WHERE (trunk, shape) != (SELECT trunk, shape FROM latents ORDER BY example_id LIMIT 1)""",
    ),
    (
        "embedding of example {} has another length than the first of its tail",
        """SELECT example_id FROM embeddings AS one WHERE length(vector) !=
           (SELECT length(vector) FROM embeddings WHERE tail = one.tail ORDER BY example_id LIMIT 1)""",
    ),
)


def faults(database: sqlite3.Connection) -> list[str]:
    """A line for everything in a memory that is not as it was written; empty for a sound one."""
    found: list[str] = []
    try:
        found.extend(_faults(database))  # keeps what came before an error
    except (sqlite3.Error, UnicodeDecodeError, MemoryError, EdgeclError) as error:
        found.append(f"could not be read to the end: {error}")
    return found


def _faults(database: sqlite3.Connection) -> Iterator[str]:
    for (line,) in database.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"structure: {line}"
    if schema.shape_of(database) != schema.expected_shape():
        yield "structure: the tables are not those of this version"
        return
    for table, row, parent, _ in database.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"
    for one in TABLES:
        yield from _row_faults(database, one)
    for line, query in _REFERENCES:
        for (item,) in database.execute(query):
            yield line.format(item)
    for look in (seals.verify, classes.counts_as, *_LAST_NUMBERS):
        try:
            look(database)
        except StoreDamaged as error:
            yield str(error)


def _last_number(table: str) -> Callable[[sqlite3.Connection], int]:
    return lambda database: classes.last_id(database, table)


_LAST_NUMBERS = tuple(_last_number(table) for table in ("classes", "lessons", "examples", "reviews"))


def _row_faults(database: sqlite3.Connection, table: Table) -> Iterator[str]:
    """A line for each row that is not what was written, or that no reader could use."""
    kinds = {
        column: (_PYTHON[declared],) if required or key else (_PYTHON[declared], type(None))
        for _, column, declared, required, _, key in database.execute(f"PRAGMA table_info({table.name})")
    }
    read = _READ[table.name]
    for *values, crc in database.execute(f"SELECT {', '.join(table.columns)}, crc FROM {table.name}"):  # noqa: S608, ours
        row = dict(zip(table.columns, values, strict=True))
        name = f"{table.noun} {values[0]!r:.40}"
        if crc != checksum(values):
            yield f"{name}: checksum differs"
            continue
        wrong = [column for column, value in row.items() if not isinstance(value, kinds[column])]
        wrong += [column for column, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        if wrong:
            yield f"{name}: no value that can be used in {', '.join(wrong)}"
            continue
        try:
            read(row)
        except EdgeclError as error:
            yield f"{name}: {error}"


def _expect(sound: bool, what: str) -> None:
    if not sound:
        raise StoreDamaged(f"found {what}, expected what edgecl writes; use an older backup")


def _expect_label(label: str) -> None:
    _expect(check_label(label) == label, f"the label {label!r} in another form")


def _expect_digest(digest: str) -> None:
    _expect(re.fullmatch("[0-9a-f]{64}", digest) is not None, f"{digest!r:.40} for a digest")


def _read_memory(row: Mapping[str, Any]) -> None:
    _expect(row["revision"] >= 0, f"revision {row['revision']}")


def _read_class(row: Mapping[str, Any]) -> None:
    if row["name"] or row["merged_into"] is None:  # a merged one may have lost its name by forgetting
        _expect_label(row["name"])


_NEEDED = {
    "teach": (),
    "correct": ("other_id", "example_id"),
    "rename": ("other_label",),
    "merge": ("other_id", "other_label"),
    "deny": (),
    "drop": ("example_id",),
    "forget": (),
}


def _read_lesson(row: Mapping[str, Any]) -> None:
    lesson = lesson_of(row)
    _expect(lesson.kind in _NEEDED, f"kind {lesson.kind!r:.40}")
    for label in (row["label"], row["other_label"]):
        if label:
            _expect_label(label)
    if row["undone_at"] is None and not row["final"]:
        for column in _NEEDED[lesson.kind]:
            _expect(bool(row[column]), f"no {column}")
    reasons = lesson.reasons
    _expect(isinstance(reasons, dict) and all(type(n) is int for n in reasons.values()), "reasons that are no counts")


def _read_latent(row: Mapping[str, Any]) -> None:
    latent_of(row)
    _expect_digest(row["trunk"])


def _read_embedding(row: Mapping[str, Any]) -> None:
    vector_of(row)
    _expect_digest(row["tail"])


def _read_head(row: Mapping[str, Any]) -> None:
    fitted.read(row)
    _expect_digest(row["tail"])


def _read_review(row: Mapping[str, Any]) -> None:
    _read_latent(row)
    if row["guess"] is not None:
        _expect_label(row["guess"])


_READ: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "memory": _read_memory,
    "classes": _read_class,
    "lessons": _read_lesson,
    "examples": lambda row: None,  # numbers and the name of a camera: what types can say was checked
    "latents": _read_latent,
    "embeddings": _read_embedding,
    "heads": _read_head,
    "reviews": _read_review,
}
