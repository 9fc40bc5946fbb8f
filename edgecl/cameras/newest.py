"""The newest frame of a live camera, never an old one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from edgecl.cameras import Frames
from edgecl.cameras.capture import stalled
from edgecl.config import CameraSettings
from edgecl.types import Frame

_PATIENCE_S = 1.0  # for the reader's end; one that hangs in a driver is left behind, and ends when the driver returns


class NewestFrame:
    """Reads ahead on a thread and keeps one frame; whoever asks gets the newest, once.

    It knows nothing of the camera but that it gives frames, so a reader in a process of its own can take its place.
    """

    def __init__(self, frames: Frames, settings: CameraSettings) -> None:
        """Start to read `frames`, which from now on belong to this object."""
        self._source = frames
        self._limit_s = settings.read_timeout_s
        # The first frame also takes opening, and a backend may be as slow as it is allowed to be.
        self._patience_s = settings.open_timeout_s + settings.read_timeout_s
        self._camera = "the camera"
        self._slot: Frame | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._stop = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="newest-frame", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        """The newest frame; waits for one that was not given out yet.

        Raises:
            CameraStalled: none came for longer than the read time-out; asking again waits again.
            CameraError: what ended the reader.
        """
        frame = self.take(self._patience_s)
        if frame is None and self.ended:
            raise StopIteration
        self._patience_s = self._limit_s
        if frame is None:
            raise stalled(self._camera, self._limit_s)
        self._camera = frame.camera
        return frame

    def take(self, wait_s: float) -> Frame | None:
        """The newest frame that was not given out yet; None if none comes within `wait_s`.

        Raises:
            CameraError: what ended the reader.
        """
        end = time.monotonic() + wait_s
        with self._news:
            while self._slot is None and self._error is None and not self._ended:
                left_s = end - time.monotonic()
                if left_s <= 0:
                    return None
                self._news.wait(left_s)
            if self._slot is None and self._error is not None:
                error, self._error = self._error, None
                raise error
            frame, self._slot = self._slot, None
            return frame

    @property
    def ended(self) -> bool:
        """Whether no frame will come any more."""
        with self._news:
            return self._ended and self._slot is None and self._error is None

    def close(self) -> None:
        """End the reader and release the camera."""
        with self._news:
            self._stop = self._ended = True
            self._slot = None
            self._news.notify_all()
        with contextlib.suppress(ValueError):  # a generator that is being read closes on its own thread, below
            self._source.close()
        self._thread.join(_PATIENCE_S)

    def __enter__(self) -> NewestFrame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        failure: BaseException | None = None
        try:
            with contextlib.closing(self._source):
                for frame in self._source:
                    with self._news:
                        if self._stop:
                            break
                        self._slot = frame
                        self._news.notify_all()
        except BaseException as error:  # of any kind: it belongs to whoever asks for frames, on the other thread
            failure = error
        with self._news:
            self._error, self._ended = failure, True
            self._news.notify_all()
