"""Standard input: one image, or JPEGs one after the other as `ffmpeg -f mjpeg -` and `rpicam-vid` write them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Generator
from typing import IO

from edgecl.cameras.jpegs import JpegSplitter
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable, ImageRefused
from edgecl.images import IMAGE_BYTES_MAX, decode_image, is_image
from edgecl.types import Frame

FORM = "- (an image or a stream of JPEGs on standard input)"

_CHUNK = 65536  # bytes

log = logging.getLogger(__name__)


def accepts(url: str) -> bool:
    """`-`."""
    return url == "-"


def is_live(url: str) -> bool:
    """Never: whoever writes waits for us."""
    return False


def frames(url: str, settings: CameraSettings) -> Generator[Frame, None, None]:
    """Frames until the input ends; `camera` is `stdin:N`, since pictures without a time of their own are stills.

    In a stream a damaged picture is logged and left out.

    Raises:
        CameraUnavailable: the input is a terminal, is empty, or no picture of it can be read.
        ImageRefused: it does not begin with an image, is one that cannot be read, or has no whole one for 64 MB.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise CameraUnavailable("found a terminal on standard input, expected an image; write: edgecl … - < cup.jpg")
    yield from read_frames(sys.stdin.buffer)


def read_frames(source: IO[bytes]) -> Generator[Frame, None, None]:
    """The same from any stream of bytes."""
    head = source.read(16)
    if not head:
        raise CameraUnavailable("found nothing on standard input, expected an image; write: edgecl … - < cup.jpg")
    if not is_image(head):  # JPEGs could be dug out of the middle of anything: a video, a database
        raise ImageRefused(
            f"found bytes that begin with {head[:8].hex(' ')} in standard input, expected a picture or JPEGs one after "
            "the other; give other files by their path, or a video as: ffmpeg -i VIDEO -f mjpeg - | edgecl … -"
        )
    if not head.startswith(b"\xff\xd8"):
        yield _frame(head + source.read(IMAGE_BYTES_MAX), 0)
        return
    splitter, index, data = JpegSplitter(), 0, head
    seen = bytearray()  # since the last JPEG that could be read, so that one that is cut off can say so
    while data:
        seen += data
        for jpeg in splitter.feed(data):
            try:
                frame = _frame(jpeg, index)
            except ImageRefused as error:
                log.warning("left out: %s", error)
                continue
            yield frame
            index += 1
            seen.clear()
        if len(seen) > IMAGE_BYTES_MAX:
            raise ImageRefused(
                f"found over {IMAGE_BYTES_MAX // 2**20} MB without a whole JPEG in standard input, expected JPEGs one "
                "after the other; check what writes them"
            )
        data = _read(source)
    if index == 0:
        yield _frame(bytes(seen), 0)


def _read(source: IO[bytes]) -> bytes:
    read_some = getattr(source, "read1", source.read)  # a pipe gives what is there, not only full chunks
    data: bytes = read_some(_CHUNK)
    return data


def _frame(data: bytes, index: int) -> Frame:
    image = decode_image(data, "standard input")
    return Frame(image, time.time(), time.monotonic(), f"stdin:{index}", index)
