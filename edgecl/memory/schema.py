"""The tables, and how a database of an older edgecl becomes one of this edgecl.

A migration is never edited once released: a change of the tables is a new one at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from edgecl.errors import StoreDamaged, StoreError
from edgecl.memory import seals
from edgecl.memory.rows import MEMORY, REVIEWS, Table, checksum

APPLICATION_ID = 0x6564676D  # "edgm", so that another program's database is not taken for ours


def _first_tables(database: sqlite3.Connection) -> None:
    """Version 1.

    What is small and changes (which class, displaced or not) lies apart from what is large and never changes (the
    latent, the picture), so that correcting an example writes a hundred bytes and a view reads no pictures.
    """
    for statement in (
        "CREATE TABLE memory (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, crc INTEGER NOT NULL)",
        """CREATE TABLE lessons (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            class_id INTEGER NOT NULL,
            label TEXT NOT NULL,
            other_id INTEGER,
            other_label TEXT,
            example_id INTEGER,
            origin TEXT NOT NULL,
            seen INTEGER NOT NULL,
            kept INTEGER NOT NULL,
            redundant INTEGER NOT NULL,
            rejected INTEGER NOT NULL,
            reasons TEXT NOT NULL,
            taken_at REAL NOT NULL,
            undone_at REAL,
            final INTEGER NOT NULL,
            crc INTEGER NOT NULL)""",
        """CREATE TABLE classes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            created_by INTEGER NOT NULL REFERENCES lessons (id),
            merged_into INTEGER REFERENCES classes (id),
            crc INTEGER NOT NULL)""",
        "CREATE UNIQUE INDEX live_names ON classes (name) WHERE merged_into IS NULL",
        """CREATE TABLE examples (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            lesson_id INTEGER NOT NULL REFERENCES lessons (id),
            class_id INTEGER NOT NULL REFERENCES classes (id),
            displaced_by INTEGER REFERENCES lessons (id),
            taken_at REAL NOT NULL,
            camera TEXT NOT NULL,
            crc INTEGER NOT NULL)""",
        "CREATE INDEX examples_of_lesson ON examples (lesson_id)",
        "CREATE INDEX examples_of_class ON examples (class_id)",
        """CREATE TABLE latents (
            example_id INTEGER PRIMARY KEY REFERENCES examples (id) ON DELETE CASCADE,
            trunk TEXT NOT NULL,
            shape TEXT NOT NULL,
            scale REAL NOT NULL,
            zero_point INTEGER NOT NULL,
            codes BLOB NOT NULL,
            thumbnail BLOB,
            crc INTEGER NOT NULL)""",
        """CREATE TABLE embeddings (
            example_id INTEGER NOT NULL REFERENCES examples (id) ON DELETE CASCADE,
            tail TEXT NOT NULL,
            vector BLOB NOT NULL,
            crc INTEGER NOT NULL,
            UNIQUE (example_id, tail))""",
        """CREATE TABLE heads (
            tail TEXT NOT NULL,
            name TEXT NOT NULL,
            revision INTEGER NOT NULL,
            header TEXT NOT NULL,
            arrays BLOB NOT NULL,
            crc INTEGER NOT NULL,
            UNIQUE (tail, name))""",
        """CREATE TABLE reviews (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            trunk TEXT NOT NULL,
            shape TEXT NOT NULL,
            scale REAL NOT NULL,
            zero_point INTEGER NOT NULL,
            codes BLOB NOT NULL,
            thumbnail BLOB,
            guess TEXT,
            probability REAL NOT NULL,
            unknown_score REAL NOT NULL,
            taken_at REAL NOT NULL,
            camera TEXT NOT NULL,
            crc INTEGER NOT NULL)""",
    ):
        database.execute(statement)
    database.execute("INSERT INTO memory (id, revision, crc) VALUES (1, 0, ?)", (checksum((1, 0)),))
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _seals(database: sqlite3.Connection) -> None:
    """Version 2: the memory's row seals the tables, and a review frame knows its guess by number.

    Two indexes go: a scan of so small a table costs nothing beside the seal, and a damaged index hides rows as well.
    """
    (memory,) = Table("memory", "memory", ("id", "revision")).read(database)
    before = replace(REVIEWS, columns=tuple(column for column in REVIEWS.columns if column != "guess_id"))
    for statement in (
        "DROP INDEX examples_of_lesson",
        "DROP INDEX examples_of_class",
        "DROP TABLE memory",
        """CREATE TABLE memory (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            classes INTEGER NOT NULL,
            lessons INTEGER NOT NULL,
            examples INTEGER NOT NULL,
            reviews INTEGER NOT NULL,
            numbers INTEGER NOT NULL,
            crc INTEGER NOT NULL)""",
        "ALTER TABLE reviews ADD COLUMN guess_id INTEGER",
    ):
        database.execute(statement)
    for row in list(before.read(database)):
        named = "SELECT id FROM classes WHERE name = ? AND merged_into IS NULL"
        (guess_id,) = database.execute(named, (row["guess"],)).fetchone() or (None,)
        values = [guess_id if column == "guess_id" else row[column] for column in REVIEWS.columns]
        database.execute(
            "UPDATE reviews SET guess_id = ?, crc = ? WHERE id = ?", (guess_id, checksum(values), row["id"])
        )
    MEMORY.insert(database, [(*memory.values(), *seals.seals_of(database).values())])


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_tables, _seals)
VERSION = len(MIGRATIONS)


def version_of(database: sqlite3.Connection) -> int:
    """The version of the tables.

    Raises:
        StoreDamaged: not a memory of edgecl.
        StoreError: written by a newer edgecl.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreDamaged(
            f"found a database of another program (application id {application:#x}, version {version}), "
            f"expected a memory of edgecl ({APPLICATION_ID:#x}); it is left as it is; "
            "put back a backup with: edgecl restore BACKUP"
        )
    if version > VERSION:
        raise StoreError(
            f"found a memory of version {version}, expected at most {VERSION}: it was written by a newer edgecl; "
            "update edgecl, or restore a backup made before the update"
        )
    return int(version)


def migrate(database: sqlite3.Connection, version: int) -> None:
    """Bring tables of `version` (0: none yet) to `VERSION`; each step is one transaction."""
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        database.execute("BEGIN IMMEDIATE")
        step(database)
        database.execute(f"PRAGMA user_version = {number}")
        database.execute("COMMIT")


def shape_of(database: sqlite3.Connection) -> dict[str, str]:
    """Every table, index, trigger and view of a database with the text that made it."""
    return {
        f"{kind} {name}": text or ""
        for kind, name, text in database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
    }


def expected_shape() -> dict[str, str]:
    """What `shape_of` gives for a memory of this version."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(database, 0)
        return shape_of(database)
    finally:
        database.close()
