"""A camera whose frames others send us: the camera of the browser that shows the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecl.cameras.process import Condition
from edgecl.config import CameraSettings
from edgecl.types import Frame

WAITING = "no page sends its camera's picture; open the page and press “use this camera”"


class PushedCamera:
    """One slot for the newest frame, filled from outside.

    Attributes:
        name: how the camera is called here.
    """

    def __init__(self, name: str, settings: CameraSettings, wake: Callable[[], None]) -> None:
        """Wait for frames.

        Args:
            name: how the camera is called here.
            settings: after how long it is silent.
            wake: called when there is a new frame.
        """
        self.name = name
        self._limit_s, self._wake = settings.read_timeout_s, wake
        self._lock = threading.Lock()
        self._slot: Frame | None = None
        self._since, self._frames, self._dropped = time.monotonic(), 0, 0
        self._last: float | None = None

    def push(self, image: NDArray[np.uint8]) -> None:
        """Take in a picture, uint8 (H, W, 3) BGR; one that nobody looked at yet is dropped."""
        now = time.monotonic()
        with self._lock:
            if self._last is None or now - self._last > self._limit_s:
                self._since = now
            self._dropped += self._slot is not None
            self._slot = Frame(image, time.time(), now, self.name, self._frames)
            self._frames, self._last = self._frames + 1, now
        self._wake()

    @property
    def condition(self) -> Condition:
        """How it is now."""
        now = time.monotonic()
        if self._last is None or now - self._last > self._limit_s:
            since = self._since if self._last is None else self._last
            return Condition("lost", since, WAITING, self._frames, self._dropped, 0, self._last)
        return Condition("open", self._since, None, self._frames, self._dropped, 0, self._last)

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet."""
        with self._lock:
            frame, self._slot = self._slot, None
        return frame

    def close(self) -> None:
        """Nothing to let go of."""
