"""Pictures through OpenCV, with time-outs that hold even where a backend ignores them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable

FRAME_PIXELS_MAX = 25_000_000  # decoders keep a dozen frames
Picture = NDArray[np.uint8]  # (H, W, 3), BGR
_GRACE_S = 0.5  # the backend's own time-outs come first: they release the device sooner


class Capture:
    """An open `cv2.VideoCapture`. It lives on a thread of its own, since some backends sleep through their time-outs.

    A reader that has waited too long goes on without that thread, which releases the device once the backend returns.

    Attributes:
        fps: pictures in a second as the source says, or 0 where it does not.
        count: pictures in all as the source says, or 0 where it does not.
    """

    def __init__(
        self,
        source: str | int,
        backend: int,
        options: Sequence[int],
        settings: CameraSettings,
        shown: str,
        remedy: str,
    ) -> None:
        """Open it.

        Args:
            source: index, path or URL.
            backend: `cv2.CAP_…`, always named: only then do time-outs hold.
            options: pairs of property and value, as `cv2.VideoCapture` takes them.
            settings: the time-outs.
            shown: what messages call it, without passwords.
            remedy: what to do when it cannot be opened.

        Raises:
            CameraUnavailable: it cannot be opened, or not in time.
        """
        self.fps = 0.0
        self.count = 0
        self._hangs = False
        self._limit_s = settings.read_timeout_s
        self._shown = shown
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True: a picture, False: the end
        self._answers: queue.SimpleQueue[Picture | bool] = queue.SimpleQueue()
        arguments = (source, backend, list(options))
        self._thread = threading.Thread(target=self._serve, args=arguments, name="capture", daemon=True)
        self._thread.start()
        try:
            opened = self._answers.get(timeout=settings.open_timeout_s + _GRACE_S)
            if opened is False:
                self._thread.join(_GRACE_S)  # if Python ended while it releases the device, the process would abort
        except queue.Empty:
            opened = False
            self._asked.put(False)
        if opened is False:
            raise CameraUnavailable(f"could not open {shown} (waited at most {settings.open_timeout_s:g} s); {remedy}")

    def read(self) -> Picture | None:
        """The next picture, or None at the end.

        Raises:
            CameraStalled: nothing came in time.
        """
        asked = time.monotonic()
        self._asked.put(True)
        try:
            answer = self._answers.get(timeout=self._limit_s + _GRACE_S)
        except queue.Empty:
            self._hangs = True
            raise stalled(self._shown, self._limit_s) from None
        if not isinstance(answer, bool):
            return answer
        if time.monotonic() - asked >= self._limit_s:  # the backend's own time-out looks like an end
            raise stalled(self._shown, self._limit_s)
        return None

    def close(self) -> None:
        """Release the device; not waited for where the backend hangs."""
        self._asked.put(False)
        self._thread.join(0.0 if self._hangs else self._limit_s)

    def __iter__(self) -> Iterator[Picture]:
        while (picture := self.read()) is not None:
            yield picture

    def _serve(self, source: str | int, backend: int, options: list[int]) -> None:
        try:
            capture = cv2.VideoCapture(source, backend, options)
        except cv2.error:
            self._answers.put(False)
            return
        try:
            opened = capture.isOpened() and _pixels(capture) <= FRAME_PIXELS_MAX
            if opened:
                self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
                self.count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
            self._answers.put(opened)
            while opened and self._asked.get():
                self._answers.put(_picture(capture))
        finally:
            capture.release()


def stalled(shown: str, limit_s: float) -> CameraStalled:
    """The error for a source that was silent for `limit_s`."""
    return CameraStalled(
        f"found no new picture from {shown} for {limit_s:g} s, expected one at least that often; "
        "check its power, its cable and the network, or raise read_timeout_s"
    )


def _picture(capture: cv2.VideoCapture) -> Picture | bool:
    try:
        got, image = capture.read()
    except cv2.error:
        return False
    if not got or image is None or image.ndim != 3 or image.size == 0:
        return False
    return np.asarray(image, np.uint8)


def _pixels(capture: cv2.VideoCapture) -> float:
    return float(capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def ffmpeg_options(settings: CameraSettings) -> list[int]:
    """FFmpeg's own time-outs, in the form that `Capture` takes."""
    opening = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(settings.open_timeout_s * 1000)]
    return [*opening, cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(settings.read_timeout_s * 1000)]
