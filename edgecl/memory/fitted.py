"""Fitted heads: named arrays and a little JSON, so that a restart need not fit again. No pickle."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import InputRefused, StoreDamaged
from edgecl.memory.database import Database
from edgecl.memory.rows import HEADS, from_json, to_json


class FittedHeads:
    """The heads as they are on disk, one of each tail and name. Any method may raise what Store's methods may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        tail: str,
        name: str,
        revision: int,
        arrays: Mapping[str, NDArray[Any]],
        header: Mapping[str, Any],
    ) -> None:
        """Keep a head in the place of the one with the same tail and name.

        Args:
            tail: sha256 of the tail whose embeddings it reads.
            name: the file in `heads/` that made it.
            revision: of the memory it was fitted to.
            arrays: by name, of numbers.
            header: what can be said in JSON.

        Raises:
            InputRefused: an array holds Python objects, or the header is no JSON.
        """
        data = pack(arrays)
        try:
            described = to_json({"arrays": list(arrays), "header": dict(header)})
        except (TypeError, ValueError) as error:
            raise InputRefused(f"found a header that is no JSON ({error}), expected text, numbers and lists") from error
        with self._database.writing() as database:
            database.execute("DELETE FROM heads WHERE tail = ? AND name = ?", (tail, name))
            HEADS.insert(database, [(tail, name, int(revision), described, data)])

    def get(self, tail: str, name: str) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]] | None:
        """(revision, arrays, header) as `put` got them, or None."""
        with self._database.reading() as database:
            for row in HEADS.read(database, "WHERE tail = ? AND name = ?", (tail, name)):
                arrays, header = read(row)
                return row["revision"], arrays, header
        return None


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One array after the other in NumPy's own format; the same arrays give the same bytes.

    Raises:
        InputRefused: an array holds Python objects, which only pickle could write.
    """
    buffer = io.BytesIO()
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise InputRefused(f"found Python objects in the array {name!r}, expected numbers; convert it first")
        np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def read(row: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, header) of a row of the table.

    Raises:
        StoreDamaged: no head; the message has its tail.
    """
    try:
        described = from_json(row["header"])
        arrays, header = unpack(described["arrays"], row["arrays"]), dict(described["header"])
    except (ValueError, TypeError, KeyError, EOFError) as error:
        raise StoreDamaged(
            f"found the head of tail {row['tail']!r:.40} unreadable ({error!r:.80}), expected what was written; "
            "put back a backup with: edgecl restore BACKUP"
        ) from error
    return arrays, header


def unpack(names: Sequence[str], data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that `pack` wrote, by name."""
    buffer = io.BytesIO(data)
    return {name: np.lib.format.read_array(buffer, allow_pickle=False) for name in names}
