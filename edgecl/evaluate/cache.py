"""Arrays kept in files between runs: an entry that cannot be read, or is not what was expected, counts as none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgecl.files import private_folder, write_durably


def cached(entry: Path | None, shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any] | None:
    """The array in the file `entry`, or None where it is missing, damaged, or of another shape or type."""
    if entry is None:
        return None
    try:
        array: NDArray[Any] = np.load(entry, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.dtype(kind) else None


def keep(entry: Path | None, array: NDArray[Any]) -> None:
    """Write `array` to the file `entry`; nothing without one.

    Raises:
        StoreUnwritable: the disk refused.
    """
    if entry is None:
        return
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    private_folder(entry.parent)
    write_durably(entry, buffer.getvalue())
