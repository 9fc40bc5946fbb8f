"""A live camera that comes back: opened anew for ever, at growing intervals."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from edgecl.cameras.capture import Picture
from edgecl.config import CameraSettings
from edgecl.errors import CameraError, CameraUnavailable
from edgecl.types import Frame

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # who waits for frames sees the gap; logs are for a program that sets them up

STEADY_S = 60.0  # so long frames have to come before a loss counts as the first again
_JITTER = 0.2  # a share: cameras behind one switch must not all be asked in the same moment


class Pictures(Protocol):
    """One connection to a camera."""

    def __iter__(self) -> Iterator[Picture]: ...

    def close(self) -> None:
        """Release the device."""


class Reconnecting:
    """Frames of a live camera across any number of losses.

    Only a camera that never delivered a picture raises: its address is probably wrong. `close()` may be called from
    another thread; it ends the wait for the next attempt at once, and a wait for a picture within the read time-out.
    """

    def __init__(self, connect: Callable[[], Pictures], settings: CameraSettings, shown: str) -> None:
        """Nothing is opened before the first frame is asked for.

        Args:
            connect: opens the camera or raises a `CameraError`.
            settings: how long to wait between attempts.
            shown: the camera's name, without passwords.
        """
        self._stop = threading.Event()
        self._frames = _frames(connect, settings, shown, self._stop)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Release the device."""
        self._stop.set()
        with contextlib.suppress(ValueError):  # another thread waits in it, and ends it now that stop is set
            self._frames.close()


def waits(settings: CameraSettings) -> Iterator[float]:
    """Seconds before each attempt: doubling from the first to the longest, each with ±20 % of jitter."""
    dice = secrets.SystemRandom()
    wait_s = settings.retry_first_s
    while True:
        yield wait_s * dice.uniform(1 - _JITTER, 1 + _JITTER)
        wait_s = min(2 * wait_s, settings.retry_longest_s)


def _frames(
    connect: Callable[[], Pictures], settings: CameraSettings, shown: str, stop: threading.Event
) -> Generator[Frame, None, None]:
    index, lost, waiting = 0, False, waits(settings)
    pictures: Pictures | None = connect()
    while not stop.is_set():
        reason = "it ended the stream"
        if pictures is not None:
            since = time.monotonic()
            try:
                with contextlib.closing(pictures):
                    for image in pictures:
                        if lost:
                            log.info("camera %s is back", shown)
                            lost = False
                        yield Frame(image, time.time(), time.monotonic(), shown, index)
                        index += 1
                        if time.monotonic() - since > STEADY_S:
                            waiting, since = waits(settings), time.monotonic()
                        if stop.is_set():
                            return
            except CameraError as error:
                reason = str(error)
        if index == 0:
            raise CameraUnavailable(f"found no picture from {shown}, though it could be opened: {reason}")
        if not lost:
            log.warning("camera %s is lost: %s; it will be opened again and again", shown, reason)
            lost = True
        if stop.wait(next(waiting)):
            return
        try:
            pictures = connect()
        except CameraError as error:
            log.debug("camera %s is still lost: %s", shown, error)
            pictures = None
    if pictures is not None:
        pictures.close()
