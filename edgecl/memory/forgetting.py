"""Forgetting a class for good: what is deleted, and the evidence that it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        reviews: review frames deleted that had been guessed as the class.
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


def forget(database: sqlite3.Connection, name: str, at: float) -> Deletion:
    """Delete the class `name` with all that was kept of it; inside the caller's transaction.

    The lessons stay, without the name, so that their numbers and counts still add up; they are final. So are examples
    of other classes that these lessons had displaced: nothing can bring them back, so they go too.

    Raises:
        ClassUnknown: there is none.
    """
    class_id = classes.find(database, name)
    gone = set(classes.members(database, class_id))
    names = {row["name"] for row in CLASSES.read(database) if row["id"] in gone}
    _settle(database, gone)
    doomed = _doomed(database, gone)
    blobs = list(_blobs(database, doomed))
    guessed = [row for row in REVIEWS.read(database) if row["guess"] in names]
    frames = [blob for row in guessed for blob in (row["codes"], row["thumbnail"]) if blob is not None]
    vectors = [row["vector"] for row in EMBEDDINGS.read(database) if row["example_id"] in doomed]
    (heads,) = database.execute("SELECT count(*) FROM heads").fetchone()
    _delete(database, "examples", doomed)
    _delete(database, "reviews", {row["id"] for row in guessed})
    database.execute("DELETE FROM heads")  # they were fitted to what is forgotten
    _unlink_classes(database, gone)
    lesson_id = lessons.record(database, "forget", class_id, "", at)
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


def _settle(database: sqlite3.Connection, gone: set[int]) -> None:
    """Make the lessons about the classes `gone` final and nameless."""
    for row in list(LESSONS.read(database)):
        changes: dict[str, Field] = {}
        if row["class_id"] in gone:
            changes |= {"label": "", "final": 1}
            if row["kind"] == "rename":
                changes["other_label"] = ""
        if row["other_id"] in gone:
            changes |= {"other_label": "", "final": 1}
        if changes:
            LESSONS.change(database, changes, "WHERE id = ?", (row["id"],))


def _doomed(database: sqlite3.Connection, gone: set[int]) -> set[int]:
    """Ids of the examples of the classes `gone`, and of those that a final lesson displaced."""
    final = {row["id"] for row in LESSONS.read(database, "WHERE final = 1")}
    return {row["id"] for row in EXAMPLES.read(database) if row["class_id"] in gone or row["displaced_by"] in final}


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


def _delete(database: sqlite3.Connection, table: str, ids: set[int]) -> None:
    database.executemany(f"DELETE FROM {table} WHERE id = ?", ((number,) for number in ids))  # noqa: S608, our own names


def _unlink_classes(database: sqlite3.Connection, gone: set[int]) -> None:
    # Merged ones hold on to each other, and a live name is unique: let go and give each a name no label can have.
    for class_id in gone:
        CLASSES.change(database, {"merged_into": None, "name": f"/{class_id}"}, "WHERE id = ?", (class_id,))
    _delete(database, "classes", gone)
