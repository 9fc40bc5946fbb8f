"""How many frames a video file says it holds, for the containers that state it: MP4, MOV and AVI.

The others hold a duration at best, which may be that of the sound, and whose product with the frame rate is a guess.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MOOV_BYTES_MAX = 64 * 2**20
_NEVER_SHOWN = -1  # the media time of an edit that is a pause


def frames_declared(path: Path, counted: int) -> int | None:
    """Frames that a reader of the whole file gets, or None where the container does not say.

    Args:
        path: of the video.
        counted: frames in the file's own index, as FFmpeg reads it.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return counted
        if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
            return None
        try:
            share = _share_shown(_moov(file))
        except struct.error:  # a header that ends early; that it could be opened at all is luck
            return counted
    return None if share is None else round(counted * share)


def _share_shown(moov: bytes) -> float | None:
    """What the edit list of the film leaves of its frames: trimming a clip often leaves them in the file."""
    for kind, track in _boxes(moov):
        media = _inside(track, b"mdia") if kind == b"trak" else b""
        if _inside(media, b"hdlr")[8:12] != b"vide":
            continue
        scale, length = _clock(_inside(media, b"mdhd"))
        edits = _edits(_inside(_inside(track, b"edts"), b"elst"))
        shown = sum(duration for duration, at in edits if at != _NEVER_SHOWN)
        if not length:  # a fragmented file, whose frames are counted nowhere
            return None
        if not shown:
            return 1.0
        movie_scale, _ = _clock(_inside(moov, b"mvhd"))
        return min(1.0, shown / max(movie_scale, 1) * scale / length)
    return None


def _moov(file: BinaryIO) -> bytes:
    """The box that describes the film; it may stand before the pictures or behind them."""
    file.seek(0, 2)
    at, end = 0, file.tell()
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if kind == b"moov":
            file.seek(at + 8)
            return file.read(min(max(size - 8, 0), _MOOV_BYTES_MAX))
        if size < 8:
            break
        at += size
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _inside(data: bytes, wanted: bytes) -> bytes:
    return next((body for kind, body in _boxes(data) if kind == wanted), b"")


def _clock(header: bytes) -> tuple[int, int]:
    """Ticks a second and length in ticks, of a film or one of its tracks."""
    wide = header[:1] == b"\1"
    scale, length = struct.unpack_from(">IQ" if wide else ">II", header, 20 if wide else 12)
    return scale, length


def _edits(body: bytes) -> list[tuple[int, int]]:
    """Duration in ticks of the film, and where in the track it begins."""
    if not body:
        return []
    entry = ">QqI" if body[:1] == b"\1" else ">IiI"
    return [(duration, at) for duration, at, _ in struct.iter_unpack(entry, body[8:])]
