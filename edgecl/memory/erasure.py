"""Looking for deleted bytes in files: the negative that `forget` has to prove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LENGTH = 24  # bytes of a fragment; the first 8 are its key
_TRIES = 16  # windows looked at to choose a fragment
_BLOCK = 1 << 22  # bytes of a file looked at together


def fragments_of(blob: bytes) -> set[bytes]:
    """Pieces of `blob` that tell it from others: its most varied 24 bytes in each of up to three parts.

    Three, since SQLite spreads a large value over pages and one piece may lie across the end of one.
    """
    pieces = set()
    for part in range(3):
        start, end = len(blob) * part // 3, len(blob) * (part + 1) // 3
        step = max((end - start) // _TRIES, 1)
        windows = [blob[i : i + _LENGTH] for i in range(start, max(end - _LENGTH, start) + 1, step)]
        varied = max(windows, key=lambda window: len(set(window)), default=b"")
        if len(set(varied)) >= 8:  # a run of zeros is everywhere and proves nothing
            pieces.add(varied)
    return pieces


def found_in(path: Path, fragments: Iterable[bytes]) -> set[bytes]:
    """The fragments that occur in the file at `path`; a file that is not there holds none."""
    wanted: dict[int, list[bytes]] = {}
    for fragment in fragments:
        wanted.setdefault(int.from_bytes(fragment[:8], "little"), []).append(fragment)
    keys = np.array(sorted(wanted), np.uint64)
    found: set[bytes] = set()
    if not len(keys):
        return found
    for block in _blocks(path):
        for position, key in _hits(block, keys):
            found.update(fragment for fragment in wanted[key] if block.startswith(fragment, position))
    return found


def _hits(block: bytes, keys: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Places in `block` where the first eight bytes of a fragment stand; one pass however many fragments."""
    for shift in range(min(8, len(block) - 7)):
        words = np.frombuffer(block, "<u8", (len(block) - shift) // 8, shift)
        near = np.minimum(np.searchsorted(keys, words), len(keys) - 1)
        for index in np.flatnonzero(keys[near] == words):
            yield int(index) * 8 + shift, int(words[index])


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks that overlap, so that no fragment falls between two."""
    if not path.exists():
        return
    with path.open("rb") as file:
        tail = b""
        while data := file.read(_BLOCK):
            yield tail + data
            tail = data[-_LENGTH:]
