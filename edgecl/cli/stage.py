"""What the demonstration looks at: a camera, a recording at its own speed, or photographs one at a time."""

from __future__ import annotations

import time

from edgecl.cameras import Frames, is_live, open_camera, redact
from edgecl.cameras.capture import stalled
from edgecl.cameras.newest import NewestFrame
from edgecl.cameras.paced import Pace
from edgecl.cameras.sample import PHOTOGRAPHS
from edgecl.config import CameraSettings
from edgecl.errors import CameraError, FrameUnusable
from edgecl.types import Frame

CAMERA = "0"


class Stage:
    """One source that is open, in the hands of whoever draws the screen.

    Attributes:
        turns: whether `turn` shows something else.
        over: whether a recording came to its end.
        trouble: why there is no picture at the moment, or None.
    """

    def __init__(self, source: str | None, settings: CameraSettings) -> None:
        """Open `source`; None stands for sample photographs.

        Raises:
            CameraError: it cannot be opened.
        """
        self.turns = source is None
        self.over = False
        self.trouble: str | None = None
        self._settings = settings
        self._number = 0
        self._source = source if source is not None else _photograph(0)
        self._seen, self._heard = False, time.monotonic()
        self._pace = Pace()
        self._open()

    @property
    def title(self) -> str:
        """What is shown, for a person."""
        return f"a photograph: {PHOTOGRAPHS[self._number]}" if self.turns else redact(self._source)

    @property
    def live(self) -> bool:
        """Whether a camera is shown, so that this goes on until someone leaves."""
        return self._live and not self.turns

    def turn(self) -> None:
        """Show the next photograph."""
        self._number = (self._number + 1) % len(PHOTOGRAPHS)
        self._source = _photograph(self._number)
        self._frames.close()
        self._open()

    def frame(self, wait_s: float) -> Frame | None:
        """The next frame, of a live camera the newest; None if none comes within `wait_s` or so.

        Raises:
            CameraError: the source never gave a picture; one that did is opened again and again.
        """
        try:
            found = self._next(wait_s)
        except FrameUnusable as error:
            self.trouble = str(error)
            return None
        except CameraError as error:
            if not self._seen:
                raise
            self.trouble = str(error)
            self.over = not self._live
            if self._live:
                self._frames.close()
                self._open()
            return None
        if found is not None:
            self._seen, self.trouble, self._heard = True, None, time.monotonic()
        else:
            self._note_silence()
        return found

    def _note_silence(self) -> None:
        silent_s = time.monotonic() - self._heard
        if not self._seen and silent_s > self._settings.open_timeout_s + self._settings.read_timeout_s:
            raise stalled(redact(self._source), silent_s)
        if self._seen and silent_s > self._settings.read_timeout_s:
            self.trouble = f"{redact(self._source)} has been silent for {silent_s:.0f} s"

    def close(self) -> None:
        """Let go of the source."""
        self._frames.close()

    def _open(self) -> None:
        frames = open_camera(self._source, self._settings)
        self._live = is_live(self._source)
        self._frames: NewestFrame | Frames = NewestFrame(frames, self._settings) if self._live else frames

    def _next(self, wait_s: float) -> Frame | None:
        if isinstance(self._frames, NewestFrame):
            found = self._frames.take(wait_s)
            self.over = self._frames.ended
            return found
        found = next(self._frames, None)
        self.over = found is None
        if found is not None:  # at the speed at which it was taken
            time.sleep(self._pace.wait_s(found.taken_at))
        return found


def camera_works(settings: CameraSettings) -> bool:
    """Whether camera 0 gives a picture."""
    frames = open_camera(CAMERA, settings)
    try:
        return next(frames, None) is not None
    except CameraError:
        return False
    finally:
        frames.close()


def _photograph(number: int) -> str:
    return f"sample://{PHOTOGRAPHS[number]}?fps=15"
