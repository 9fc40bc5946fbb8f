"""Video files: every frame, in order, as fast as it is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator

import cv2

from edgecl.cameras.capture import Capture, ffmpeg_options
from edgecl.cameras.containers import frames_declared
from edgecl.cameras.paths import local_kind, local_path
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable
from edgecl.types import Frame

FORM = "cup.mp4 (a video file)"

_FPS = 25.0  # where the file does not say
# Whole videos lack a frame or two at the ends of their edits, and cameras count frames that they dropped.
_SHORT, _SHORT_FRAMES = 0.02, 2


def accepts(url: str) -> bool:
    """A path or `file://` of a video, or of a file whose kind cannot be told without opening it."""
    return local_kind(url) == "video"


def is_live(url: str) -> bool:
    """Never."""
    return False


def frames(url: str, settings: CameraSettings) -> Generator[Frame, None, None]:
    """Every frame of the video; the last one ends it.

    `taken_at` is the file's time of change plus the frame's place in the video, so the distances between frames are
    true, and the time of day roughly.

    Raises:
        CameraUnavailable: no such file, no video, or none of its frames can be decoded.
        CameraStalled: the decoder hangs; or, behind the last frame, the file holds fewer than it says.
    """
    path = local_path(url)
    if path is None or not path.is_file():
        found = "nothing" if path is None or not path.exists() else "no regular file"
        raise CameraUnavailable(f"found {found} at {url}, expected a video file; check the path")
    started = path.stat().st_mtime
    remedy = "expected a video that FFmpeg decodes; check that the file is whole, or convert it to MP4 with H.264"
    index = -1
    with contextlib.closing(
        Capture(str(path), cv2.CAP_FFMPEG, ffmpeg_options(settings), settings, url, remedy)
    ) as pictures:
        for index, image in enumerate(pictures):
            # Counted, since the time that FFmpeg tells goes to and fro where frames are predicted from later ones.
            yield Frame(image, started + index / (pictures.fps or _FPS), time.monotonic(), url, index)
    if index < 0:
        raise CameraUnavailable(f"found no frame that can be decoded in {url}, {remedy}")
    declared = frames_declared(path, pictures.count)
    if declared is not None and index + 1 < (1 - _SHORT) * declared - _SHORT_FRAMES:
        raise CameraStalled(
            f"found {index + 1} of the {declared} frames that {url} says it holds, expected them all: it is cut off or "
            "damaged; copy it anew, or convert what is left of it into a video of its own"
        )
