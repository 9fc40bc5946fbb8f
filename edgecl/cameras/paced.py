"""A recording at the speed at which it was taken, as if it were happening now."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace

from edgecl.cameras import Frames, is_live, open_camera
from edgecl.config import CameraSettings
from edgecl.errors import FrameUnusable
from edgecl.types import Frame

LONGEST_PAUSE_S = 1.0  # between two pictures


class Pace:
    """Says how long to wait with a frame of a recording."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None  # of the recording's clock before ours

    def wait_s(self, taken_at: float) -> float:
        """From now until the frame taken at `taken_at` is to be shown, at most `LONGEST_PAUSE_S`."""
        ahead_s = taken_at - time.monotonic()
        if self._ahead_s is None:
            self._ahead_s = ahead_s
        wait_s = ahead_s - self._ahead_s
        if not 0.0 <= wait_s <= LONGEST_PAUSE_S:  # late, or a gap: the clock goes on from here
            wait_s = min(max(wait_s, 0.0), LONGEST_PAUSE_S)
            self._ahead_s = ahead_s - wait_s
        return wait_s


def live_frames(url: str, settings: CameraSettings) -> Generator[Frame, None, None]:
    """Frames for ever: of a camera as they come, of a recording at its own speed, again and again.

    Raises:
        CameraError: see `open_camera`; of a recording also where it holds no usable picture.
    """
    if is_live(url):
        frames: Frames = open_camera(url, settings)
        try:
            yield from frames
        finally:
            frames.close()
        return
    index = 0
    while True:
        pace, before, error = Pace(), index, None
        frames = open_camera(url, settings)
        try:
            while True:
                try:
                    frame = next(frames, None)
                except FrameUnusable as found:  # one picture of a folder
                    error = found
                    continue
                if frame is None:
                    break
                time.sleep(pace.wait_s(frame.taken_at))
                yield replace(frame, taken_at=time.time(), monotonic=time.monotonic(), index=index)
                index += 1
        finally:
            frames.close()
        if index == before:
            if error is not None:
                raise error
            return
