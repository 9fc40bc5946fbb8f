"""A seal over each table in the memory's one row: what a damaged page hides cannot be missed.

A row's own checksum is only compared when the row is found. The seal is the sum of the checksums of all rows, so that
a table from which rows got lost, or to which old ones came back, does not fit it. Latents need none, since each example
asks for its own; embeddings and heads may be deleted at any time.
"""

from __future__ import annotations

import sqlite3

from edgecl.errors import StoreDamaged
from edgecl.memory.rows import CLASSES, EXAMPLES, LESSONS, MEMORY, REVIEWS, Field, checksum

_SUMMED = {
    CLASSES.name: "crc",
    LESSONS.name: "crc",
    EXAMPLES.name: "crc",
    REVIEWS.name: "id",  # its checksum lies behind the picture, and would make every reader read all pictures
}


def seals_of(database: sqlite3.Connection) -> dict[str, Field]:
    """The seals that fit the tables as they are: by table, and `numbers` for the numbers given out so far."""
    found: dict[str, Field] = {}
    for table, column in _SUMMED.items():
        total = f"SELECT ifnull(sum({column}), 0) FROM {table}"  # noqa: S608, our own names
        (found[table],) = database.execute(total).fetchone()
    given = database.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name")
    found["numbers"] = checksum(field for row in given for field in row)
    return found


def verify(database: sqlite3.Connection) -> None:
    """Compare every seal.

    Raises:
        StoreDamaged: a table does not hold what was written; the message names it.
    """
    rows = list(MEMORY.read(database))
    if len(rows) != 1 or not isinstance(rows[0]["revision"], int):
        raise StoreDamaged(
            f"found {[row['revision'] for row in rows]!r:.40} for the memory's revision, expected one number; "
            "put back a backup with: edgecl restore BACKUP"
        )
    broken = [name for name, seal in seals_of(database).items() if rows[0][name] != seal]
    if broken:
        raise StoreDamaged(
            f"found rows lost or changed in the memory's {', '.join(broken)}, expected those last written; "
            "see edgecl doctor, and put back a backup with: edgecl restore BACKUP"
        )


def renew(database: sqlite3.Connection) -> None:
    """Seal the tables as a transaction leaves them; it has to have verified them first."""
    MEMORY.change(database, seals_of(database), "WHERE id = 1")
