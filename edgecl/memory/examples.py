"""Examples as rows: what may enter, how they are read back, and the view that heads are fitted to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import BackboneMismatch, FrameUnusable, InputRefused, ItemUnknown, StoreDamaged
from edgecl.memory import classes
from edgecl.memory.rows import (
    EMBEDDINGS,
    EXAMPLES,
    LATENTS,
    latent_fields,
    latent_of,
    number,
    text,
    vector_bytes,
    vector_of,
)
from edgecl.memory.view import MemoryView
from edgecl.types import Example

AT_A_TIME = 64  # examples read together; 1 MB with pictures
DENIED = "displaced_by = lesson_id"  # see `lessons.deny`


def check(database: sqlite3.Connection, examples: Sequence[Example], vectors: NDArray[np.float32], tail: str) -> None:
    """Whether `examples` with their embeddings, float32 (n, D), may enter.

    Raises:
        BackboneMismatch: not of the trunk, latent shape or tail's dimension that the memory holds.
        FrameUnusable: a vector is not finite.
    """
    check_vectors(database, vectors, tail, len(examples))
    made_by = {(example.trunk, latent_fields(example.latent)[0]) for example in examples}
    made_by |= set(database.execute("SELECT trunk, shape FROM latents LIMIT 1"))
    if len(made_by) > 1:
        named = " and ".join(f"trunk {trunk[:12]} with latents of {shape}" for trunk, shape in sorted(made_by))
        raise BackboneMismatch(
            f"found examples of {named}, expected one trunk for the whole memory; "
            "use the release the memory was taught with, or another home"
        )


def check_vectors(database: sqlite3.Connection, vectors: NDArray[np.float32], tail: str, n: int) -> None:
    """Whether `vectors`, float32 (n, D), can be embeddings by `tail`.

    Raises:
        BackboneMismatch: wrong shape or type, or another D than those kept.
        FrameUnusable: a number is not finite.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != n or vectors.shape[1] == 0:
        raise BackboneMismatch(
            f"found embeddings of shape {vectors.shape} and type {vectors.dtype}, expected ({n}, D) of float32"
        )
    for (size,) in database.execute("SELECT length(vector) FROM embeddings WHERE tail = ? LIMIT 1", (tail,)):
        if size != vectors.shape[1] * 4:
            raise BackboneMismatch(
                f"found embeddings with {vectors.shape[1]} dimensions, expected {size // 4} as all others by tail "
                f"{tail[:12]}; embed them with that tail"
            )
    if not np.isfinite(vectors).all():
        raise FrameUnusable("found embeddings with numbers that are not finite; nothing was written")


def insert(
    database: sqlite3.Connection,
    examples: Sequence[Example],
    vectors: NDArray[np.float32],
    tail: str,
    class_id: int,
    lesson_id: int,
) -> None:
    """Write checked examples under the next numbers."""
    first = classes.next_id(database, "examples")
    numbered = list(enumerate(examples, first))
    EXAMPLES.insert(
        database,
        ((i, lesson_id, class_id, None, number(e.taken_at, "taken_at"), text(e.camera)) for i, e in numbered),
    )
    LATENTS.insert(database, ((i, text(e.trunk), *latent_fields(e.latent), e.thumbnail) for i, e in numbered))
    EMBEDDINGS.insert(
        database, ((i, tail, vector_bytes(vector)) for (i, _), vector in zip(numbered, vectors, strict=True))
    )


def choose(database: sqlite3.Connection, class_id: int | None, ids: Sequence[int] | None) -> list[int]:
    """Ids of the live examples that count as `class_id` and are among `ids`; None means all.

    Who names numbers also gets views that are denied.
    """
    target = classes.counts_as(database)
    wanted = None if ids is None else {int(n) for n in ids}
    denied = "" if ids is None else f"OR {DENIED} "
    return [
        row["id"]
        for row in EXAMPLES.read(database, f"WHERE displaced_by IS NULL {denied}ORDER BY id")
        if (class_id is None or target[row["class_id"]] == class_id) and (wanted is None or row["id"] in wanted)
    ]


def counts(database: sqlite3.Connection) -> dict[int, int]:
    """Id → number of live examples, of every live class, by rising id."""
    target = classes.counts_as(database)
    found = dict.fromkeys(classes.live(database), 0)
    for row in EXAMPLES.read(database, "WHERE displaced_by IS NULL"):
        found[target[row["class_id"]]] += 1
    return found


def load(database: sqlite3.Connection, ids: Sequence[int]) -> list[Example]:
    """The examples with these ids that are still live, checksums verified."""
    target = classes.counts_as(database)
    loaded = []
    for example_id in ids:
        for row in EXAMPLES.read(database, f"WHERE id = ? AND (displaced_by IS NULL OR {DENIED})", (example_id,)):
            latents = list(LATENTS.read(database, "WHERE example_id = ?", (example_id,)))
            if not latents:
                raise StoreDamaged(
                    f"found no latent of example {example_id}, expected one; "
                    "put back a backup with: edgecl restore BACKUP"
                )
            loaded.append(
                Example(
                    id=example_id,
                    lesson=row["lesson_id"],
                    class_id=target[row["class_id"]],
                    latent=latent_of(latents[0]),
                    trunk=latents[0]["trunk"],
                    thumbnail=latents[0]["thumbnail"],
                    taken_at=row["taken_at"],
                    camera=row["camera"],
                )
            )
    return loaded


def view(database: sqlite3.Connection, tail: str, revision: int, known: MemoryView | None) -> MemoryView:
    """All live examples with their embeddings by `tail`; those that `known` has are not read again.

    Raises:
        BackboneMismatch: some have none.
    """
    target = classes.counts_as(database)
    live = list(EXAMPLES.read(database, "WHERE displaced_by IS NULL ORDER BY id"))
    denied = list(EXAMPLES.read(database, f"WHERE {DENIED} ORDER BY id"))
    ids = np.array([row["id"] for row in live], np.int64)
    known = known if known is not None and known.tail == tail else None
    return MemoryView(
        vectors=_vectors(database, tail, ids, known),
        denied=_vectors_of(database, tail, [row["id"] for row in denied], known),
        denied_ids=np.array([target[row["class_id"]] for row in denied], np.int64),
        class_ids=np.array([target[row["class_id"]] for row in live], np.int64),
        example_ids=ids,
        lesson_ids=np.array([row["lesson_id"] for row in live], np.int64),
        names=classes.live(database),
        tail=tail,
        revision=revision,
    )


def _vectors(
    database: sqlite3.Connection, tail: str, ids: NDArray[np.int64], known: MemoryView | None
) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) in the order of `ids`, which rise; filled in place, for there may be many."""
    found = np.zeros(len(ids), bool)
    vectors = np.zeros((len(ids), 0), np.float32)
    if known is not None and len(known):
        _, rows, same = np.intersect1d(ids, known.example_ids, return_indices=True)
        vectors = np.empty((len(ids), known.vectors.shape[1]), np.float32)
        vectors[rows], found[rows] = known.vectors[same], True
    first = int(ids[~found].min(initial=np.iinfo(np.int64).max))
    live = "example_id IN (SELECT id FROM examples WHERE displaced_by IS NULL)"
    for row in EMBEDDINGS.read(database, f"WHERE tail = ? AND example_id >= ? AND {live}", (tail, first)):
        vector = vector_of(row)
        if not found.any():
            vectors = np.empty((len(ids), len(vector)), np.float32)
        elif vectors.shape[1] != len(vector):
            raise StoreDamaged(
                f"found the embedding of example {row['example_id']} with {len(vector)} numbers, expected "
                f"{vectors.shape[1]} as the others by tail {tail[:12]}; put back a backup with: edgecl restore BACKUP"
            )
        place = int(np.searchsorted(ids, row["example_id"]))
        vectors[place], found[place] = vector, True
    if not found.all():
        lacking = ids[~found]
        raise BackboneMismatch(
            f"found {len(lacking)} of {len(ids)} examples without an embedding by tail {tail[:12]} "
            f"(the first is example {lacking[0]}), expected all; embed them again with that tail"
        )
    return vectors


def _vectors_of(
    database: sqlite3.Connection, tail: str, ids: Sequence[int], known: MemoryView | None
) -> NDArray[np.float32]:
    """Embeddings float32 (n, D) of a few examples, in the order of `ids`.

    Raises:
        BackboneMismatch: one has none.
    """
    found = []
    for example_id in ids:
        if known is not None and example_id in known.example_ids:
            found.append(known.vectors[int(np.searchsorted(known.example_ids, example_id))])
            continue
        rows = list(EMBEDDINGS.read(database, "WHERE example_id = ? AND tail = ?", (example_id, tail)))
        if not rows:
            raise BackboneMismatch(
                f"found example {example_id} without an embedding by tail {tail[:12]}, expected one; embed it again"
            )
        found.append(vector_of(rows[0]))
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def trunk(database: sqlite3.Connection) -> str | None:
    """sha256 of the trunk that made the latents, None where there are none."""
    for (digest,) in database.execute("SELECT trunk FROM latents LIMIT 1"):
        return str(digest)
    return None


def missing(database: sqlite3.Connection, tail: str) -> tuple[int, ...]:
    """Ids of the examples, displaced ones too, without an embedding by `tail`, rising."""
    found = database.execute(
        "SELECT id FROM examples WHERE id NOT IN (SELECT example_id FROM embeddings WHERE tail = ?) ORDER BY id",
        (tail,),
    )
    return tuple(example_id for (example_id,) in found)


def put_vectors(database: sqlite3.Connection, tail: str, ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Write or replace embeddings, float32 (n, D), of the examples `ids`.

    Raises:
        ItemUnknown: no such example.
    """
    numbers = [int(n) for n in ids]
    if len(set(numbers)) != len(numbers):
        raise InputRefused("found an example twice among the ids, expected each once; nothing was written")
    unknown = set(numbers) - {example_id for (example_id,) in database.execute("SELECT id FROM examples")}
    if unknown:
        raise ItemUnknown(f"found no example {min(unknown)} in the memory, expected the numbers of kept ones")
    database.executemany(
        "DELETE FROM embeddings WHERE example_id = ? AND tail = ?", ((example_id, tail) for example_id in numbers)
    )
    check_vectors(database, vectors, tail, len(numbers))
    EMBEDDINGS.insert(database, ((n, tail, vector_bytes(vector)) for n, vector in zip(numbers, vectors, strict=True)))


def drop_tail(database: sqlite3.Connection, tail: str) -> int:
    """Delete what was made by `tail`: embeddings, of which the number is returned, and heads."""
    database.execute("DELETE FROM heads WHERE tail = ?", (tail,))
    return database.execute("DELETE FROM embeddings WHERE tail = ?", (tail,)).rowcount
