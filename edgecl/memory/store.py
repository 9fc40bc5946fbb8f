"""The durable memory: examples, lessons and classes in one SQLite file, with one writer.

What a call has returned is on disk; what a call has raised for has changed nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import StoreError
from edgecl.files import exclusive, private_folder
from edgecl.memory import backup, classes, forgetting, inspection, lessons
from edgecl.memory import examples as stored
from edgecl.memory.database import Database, disk_errors
from edgecl.memory.fitted import FittedHeads
from edgecl.memory.forgetting import ForgetProof
from edgecl.memory.lessons import LessonDraft
from edgecl.memory.reviews import Reviews
from edgecl.memory.rows import MEMORY
from edgecl.memory.view import MemoryView
from edgecl.types import Example, Lesson, check_label


class Store:
    """The memory of one home. Use it as a context manager, from one thread.

    Any method may raise StoreUnwritable (full, read-only or failing disk), StoreDamaged (what is on disk is not what
    was written) and StoreBusy (another connection holds the file too long). The store may be used again afterwards: it
    opens the file anew, so it heals as soon as the disk does.

    Attributes:
        home: the folder.
        path: the database in it.
        writable: whether this store holds the home's lock and may write.
        heads: fitted heads, so that a restart need not fit again.
        reviews: uncertain frames that wait for a person.
    """

    def __init__(self, home: Path, writable: bool = True, clock: Callable[[], float] = time.time) -> None:
        """Open the memory of `home`; for writing, make it if need be and hold the home's lock until `close`.

        Args:
            home: the folder.
            writable: whether to write; one process at a time may.
            clock: s, UTC since the epoch.

        Raises:
            StoreBusy: another process holds the home for writing.
            StoreError: for reading only: there is no memory yet.
            StoreDamaged: the file is no memory; it is left as it is.
            StoreUnwritable: the disk refuses.
        """
        self.home = home
        self.path = home / backup.DATABASE
        self.writable = writable
        self._clock = clock
        self._held = contextlib.ExitStack()
        with contextlib.ExitStack() as held:
            if writable:
                private_folder(home)
                held.enter_context(exclusive(home / backup.LOCK))
            self._database = Database(self.path, writable)
            held.callback(self._database.close)
            self._held = held.pop_all()
        self.heads = FittedHeads(self._database)
        self.reviews = Reviews(self._database)

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._held.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What is known

    @property
    def revision(self) -> int:
        """Number of changes to the memory; rises by one with each."""
        with self._database.reading() as database:
            return _revision(database)

    def bytes_used(self) -> int:
        """Bytes of the database's files on disk."""
        files = (self.path.with_name(self.path.name + end) for end in ("", "-wal", "-shm"))
        with disk_errors(self.path):
            return sum(file.stat().st_size for file in files if file.exists())

    def classes(self) -> Mapping[int, str]:
        """Id → name of every live class, by rising id."""
        with self._database.reading() as database:
            return MappingProxyType(classes.live(database))

    def class_id(self, name: str) -> int:
        """Id of the live class called `name`.

        Raises:
            ClassUnknown: there is none; the message names those that look alike.
        """
        with self._database.reading() as database:
            return classes.find(database, check_label(name))

    def counts(self) -> Mapping[int, int]:
        """Id → number of live examples, of every live class, by rising id."""
        with self._database.reading() as database:
            return MappingProxyType(stored.counts(database))

    def history(self, limit: int | None = None, after: float = 0.0) -> tuple[Lesson, ...]:
        """The newest lessons given after `after`, s UTC since the epoch: newest first, undone ones too.

        A forgotten class leaves an empty label.
        """
        with self._database.reading() as database:
            return lessons.history(database, limit, after)

    def last_taught(self) -> Mapping[int, float]:
        """Class id → when the newest lesson about it that counts was given, s, UTC since the epoch."""
        with self._database.reading() as database:
            return MappingProxyType(lessons.last_taught(database))

    def examples(self, class_id: int | None = None, ids: Sequence[int] | None = None) -> Iterator[Example]:
        """Live examples by rising id, of one class or with these ids; merged classes count as their target.

        Who names ids also gets views that were denied, see `deny`.

        Examples that leave the memory while the iterator is being read are left out.

        Raises:
            StoreDamaged: an example is not what was written; the message names it.
        """
        with self._database.reading() as database:
            chosen = stored.choose(database, class_id, ids)
        for start in range(0, len(chosen), stored.AT_A_TIME):
            with self._database.reading() as database:
                part = stored.load(database, chosen[start : start + stored.AT_A_TIME])
            yield from part

    def view(self, tail: str, known: MemoryView | None = None) -> MemoryView:
        """All live examples with their embeddings by `tail`.

        Args:
            tail: sha256.
            known: an earlier view of this memory; embeddings that it holds are not read again.

        Raises:
            BackboneMismatch: examples lack an embedding by this tail, see `missing_vectors`.
            StoreDamaged: a row is not what was written; the message names it.
        """
        with self._database.reading() as database:
            return stored.view(database, tail, _revision(database), known)

    def trunk(self) -> str | None:
        """sha256 of the trunk that made the latents, live or displaced; None while there are none."""
        with self._database.reading() as database:
            return stored.trunk(database)

    def missing_vectors(self, tail: str) -> tuple[int, ...]:
        """Ids of the examples, displaced ones too, that have no embedding by `tail`, rising."""
        with self._database.reading() as database:
            return stored.missing(database, tail)

    # Lessons

    def teach(self, draft: LessonDraft, undoable_lessons: int) -> Lesson:
        """Take in one lesson as one durable transaction; a new label makes a new class.

        Args:
            draft: the lesson.
            undoable_lessons: how many lessons, this one included, can be undone; what older ones displaced is deleted.

        Raises:
            NothingKept: no example.
            LabelRefused: the label cannot be one.
            BackboneMismatch: of another trunk, or vectors that do not fit the tail's.
            FrameUnusable: a vector is not finite.
            ItemUnknown: a displaced example is not live.
        """
        with self._changing() as database:
            lesson_id = lessons.teach(database, draft)
            lessons.settle(database, undoable_lessons)
            return lessons.lesson(database, lesson_id)

    def deny(self, draft: LessonDraft) -> Lesson:
        """Take in views that are not of a class, as one durable transaction; they are no examples of any.

        Raises:
            ClassUnknown: no class of this name.
            NothingKept, BackboneMismatch, FrameUnusable: see `teach`.
        """
        with self._changing() as database:
            return lessons.lesson(database, lessons.deny(database, draft))

    def drop(self, example_id: int) -> Lesson:
        """Take one example out of the memory.

        Raises:
            ItemUnknown: no such example.
        """
        with self._changing() as database:
            return lessons.lesson(database, lessons.drop(database, int(example_id), self._clock()))

    def undo(self, lesson: int | None = None) -> Lesson:
        """Take back the newest lesson that is not undone yet, of whatever kind. Can be repeated.

        Forgetting is final and is skipped, as are lessons about a forgotten class.

        Raises:
            NothingToUndo: no lesson is left, or the newest is not the `lesson` that was meant.
        """
        with self._changing() as database:
            return lessons.lesson(database, lessons.undo(database, self._clock(), lesson))

    def correct(self, example_id: int, label: str) -> Lesson:
        """Count one example as `label` from now on; a new label makes a new class.

        Raises:
            ItemUnknown: no such example.
            LabelRefused: the label cannot be one, or the example has it already.
        """
        name = check_label(label)
        with self._changing() as database:
            return lessons.lesson(database, lessons.correct(database, int(example_id), name, self._clock()))

    def rename(self, name: str, new: str) -> Lesson:
        """Give the class `name` the name `new`.

        Raises:
            ClassUnknown: no class `name`.
            LabelRefused: `new` cannot be a name, or is taken: merge the two instead.
        """
        old, new = check_label(name), check_label(new)
        with self._changing() as database:
            return lessons.lesson(database, lessons.rename(database, old, new, self._clock()))

    def merge(self, source: str, target: str) -> Lesson:
        """Let the examples of `source` count as `target`; the name `source` becomes free.

        Raises:
            ClassUnknown: one of them is no class.
            LabelRefused: both are the same.
        """
        source, target = check_label(source), check_label(target)
        with self._changing() as database:
            return lessons.lesson(database, lessons.merge(database, source, target, self._clock()))

    def forgettable(self, name: str) -> int:
        """Number of live examples that `forget` would delete; 0 where only the history knows the name.

        Raises:
            ClassUnknown: no class `name`, and none in the history.
        """
        with self._database.reading() as database:
            return forgetting.extent(database, check_label(name))

    def forget(self, name: str) -> ForgetProof:
        """Delete a class for good, with its examples, pictures, review frames and all its names in the history.

        A name that only the history knows, as of an undone lesson, is deleted there.

        Shrinking the file needs as much free disk as the memory takes; without it the bytes are overwritten all the
        same. The proof says what is left: a reader in the middle of something can keep old pages in the log, and then
        `found` is not 0 and `compact` has to be called once more.

        Raises:
            ClassUnknown: no class `name`, and none in the history.
        """
        label = check_label(name)
        with self._changing() as database:
            deletion = forgetting.forget(database, label, self._clock())
        with contextlib.suppress(StoreError):  # the deletion is on disk; what compacting could not do, the proof says
            self.compact()
        with self._database.reading() as database:
            return forgetting.prove(database, deletion, self.path)

    def compact(self) -> None:
        """Rewrite the database without gaps and empty its log."""
        with disk_errors(self.path):
            database = self._database.outside_transactions()
            try:
                database.execute("VACUUM")
            finally:  # even where there is no room for the rewrite, the log can go
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # What is made from the examples, and can be made again

    def put_vectors(self, tail: str, ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Keep embeddings by a further tail; those that are there already are replaced.

        Args:
            tail: sha256.
            ids: of the examples, live or displaced.
            vectors: float32 (n, D), in the order of `ids`.

        Raises:
            ItemUnknown: no such example.
            BackboneMismatch: another shape than the embeddings by this tail.
            FrameUnusable: a vector is not finite.
        """
        with self._database.writing() as database:
            stored.put_vectors(database, tail, ids, vectors)

    def drop_tail(self, tail: str) -> int:
        """Delete the embeddings and heads by a tail that no release here has any more; returns how many embeddings."""
        with self._database.writing() as database:
            return stored.drop_tail(database, tail)

    # The file

    def check(self) -> list[str]:
        """A line for every fault: structure, checksums, rows that refer to nothing. Empty for a sound memory."""
        with self._database.reading(verified=False) as database:
            return inspection.faults(database)

    def backup(self, path: Path) -> None:
        """Copy the memory into the new file `path`, checked and synced, while it is in use.

        Raises:
            InputRefused: `path` exists.
        """
        with disk_errors(self.path):
            backup.back_up(self._database.outside_transactions(), path)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction that changes the memory."""
        with self._database.writing() as database:
            revision = _revision(database)
            yield database
            MEMORY.change(database, {"revision": revision + 1}, "WHERE id = 1")


def _revision(database: sqlite3.Connection) -> int:
    (row,) = MEMORY.read(database)
    return int(row["revision"])
