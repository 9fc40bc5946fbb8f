"""Class ids, their names, and which class a merged one counts as. Ids are never reused; names are data."""

from __future__ import annotations

import difflib
import sqlite3

from edgecl.errors import ClassUnknown, StoreDamaged
from edgecl.memory.rows import CLASSES


def live(database: sqlite3.Connection) -> dict[int, str]:
    """Id → name of the classes that are not merged into another, by rising id."""
    return {row["id"]: row["name"] for row in CLASSES.read(database, "WHERE merged_into IS NULL ORDER BY id")}


def named(database: sqlite3.Connection, name: str) -> int | None:
    """Id of the live class called `name`, or None."""
    for row in CLASSES.read(database, "WHERE name = ? AND merged_into IS NULL", (name,)):
        return int(row["id"])
    return None


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


def members(database: sqlite3.Connection, class_id: int) -> list[int]:
    """Ids of the classes that count as `class_id`, itself included."""
    return [member for member, target in counts_as(database).items() if target == class_id]


def drop_if_empty(database: sqlite3.Connection, lesson_id: int) -> None:
    """Remove the class that `lesson_id` created, unless it has examples; merges into it were undone before."""
    database.execute(
        """DELETE FROM classes WHERE created_by = ?
           AND NOT EXISTS (SELECT 1 FROM examples WHERE class_id = classes.id)""",
        (lesson_id,),
    )


def next_id(database: sqlite3.Connection, table: str) -> int:
    """The number that the next row of `table` gets; larger than every number it ever gave out."""
    for (given,) in database.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)):
        return int(given) + 1
    return 1
