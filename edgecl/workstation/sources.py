"""Where a memory to learn from is: a home, a backup file, or a device's API."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecl.errors import ConsolidationRefused, DeviceRefused, StoreDamaged
from edgecl.files import unwritable
from edgecl.memory.backup import DATABASE, restore
from edgecl.memory.store import Store
from edgecl.remote import Device

BACKUP_PATH = "/api/v1/memory/backup"  # a device answers it with what `edgecl backup` writes
BYTES_MAX = 4_000_000_000
CHUNK = 1 << 20


def check_there(source: Path | Device) -> None:
    """See whether there is something at a path to read a memory from; a device is not asked.

    Raises:
        ConsolidationRefused: there is not.
    """
    if not (isinstance(source, Device) or _is_home(source) or os.path.isfile(source)):  # noqa: PTH113
        raise ConsolidationRefused(
            f"found no memory at {str(source)[:200]}, expected a home that was taught, what `edgecl backup` wrote, or "
            "the address of a device; check the path"
        )


def _is_home(source: Path) -> bool:
    return os.path.exists(source / DATABASE)  # noqa: PTH110  # a name too long is no memory either


@contextlib.contextmanager
def memory_at(source: Path | Device) -> Iterator[Store]:
    """Open the memory at `source` for reading, for as long as the block lasts; it is not changed.

    Args:
        source: a home's folder, a backup file, or a device.

    Raises:
        ConsolidationRefused: there is no memory.
        DeviceRefused: the device does not give it, or not whole.
        StoreError: it cannot be read; see `Store`.
    """
    check_there(source)
    if isinstance(source, Device):
        with _scratch() as folder:
            file = Path(folder, "backup.db")
            _fetch(source, file)
            try:
                with _restored(file) as store:
                    yield store
            except StoreDamaged as error:
                raise DeviceRefused(
                    f"what {source.address} gave is no sound backup of a memory ({error}); check the address, and the "
                    "memory there with: edgecl doctor"
                ) from error
    else:
        with Store(source, writable=False) if _is_home(source) else _restored(source) as store:
            yield store


@contextlib.contextmanager
def _restored(file: Path) -> Iterator[Store]:
    """A backup as a memory of its own, checked wholly."""
    with _scratch() as home:
        restore(home, file)
        with Store(home, writable=False) as store:
            yield store


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for as long as the block lasts."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="edgecl.")
    except OSError as error:
        raise unwritable(Path(error.filename or "the temporary folder"), error) from error
    with folder as name:
        yield Path(name)


def _fetch(device: Device, file: Path) -> None:
    """Write the backup of the device's memory into `file`."""
    written = 0
    with device.asked(BACKUP_PATH) as answer:
        while chunk := answer.read(CHUNK):
            try:
                with file.open("ab") as copy:  # anew for each, since what is left to write is refused at the end
                    copy.write(chunk)
            except OSError as error:
                raise unwritable(file, error) from error
            written += len(chunk)
            if written > BYTES_MAX:
                raise DeviceRefused(
                    f"found more than {BYTES_MAX:,} bytes at {device.address}{BACKUP_PATH}, expected a memory; check "
                    "the address"
                )
