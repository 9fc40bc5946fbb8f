"""Frames from one process to another: a few places in memory that both see, of which the newest counts.

Nothing waits and nothing is queued. The writer goes round the places; the reader is told by a number which one is new,
copies it, and finds out whether it was overwritten meanwhile.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile

import numpy as np
from numpy.typing import NDArray

from edgecl.cameras.capture import FRAME_PIXELS_MAX
from edgecl.types import Frame

PLACES = 3  # one that is written, the newest, and one that may still be read
_HEADER = struct.Struct("<QIIddQ")  # number, height px, width px, taken at, monotonic, index
_PLACE_BYTES = -(-(_HEADER.size + 3 * FRAME_PIXELS_MAX) // mmap.PAGESIZE) * mmap.PAGESIZE


class SharedFrames:
    """The places. What no frame was ever written to takes no memory.

    Attributes:
        file: descriptor of the memory, to be handed to the other process.
    """

    def __init__(self, file: int | None = None) -> None:
        """Make the places, or see those of `file`."""
        self.file = _memory() if file is None else file
        self._places = mmap.mmap(self.file, PLACES * _PLACE_BYTES)

    def put(self, frame: Frame, number: int) -> None:
        """Write the frame `number`; numbers rise by one from 1."""
        height, width = frame.image.shape[:2]
        start = (number % PLACES) * _PLACE_BYTES
        header = (height, width, frame.taken_at, frame.monotonic, frame.index)
        _HEADER.pack_into(self._places, start, 0, *header)  # 0: being written
        self._pixels(start, height, width)[:] = frame.image
        _HEADER.pack_into(self._places, start, number, *header)

    def take(self, number: int, camera: str) -> Frame | None:
        """A copy of the frame `number`, called after `camera`; None if a later one took its place."""
        start = (number % PLACES) * _PLACE_BYTES
        found, height, width, taken_at, monotonic, index = _HEADER.unpack_from(self._places, start)
        if found != number or not 0 < height * width <= FRAME_PIXELS_MAX:
            return None
        image = self._pixels(start, height, width).copy()
        if _HEADER.unpack_from(self._places, start)[0] != number:
            return None
        return Frame(image, taken_at, monotonic, camera, index)

    def close(self) -> None:
        """Let go of the memory; may be said twice."""
        self._places.close()
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def _pixels(self, start: int, height: int, width: int) -> NDArray[np.uint8]:
        flat = np.frombuffer(self._places, np.uint8, 3 * height * width, start + _HEADER.size)
        return flat.reshape(height, width, 3)


def _memory() -> int:
    if hasattr(os, "memfd_create"):  # not below /dev/shm, of which a container has 64 MB
        file = os.memfd_create("edgecl-frames")
    else:
        with tempfile.TemporaryFile() as named:
            file = os.dup(named.fileno())
    os.ftruncate(file, PLACES * _PLACE_BYTES)
    return file
