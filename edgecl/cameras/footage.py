"""A bounded piece of what a source shows: so many frames, so many seconds, every how many-th."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

from edgecl.cameras import Frames, is_live, open_camera
from edgecl.cameras.newest import NewestFrame
from edgecl.cameras.paths import local_path
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, FrameUnusable
from edgecl.types import Frame

Gap = CameraStalled | FrameUnusable


def ends(url: str) -> bool:
    """Whether the source comes to an end by itself: a file, a folder or standard input. Of all else nobody knows."""
    return url == "-" or local_path(url) is not None


def footage(
    url: str, settings: CameraSettings, limit: int | None = None, seconds: float | None = None, every: int = 1
) -> Generator[Frame | Gap, None, None]:
    """Frames of the camera, file or folder at `url`; of a live one always the newest.

    What is missing is given in place of a frame: `FrameUnusable` for one that cannot be read, `CameraStalled` where a
    video breaks off, and each time that a live camera was silent for the read time-out. Others follow where they can.

    Args:
        url: see `edgecl.cameras`.
        settings: the time-outs.
        limit: at most so many frames.
        seconds: at most so long from the first frame on; in a recording it is the recording's time that counts.
        every: 3 for every third frame.

    Raises:
        CameraUnavailable, ImageRefused: see `open_camera`.
    """
    source, live = open_camera(url, settings), is_live(url)
    given = number = 0
    first: Frame | None = None
    with contextlib.closing(NewestFrame(source, settings) if live else source) as frames:
        for found in _with_gaps(frames):
            if not isinstance(found, Frame):
                yield found
                continue
            first = first or found
            if seconds is not None and _elapsed_s(first, found, live) >= seconds:
                return
            if number % every == 0:
                yield found
                given += 1
                if given == limit:
                    return
            number += 1


def _with_gaps(frames: Frames) -> Iterator[Frame | Gap]:
    while True:
        try:
            found: Frame | Gap = next(frames)
        except StopIteration:
            return
        except (CameraStalled, FrameUnusable) as error:
            found = error
        yield found


def _elapsed_s(first: Frame, frame: Frame, live: bool) -> float:
    """Of a recording by its own time; else by a clock that nobody sets.

    Stills have a name each, and the times of their files say nothing of how long looking at them took.
    """
    recorded = not live and first.camera == frame.camera
    return frame.taken_at - first.taken_at if recorded else frame.monotonic - first.monotonic
