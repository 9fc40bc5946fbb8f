"""The process that reads one camera: started by `CameraProcess`, ended by it, and by itself when that is gone.

On its standard input it gets one line of JSON: the address, which may hold a password and is nothing for a command
line, and the settings. On its standard output it says, a line of JSON each, which frame is new or why there is none.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

import numpy as np

from edgecl.cameras import reconnect
from edgecl.cameras.paced import live_frames
from edgecl.cameras.shared import SharedFrames
from edgecl.config import CameraSettings
from edgecl.errors import EdgeclError
from edgecl.types import Frame


def main() -> None:
    """Read the camera until it fails, or whoever asked for it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what a camera saw is not for a file
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    places = SharedFrames(int(sys.argv[1]))
    events = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a driver prints is no event
    told = _Told()
    logging.getLogger(reconnect.__name__).addHandler(_Loss(events))
    try:
        for number, frame in enumerate(live_frames(asked["url"], CameraSettings(**asked["settings"])), start=1):
            places.put(frame, number)
            _say(events, {"frame": number, "same_s": told.same_s(frame)})
        _say(events, {"error": "it ended"})
    except EdgeclError as error:
        _say(events, {"error": str(error)})


class _Loss(logging.Handler):
    """Passes on why a camera was lost that is opened again here: nobody else hears it."""

    def __init__(self, events: int) -> None:
        super().__init__(logging.WARNING)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        _say(self._events, {"trouble": record.getMessage()})


class _Told:
    """How long the camera has been giving the very same picture."""

    def __init__(self) -> None:
        self._last: Frame | None = None

    def same_s(self, frame: Frame) -> float:
        """0 for a picture that differs from the one before; else s since it came first."""
        if self._last is None or not np.array_equal(self._last.image, frame.image):
            self._last = frame
        return round(frame.monotonic - self._last.monotonic, 3)


def _say(file: int, event: dict[str, Any]) -> None:
    os.write(file, json.dumps(event).encode("utf-8") + b"\n")


def _end_with_parent() -> None:
    while sys.stdin.readline():
        time.sleep(0)
    os._exit(0)  # a driver that hangs would keep an ordinary exit waiting


if __name__ == "__main__":
    main()
