"""Class ids, their names, and which class a merged one counts as. Ids are never reused; names are data."""

from __future__ import annotations

import difflib
import sqlite3

from edgecl.errors import ClassUnknown, StoreDamaged
from edgecl.memory.rows import CLASSES

_NUMBERS_END = 2**62  # far from what SQLite can hold, and out of reach by counting


def live(database: sqlite3.Connection) -> dict[int, str]:
    """Id → name of the classes that are not merged into another, by rising id."""
    # Past the index of live names, in which a damaged page could hide some.
    rows = CLASSES.read(database, "NOT INDEXED WHERE merged_into IS NULL ORDER BY id")
    return {row["id"]: row["name"] for row in rows}


def named(database: sqlite3.Connection, name: str) -> int | None:
    """Id of the live class called `name`, or None."""
    return next((class_id for class_id, known in live(database).items() if known == name), None)


def find(database: sqlite3.Connection, name: str) -> int:
    """Id of the live class called `name`.

    Raises:
        ClassUnknown: there is none; names that look alike are in the message.
    """
    class_id = named(database, name)
    if class_id is not None:
        return class_id
    names = list(live(database).values())
    close = difflib.get_close_matches(name, names, n=3)
    if not names:
        expected = "expected one that was taught, but nothing was taught yet; teach it with: edgecl teach LABEL SOURCE"
    elif close:
        expected = (
            f"expected one that was taught, such as {', '.join(map(repr, close))}; list all with: edgecl classes list"
        )
    else:
        expected = f"expected one of the {len(names)} that were taught; list them with: edgecl classes list"
    raise ClassUnknown(f"found no class {name!r:.60}, {expected}")


def create(database: sqlite3.Connection, name: str, lesson_id: int) -> int:
    """Add a class that `lesson_id` brought into the world. Returns its id."""
    class_id = next_id(database, "classes")
    CLASSES.insert(database, [(class_id, name, lesson_id, None)])
    return class_id


def counts_as(database: sqlite3.Connection) -> dict[int, int]:
    """Id of every class, merged ones too → id of the live class that it counts as.

    Raises:
        StoreDamaged: classes are merged in a circle.
    """
    merged = {row["id"]: row["merged_into"] for row in CLASSES.read(database)}
    resolved = {}
    for class_id in merged:
        target, steps = class_id, 0
        while merged.get(target) is not None:
            target, steps = merged[target], steps + 1
            if steps > len(merged):
                raise StoreDamaged(
                    f"found class {class_id} merged in a circle, expected a live class at the end; "
                    "put back a backup with: edgecl restore BACKUP"
                )
        resolved[class_id] = target
    return resolved


def call(database: sqlite3.Connection, class_id: int, name: str) -> None:
    """Give a class the name that it had before, as a live class of its own.

    Where another live class got that name meanwhile, from a lesson that cannot be undone, the class counts as that
    one: two classes of one name are one class.
    """
    holder = named(database, name)
    CLASSES.change(
        database, {"name": name, "merged_into": None if holder == class_id else holder}, "WHERE id = ?", (class_id,)
    )


def drop_if_unused(database: sqlite3.Connection, lesson_id: int) -> None:
    """Remove the class that `lesson_id` created, unless it has examples or another class counts as it."""
    database.execute(
        """DELETE FROM classes WHERE created_by = ?
           AND NOT EXISTS (SELECT 1 FROM examples WHERE class_id = classes.id)
           AND NOT EXISTS (SELECT 1 FROM classes AS other WHERE other.merged_into = classes.id)""",
        (lesson_id,),
    )


def last_id(database: sqlite3.Connection, table: str) -> int:
    """The largest number that `table` ever gave out.

    Raises:
        StoreDamaged: it cannot have been that.
    """
    (largest,) = database.execute(f"SELECT ifnull(max(id), 0) FROM {table}").fetchone()  # noqa: S608, our own names
    given = [seq for (seq,) in database.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))] or [0]
    if len(given) > 1 or not isinstance(given[0], int) or not largest <= given[0] < _NUMBERS_END:
        raise StoreDamaged(
            f"found {given[0]!r:.40} as the last number given out in {table}, expected one from {largest} on; "
            "put back a backup with: edgecl restore BACKUP"
        )
    return given[0]


def next_id(database: sqlite3.Connection, table: str) -> int:
    """The number that the next row of `table` gets; larger than every number it ever gave out."""
    return last_id(database, table) + 1
