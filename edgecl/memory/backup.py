"""Copying a memory while it is in use, and putting a copy back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edgecl.errors import InputRefused, StoreDamaged, StoreError
from edgecl.files import exclusive, private_folder, sync_folder
from edgecl.memory import schema
from edgecl.memory.database import connect, disk_errors
from edgecl.memory.inspection import faults

DATABASE = "edgecl.db"
LOCK = "edgecl.lock"


def back_up(database: sqlite3.Connection, path: Path) -> None:
    """Copy the memory as it is now into the new file `path`, while it may be in use.

    Raises:
        InputRefused: `path` exists.
        StoreDamaged: the memory, and therefore the copy, is not sound; no file is left behind.
        StoreUnwritable: the disk refused.
    """
    if path.exists():
        raise InputRefused(f"found a file at {path}, expected none: a backup overwrites nothing; choose another name")
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with disk_errors(path), _removed_at_the_end(draft):
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(connect(draft, "mode=rw")) as copy:
            database.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable from a read-only disk
            _expect_sound(faults(copy), path)
        _sync(draft)
        draft.replace(path)
        sync_folder(path.parent)


def restore(home: Path, path: Path) -> Path | None:
    """Put the backup at `path` in the place of the memory of `home`.

    It is copied and checked wholly first; the memory it replaces is kept beside it.

    Returns:
        Where the old memory now is, or None if there was none.

    Raises:
        StoreError: there is no file `path`.
        StoreDamaged: the backup is not sound; nothing was changed.
        StoreBusy: another process is writing to the home.
        StoreUnwritable: the disk refused.
    """
    if not path.is_file():
        raise StoreError(f"found no file {path}, expected what `edgecl backup` wrote; check the path")
    private_folder(home)
    target = home / DATABASE
    with exclusive(home / LOCK):
        draft = home / f".{DATABASE}.restore.draft"
        with disk_errors(path), _removed_at_the_end(draft):
            _copy(path, draft)
            with contextlib.closing(connect(draft, "mode=rw")) as copy:
                version = schema.version_of(copy)
                schema.migrate(copy, version)
                _expect_sound(faults(copy), path)
                copy.execute("PRAGMA journal_mode = DELETE")
            _sync(draft)
            kept = _put_aside(target)
            draft.replace(target)
            sync_folder(home)
    return kept


def _expect_sound(lines: list[str], path: Path) -> None:
    if lines:
        raise StoreDamaged(
            f"found {len(lines)} faults in {path} ({'; '.join(lines[:3])}), expected a sound memory; "
            "nothing was changed; use an older backup"
        )


def _copy(path: Path, draft: Path) -> None:
    """Copy a database, with the log that may lie beside it if it was not closed."""
    for end in ("", "-wal"):
        source = path.with_name(path.name + end)
        if end and not source.exists():
            continue
        with (
            source.open("rb") as file,
            os.fdopen(
                os.open(draft.with_name(draft.name + end), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as copy,
        ):
            shutil.copyfileobj(file, copy, 1 << 20)


def _put_aside(target: Path) -> Path | None:
    """Give the memory at `target` a second name, if there is one, and take its log away in any case.

    A log that stayed would be carried over into whatever takes the memory's place.
    """
    if target.exists() and _is_sound(target):  # a checkpoint of a damaged one would overwrite what may be left to save
        with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(target, "mode=rw")) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    kept = _free_name(target)
    if target.exists():
        try:
            os.link(target, kept)
        except OSError:  # a file system without second names
            shutil.copyfile(target, kept)
            _sync(kept)
    for end in ("-wal", "-shm"):
        beside = target.with_name(target.name + end)
        if end == "-wal" and beside.exists() and beside.stat().st_size:
            beside.replace(kept.with_name(kept.name + end))  # of a damaged memory: the two belong together
        beside.unlink(missing_ok=True)
    sync_folder(target.parent)
    return kept if kept.exists() else None


def _free_name(target: Path) -> Path:
    number = 1
    while any(target.parent.glob(f"{target.name}.before-restore-{number}*")):
        number += 1
    return target.with_name(f"{target.name}.before-restore-{number}")


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(connect(path, "mode=ro")) as database:
            return not faults(database)
    except sqlite3.Error:
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _removed_at_the_end(draft: Path) -> Iterator[None]:
    """Nothing of `draft` stays behind, nor of an earlier attempt that was cut off."""
    leftovers = [draft.with_name(draft.name + end) for end in ("", "-wal", "-shm", "-journal")]
    try:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
