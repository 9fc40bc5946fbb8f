"""Sealed rows: every row of the memory carries a CRC-32 over all its fields, checked whenever it is read.

SQLite notices when the structure of its file is damaged; the checksum notices when a value is.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import FrameUnusable, InputRefused, StoreDamaged
from edgecl.types import Latent

Field = int | float | str | bytes | None


def checksum(fields: Iterable[Field]) -> int:
    """CRC-32 over the types, lengths and values of `fields`, so that no two rows read alike by shifting a byte."""
    crc = 0
    for field in fields:
        if field is None:
            crc = zlib.crc32(b"n", crc)
            continue
        if isinstance(field, int):
            tag, data = b"i", str(int(field)).encode("ascii")
        elif isinstance(field, float):
            tag, data = b"f", struct.pack("<d", field + 0.0)  # SQLite keeps -0.0 as 0.0
        elif isinstance(field, str):
            tag, data = b"s", field.encode("utf-8")
        else:
            tag, data = b"b", field
        crc = zlib.crc32(data, zlib.crc32(tag + struct.pack("<Q", len(data)), crc))
    return crc


@dataclass(frozen=True)
class Table:
    """One table of sealed rows.

    Attributes:
        name: of the table.
        noun: what one row is called in a message.
        columns: all of them but `crc`; the first names the row.
    """

    name: str
    noun: str
    columns: tuple[str, ...]

    def insert(self, database: sqlite3.Connection, rows: Iterable[Sequence[Field]]) -> None:
        """Write `rows`, each with all the columns in order."""
        places = ", ".join("?" * (len(self.columns) + 1))
        database.executemany(
            f"INSERT INTO {self.name} ({', '.join(self.columns)}, crc) VALUES ({places})",  # noqa: S608, our own names
            ((*row, checksum(row)) for row in rows),
        )

    def read(
        self, database: sqlite3.Connection, rest: str = "", parameters: Sequence[Field] = ()
    ) -> Iterator[dict[str, Any]]:
        """Rows as dicts, each checked; `rest` is what follows the name of the table, such as `WHERE id = ?`.

        Raises:
            StoreDamaged: a row is not what was written; the message names it.
        """
        chosen = f"SELECT {', '.join(self.columns)}, crc FROM {self.name} {rest}"  # noqa: S608, our own names
        for *row, crc in database.execute(chosen, parameters):
            if crc != checksum(row):
                raise StoreDamaged(
                    f"found {self.noun} {row[0]!r:.40} changed since it was written, expected checksum {crc!r:.20}; "
                    "put back a backup with: edgecl restore BACKUP"
                )
            yield dict(zip(self.columns, row, strict=True))

    def change(
        self, database: sqlite3.Connection, changes: Mapping[str, Field], rest: str, parameters: Sequence[Field] = ()
    ) -> int:
        """Set `changes` in the rows that `rest` chooses and seal them again. Returns how many there were.

        A row is checked before it is sealed again, or damage would be made to look sound.
        """
        key = self.columns[0]
        found = list(self.read(database, rest, parameters))
        pairs = ", ".join(f"{column} = ?" for column in changes)
        for row in found:
            row.update(changes)
            database.execute(
                f"UPDATE {self.name} SET {pairs}, crc = ? WHERE {key} = ?",  # noqa: S608, our own names
                (*changes.values(), checksum(row.values()), row[key]),
            )
        return len(found)


MEMORY = Table("memory", "memory", ("id", "revision", "classes", "lessons", "examples", "reviews", "numbers"))
CLASSES = Table("classes", "class", ("id", "name", "created_by", "merged_into"))
LESSONS = Table(
    "lessons",
    "lesson",
    (
        "id",
        "kind",
        "class_id",
        "label",
        "other_id",
        "other_label",
        "example_id",
        "origin",
        "seen",
        "kept",
        "redundant",
        "rejected",
        "reasons",
        "taken_at",
        "undone_at",
        "final",
    ),
)
EXAMPLES = Table("examples", "example", ("id", "lesson_id", "class_id", "displaced_by", "taken_at", "camera"))
LATENTS = Table(
    "latents", "latent of example", ("example_id", "trunk", "shape", "scale", "zero_point", "codes", "thumbnail")
)
EMBEDDINGS = Table("embeddings", "embedding of example", ("example_id", "tail", "vector"))
HEADS = Table("heads", "head of tail", ("tail", "name", "revision", "header", "arrays"))
REVIEWS = Table(
    "reviews",
    "review frame",
    (
        "id",
        "trunk",
        "shape",
        "scale",
        "zero_point",
        "codes",
        "thumbnail",
        "guess",
        "guess_id",
        "probability",
        "unknown_score",
        "taken_at",
        "camera",
    ),
)
TABLES = (MEMORY, CLASSES, LESSONS, EXAMPLES, LATENTS, EMBEDDINGS, HEADS, REVIEWS)


def text(value: str) -> str:
    """`value` as the database can hold it: what is no Unicode, such as a byte of a file name, becomes '?'."""
    return value.encode("utf-8", "replace").decode("utf-8")


def number(value: float, name: str) -> float:
    """`value` as a finite Python float.

    Raises:
        InputRefused: not finite, which the database would turn into NULL.
    """
    if not np.isfinite(value):
        raise InputRefused(f"found {name} = {value}, expected a finite number; nothing was written")
    return float(value)


def latent_fields(latent: Latent) -> tuple[str, float, int, bytes]:
    """Shape, scale, zero point and codes (C order) of a latent."""
    shape = ",".join(str(n) for n in latent.codes.shape)
    return shape, float(latent.scale), int(latent.zero_point), latent.codes.tobytes()


def latent_of(row: Mapping[str, Any]) -> Latent:
    """The latent that `latent_fields` wrote.

    Raises:
        StoreDamaged: no latent; the message has the row's number.
    """
    try:
        shape = tuple(int(n) for n in row["shape"].split(","))
        codes = np.frombuffer(row["codes"], np.int8).reshape(shape)  # read-only: it lies in the row's own bytes
        latent = Latent(codes, row["scale"], row["zero_point"])
    except (ValueError, OverflowError, FrameUnusable) as error:
        raise _unreadable("latent", row, error) from error
    if latent_fields(latent)[0] != row["shape"]:
        raise _unreadable("latent", row, f"shape {row['shape']!r:.40}")
    return latent


def vector_bytes(vector: NDArray[np.float32]) -> bytes:
    """float32 (D,) → little-endian bytes, the same on every machine."""
    return vector.astype("<f4").tobytes()


def vector_of(row: Mapping[str, Any]) -> NDArray[np.float32]:
    """The vector float32 (D,) that `vector_bytes` wrote.

    Raises:
        StoreDamaged: no vector; the message has the example's number.
    """
    size = len(row["vector"])
    vector = np.frombuffer(row["vector"], "<f4") if size and size % 4 == 0 else None
    if vector is None or not np.isfinite(vector).all():
        raise _unreadable("embedding of example", row, f"{size} bytes that are no finite numbers")
    return vector


def to_json(value: object) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json(value: str) -> Any:
    """What `to_json` wrote.

    Raises:
        StoreDamaged: no JSON.
    """
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise StoreDamaged(
            f"found {value!r:.40} in the memory, expected JSON; put back a backup with: edgecl restore BACKUP"
        ) from error


def _unreadable(noun: str, row: Mapping[str, Any], why: object) -> StoreDamaged:
    number = next(iter(row.values()))
    return StoreDamaged(
        f"found {noun} {number} unreadable ({why}), expected what was written; "
        "put back a backup with: edgecl restore BACKUP"
    )
