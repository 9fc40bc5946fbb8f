"""Forgetting a class for good: what is deleted, and the evidence that it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecl.memory import classes, lessons
from edgecl.memory.erasure import found_in, fragments_of
from edgecl.memory.rows import CLASSES, EMBEDDINGS, EXAMPLES, LATENTS, LESSONS, REVIEWS, Field
from edgecl.types import Lesson


@dataclass(frozen=True)
class ForgetProof:
    """What forgetting a class deleted, and what a search for it found afterwards.

    The search reads the files of the database as they are on disk. It cannot speak for blocks that the file system or
    the flash card gave up earlier; only an encrypted disk makes those unreadable.

    Attributes:
        label: the class.
        lesson: the lesson that records it, without the name.
        examples: deleted, displaced ones included.
        embeddings: deleted.
        thumbnails: deleted.
        reviews: review frames deleted that had been guessed as the class, under whatever name.
        heads: fitted heads deleted; they are fitted anew from what remains.
        bytes_deleted: latents, embeddings and thumbnails together.
        fragments: pieces of the deleted latents and thumbnails that were searched for.
        found: pieces still in the files of the database; 0 is the proof.
        copies: other files in the home that still hold pieces, such as a memory put aside by `restore`.
    """

    label: str
    lesson: Lesson
    examples: int
    embeddings: int
    thumbnails: int
    reviews: int
    heads: int
    bytes_deleted: int
    fragments: int
    found: int
    copies: tuple[str, ...]


@dataclass(frozen=True)
class Deletion:
    """What one transaction deleted, before the search for it; the fields are those of ForgetProof."""

    label: str
    lesson_id: int
    examples: int
    embeddings: int
    thumbnails: int
    reviews: int
    heads: int
    bytes_deleted: int
    fragments: frozenset[bytes]


@dataclass(frozen=True)
class _Target:
    """What a name stands for.

    Attributes:
        classes: ids: of the live class, of those that count as it, and of those with this name that are no more.
        names: that they ever had, but for those that other live classes have now.
    """

    classes: frozenset[int]
    names: frozenset[str]


def extent(database: sqlite3.Connection, name: str) -> int:
    """Number of live examples that forgetting `name` would delete; 0 where only the history knows the name.

    Raises:
        ClassUnknown: not even the history does.
    """
    gone = _target(database, name).classes
    return sum(row["class_id"] in gone for row in EXAMPLES.read(database, "WHERE displaced_by IS NULL"))


def forget(database: sqlite3.Connection, name: str, at: float) -> Deletion:
    """Delete the class `name` with all that was kept of it; inside the caller's transaction.

    The lessons stay, without the name, so that their numbers and counts still add up; they are final. What they had
    displaced in other classes comes back, for there is room again.

    Raises:
        ClassUnknown: there is none, and the history knows none either.
    """
    target = _target(database, name)
    gone = target.classes
    doomed = {row["id"] for row in EXAMPLES.read(database) if row["class_id"] in gone}
    blobs = list(_blobs(database, doomed))
    vectors = [row["vector"] for row in EMBEDDINGS.read(database) if row["example_id"] in doomed]
    guessed = [row for row in REVIEWS.read(database) if row["guess_id"] in gone or row["guess"] in target.names]
    frames = [blob for row in guessed for blob in (row["codes"], row["thumbnail"]) if blob is not None]
    (heads,) = database.execute("SELECT count(*) FROM heads").fetchone()
    _delete(database, "examples", doomed)
    _delete(database, "reviews", {row["id"] for row in guessed})
    database.execute("DELETE FROM heads")  # they were fitted to what is forgotten
    _give_back_displaced(database, gone)
    _settle(database, target)
    _unlink_classes(database, target)
    lesson_id = lessons.record(database, "forget", max(gone, default=0), "", at)
    return Deletion(
        label=name,
        lesson_id=lesson_id,
        examples=len(doomed),
        embeddings=len(vectors),
        thumbnails=len(blobs) - len(doomed),
        reviews=len(guessed),
        heads=heads,
        bytes_deleted=sum(map(len, (*blobs, *frames, *vectors))),
        fragments=frozenset().union(*map(fragments_of, (*blobs, *frames))),
    )


def prove(database: sqlite3.Connection, deletion: Deletion, path: Path) -> ForgetProof:
    """Search the files of the memory at `path`, and the files beside it, for what `deletion` deleted."""
    fragments = set(deletion.fragments)
    own = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]
    found = set().union(*(found_in(file, fragments) for file in own))
    if found:  # the same bytes may rightly be there in something else, such as the tables at the head of every JPEG
        for blob in _kept_blobs(database):
            fragments -= {fragment for fragment in found if fragment in blob}
    others = [file for file in sorted(path.parent.iterdir()) if file.is_file() and file not in own]
    return ForgetProof(
        label=deletion.label,
        lesson=lessons.lesson(database, deletion.lesson_id),
        examples=deletion.examples,
        embeddings=deletion.embeddings,
        thumbnails=deletion.thumbnails,
        reviews=deletion.reviews,
        heads=deletion.heads,
        bytes_deleted=deletion.bytes_deleted,
        fragments=len(fragments),
        found=len(found & fragments),
        copies=tuple(file.name for file in others if found_in(file, fragments)),
    )


def _target(database: sqlite3.Connection, name: str) -> _Target:
    live = classes.live(database)
    counts_as = classes.counts_as(database)
    told = list(LESSONS.read(database))
    if name not in live.values() and not any(name in (row["label"], row["other_label"]) for row in told):
        classes.find(database, name)
    borne = [pair for row in told for pair in _borne(row)]
    gone = {member for member, root in counts_as.items() if live[root] == name}
    gone |= {class_id for class_id, called in borne if called == name and class_id not in counts_as}
    names = {name, *(called for class_id, called in borne if class_id in gone)}
    names -= {"", *(called for class_id, called in live.items() if class_id not in gone)}
    return _Target(frozenset(gone), frozenset(names))


def _borne(row: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """(class, name) as the lesson `row` tells them; a correction tells no name of the class that it took from."""
    yield row["class_id"], row["label"]
    if row["kind"] in ("rename", "merge"):
        yield _named_by(row), row["other_label"]


def _named_by(row: Mapping[str, Any]) -> int:
    """The class that undoing the rename or merge `row` gives its name back."""
    return int(row["class_id"] if row["kind"] == "rename" else row["other_id"])


def _settle(database: sqlite3.Connection, target: _Target) -> None:
    """Take the names away from all lessons, and make those final that are about the classes or need a name.

    A rename or merge that has lost its name cannot be undone, and an older one of the same class not without it.
    """
    stuck: set[int] = set()
    for row in list(LESSONS.read(database, "ORDER BY id DESC")):
        changes: dict[str, Field] = {}
        about = row["class_id"] in target.classes, row["other_id"] in target.classes
        if about[0] or row["label"] in target.names:
            changes["label"] = ""
        if about[1] or (about[0] and row["kind"] == "rename") or row["other_label"] in target.names:
            changes["other_label"] = ""
        if row["kind"] in ("rename", "merge") and ("other_label" in changes or _named_by(row) in stuck):
            stuck.add(_named_by(row))
            changes["final"] = 1
        if any(about):
            changes["final"] = 1
        if changes:
            LESSONS.change(database, changes, "WHERE id = ?", (row["id"],))


def _give_back_displaced(database: sqlite3.Connection, gone: Set[int]) -> None:
    for row in list(LESSONS.read(database)):
        if row["class_id"] in gone:
            EXAMPLES.change(database, {"displaced_by": None}, "WHERE displaced_by = ?", (row["id"],))


def _blobs(database: sqlite3.Connection, example_ids: set[int]) -> Iterator[bytes]:
    for example_id in sorted(example_ids):
        for row in LATENTS.read(database, "WHERE example_id = ?", (example_id,)):
            yield row["codes"]
            if row["thumbnail"] is not None:
                yield row["thumbnail"]


def _kept_blobs(database: sqlite3.Connection) -> Iterator[bytes]:
    for table in (LATENTS, REVIEWS):
        for row in table.read(database):
            yield row["codes"]
            yield row["thumbnail"] or b""


def _delete(database: sqlite3.Connection, table: str, ids: Set[int]) -> None:
    database.executemany(f"DELETE FROM {table} WHERE id = ?", ((number,) for number in ids))  # noqa: S608, our own names


def _unlink_classes(database: sqlite3.Connection, target: _Target) -> None:
    # Merged ones hold on to each other, and a live name is unique: let go and give each a name no label can have.
    for class_id in target.classes:
        CLASSES.change(database, {"merged_into": None, "name": f"/{class_id}"}, "WHERE id = ?", (class_id,))
    _delete(database, "classes", target.classes)
    for row in list(CLASSES.read(database)):
        if row["name"] in target.names:  # merged long ago into one that stays
            CLASSES.change(database, {"name": ""}, "WHERE id = ?", (row["id"],))
