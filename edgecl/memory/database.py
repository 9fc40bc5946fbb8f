"""One connection to the database file: how it is opened, its transactions, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edgecl.errors import StoreBusy, StoreDamaged, StoreError, StoreUnwritable
from edgecl.files import sync_folder, unwritable
from edgecl.memory import schema, seals

BUSY_TIMEOUT_S = 5.0

_BUSY = ("locked", "locking protocol")
_UNWRITABLE = ("disk is full", "readonly", "disk i/o", "unable to open", "permission denied")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system says of `path` into an error of the memory.

    Raises:
        StoreBusy: another connection holds the database.
        StoreUnwritable: full, read-only or failing disk.
        StoreDamaged: what is on disk is no database, or not what was written.
    """
    try:
        yield
    except sqlite3.Error as error:
        # By text, since Python 3.10 gives no error code.
        said = str(error).lower()
        if any(part in said for part in _BUSY):
            raise StoreBusy(
                f"found {path} held by another process ({error}), expected it free within {BUSY_TIMEOUT_S:.0f} s; "
                "stop the other process or try again"
            ) from error
        if any(part in said for part in _UNWRITABLE):
            raise unwritable(path, error) from error
        raise StoreDamaged(
            f"found {path} damaged ({error}), expected a memory of edgecl; it is left as it is; "
            "put back a backup with: edgecl restore BACKUP"
        ) from error
    except (UnicodeDecodeError, MemoryError) as error:  # from text or lengths that a damaged page made up
        raise StoreDamaged(
            f"found {path} damaged ({error}), expected a memory of edgecl; it is left as it is; "
            "put back a backup with: edgecl restore BACKUP"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error


def connect(path: Path, query: str) -> sqlite3.Connection:
    """A raw connection with the settings every connection has; `query` is the end of SQLite's file URI."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    try:
        for setting in (
            "foreign_keys = ON",
            "synchronous = FULL",  # the log is synced at each commit: what was acknowledged survives a power cut
            "secure_delete = ON",  # what is deleted is overwritten with zeros
            "mmap_size = 0",  # an I/O error is an error, not a SIGBUS
            "cell_size_check = ON",  # notice a damaged page when it is read
            "trusted_schema = OFF",  # a database from elsewhere runs none of our functions
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path) -> None:
    """Put an empty memory at `path`, which is there whole or not at all, even after a power cut.

    An empty file at `path` is therefore never a young memory, but always a damaged one.
    """
    draft = path.with_name(f".{path.name}.draft")
    for leftover in (draft, draft.with_name(draft.name + "-journal")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(connect(draft, "mode=rw")) as connection:
        schema.migrate(connection, 0)
    draft.replace(path)
    sync_folder(path.parent)


class Database:
    """The connection of one store. Belongs to the thread that made it, as SQLite's connections do."""

    def __init__(self, path: Path, writable: bool) -> None:
        """Open the database.

        Raises:
            StoreError: there is none, or it cannot be used.
        """
        self.path = path
        self.writable = writable
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        with disk_errors(path):
            self._open()

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        self._abandon()

    @contextlib.contextmanager
    def reading(self, verified: bool = True) -> Iterator[sqlite3.Connection]:
        """One snapshot of the database: everything read inside belongs together.

        Args:
            verified: whether to compare the seals first; without, damage can be looked at.

        Raises:
            StoreDamaged: a table does not hold what was written.
        """
        with disk_errors(self.path):
            connection = self._open()
            connection.execute("BEGIN")
            try:
                if verified:
                    seals.verify(connection)
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction: committed when the block ends, rolled back whole when it raises.

        The seals are compared first and renewed at the end, or damage would be made to look sound.

        After an error of SQLite the connection is given up and the next use opens a new one: SQLite itself would go
        on after a failed sync as if the disk had kept what it lost.
        """
        if not self.writable:
            raise StoreUnwritable(
                f"found {self.path} opened for reading, expected for writing; open the home with writable=True"
            )
        with disk_errors(self.path):
            connection = self._open()
            try:
                connection.execute("BEGIN IMMEDIATE")
                seals.verify(connection)
                yield connection
                seals.renew(connection)
                connection.execute("COMMIT")
            except sqlite3.Error:
                self._abandon()
                raise
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def outside_transactions(self) -> sqlite3.Connection:
        """The bare connection, for VACUUM, checkpoints and backups; wrap its use in `disk_errors`."""
        return self._open()

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"found the memory at {self.path} closed, expected it open; open it again")
        if self._connection is None:
            self._connection = self._open_for_writing() if self.writable else self._open_for_reading()
        return self._connection

    def _open_for_writing(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._refuse_lone_log()
            create(self.path)
        elif not _size(self.path):
            raise StoreDamaged(
                f"found {self.path} empty, expected a memory of edgecl; it is left as it is; "
                "put back a backup with: edgecl restore BACKUP"
            )
        connection = connect(self.path, "mode=rw")
        try:
            version = schema.version_of(connection)  # before anything is written to what may not be ours
            connection.execute("PRAGMA journal_mode = WAL")
            schema.migrate(connection, version)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")  # a file that may not be written says so now
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_for_reading(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._refuse_lone_log()
            raise StoreError(
                f"found no {self.path.name} in {self.path.parent}, expected the memory of a home; "
                "teach a first class, or choose another folder with --home"
            )
        if not _size(self.path):
            raise StoreDamaged(
                f"found {self.path} empty, expected a memory of edgecl; put back a backup with: edgecl restore BACKUP"
            )
        # SQLite wants to make its -wal and -shm files even to read; where it cannot, for want of the right or of room,
        # and no log is waiting to be read, nobody else can be writing either.
        log_waits = bool(_size(_wal(self.path)))
        if not log_waits and not os.access(self.path.parent, os.W_OK):
            return self._readable("mode=ro&immutable=1")
        try:
            return self._readable("mode=ro")
        except sqlite3.OperationalError as error:
            if log_waits or str(error) not in ("disk I/O error", "unable to open database file"):
                raise
            return self._readable("mode=ro&immutable=1")

    def _readable(self, query: str) -> sqlite3.Connection:
        connection = connect(self.path, query)
        try:
            version = schema.version_of(connection)
            if version < schema.VERSION:
                raise StoreError(
                    f"found a memory of version {version}, expected {schema.VERSION}; "
                    "open it once for writing to bring it up to date, with: edgecl doctor"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_lone_log(self) -> None:
        if _size(_wal(self.path)):
            raise StoreDamaged(
                f"found {_wal(self.path).name} but no {self.path.name} in {self.path.parent}, expected both or "
                "neither; put the file back, or put back a backup with: edgecl restore BACKUP"
            )

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
