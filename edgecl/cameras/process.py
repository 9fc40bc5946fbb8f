"""A camera that is read in a process of its own: killed when it hangs, and started again until it delivers."""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgecl.cameras import is_there, redact
from edgecl.cameras.reconnect import STEADY_S, waits
from edgecl.cameras.shared import SharedFrames
from edgecl.config import CameraSettings
from edgecl.errors import EdgeclError
from edgecl.types import Frame

log = logging.getLogger(__name__)

START_S = 3.0  # for a slow board to start Python, before the camera's own time-outs begin to count
END_S = 2.0  # from asking a reader to end to killing it
LOOK_EVERY_S = 2.0  # at a camera that is gone
LOOK_LIMIT_S = 1.0
AGAIN_S = 2.0  # between two attempts at a camera that is there, and gave pictures before
FROZEN_S = 30.0  # the very same picture for so long: the driver may be to blame, so the camera is opened anew
EVENT_BYTES_MAX = 65_536

Phase = Literal["opening", "open", "lost"]


@dataclass(frozen=True)
class Condition:
    """How a camera is.

    Attributes:
        phase: 'opening' until the first picture, 'open' while they come, 'lost' while it is waited for.
        since: s, monotonic, of the phase.
        trouble: what is wrong, in words; None while all is well.
        frames: that were read so far.
        dropped: of these, not taken: newer ones came.
        losses: how often it was lost.
        last_frame: s, monotonic, of the newest picture, None before the first.
    """

    phase: Phase
    since: float
    trouble: str | None = None
    frames: int = 0
    dropped: int = 0
    losses: int = 0
    last_frame: float | None = None


class CameraProcess:
    """One camera, watched by a thread. `close` ends thread and process.

    Attributes:
        name: how the camera is called here.
        shown: its address, without passwords.
    """

    def __init__(self, name: str, url: str, settings: CameraSettings, wake: Callable[[], None]) -> None:
        """Begin to open it.

        Args:
            name: how the camera is called here.
            url: see `edgecl.cameras`.
            settings: its time-outs and intervals.
            wake: called, on the watching thread, when there is a new frame or another condition.
        """
        self.name, self.shown = name, redact(url)
        self._url, self._settings, self._wake = url, settings, wake
        self._places = SharedFrames()
        self._condition = Condition("opening", time.monotonic())
        self._newest = 0  # number of the newest frame that nobody took yet, 0 if there is none
        self._closed = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"camera {name}", daemon=True)
        self._thread.start()

    @property
    def condition(self) -> Condition:
        """How it is now. A camera that has been silent for too long is in trouble before anyone was told so."""
        found = self._condition
        if found.trouble is not None or found.phase == "lost":
            return found
        silent_s = time.monotonic() - (found.last_frame or found.since)
        if silent_s > self._settings.read_timeout_s:
            return replace(found, trouble=f"{self.shown} has given no picture for {silent_s:.0f} s")
        return found

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet, a copy; None if there is none, or it is closed."""
        with self._lock:
            number, self._newest = self._newest, 0
            return self._places.take(number, self.name) if number and not self._closed else None

    def close(self) -> None:
        """End the reader and let go of the camera."""
        self._stop.set()
        self._thread.join(END_S + 1.0)
        with self._lock:  # whoever takes a frame at this moment has it first
            self._closed = True
            self._places.close()

    # The watching thread

    def _watch(self) -> None:
        waiting = waits(self._settings)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                with self._reader() as reader:
                    trouble = self._follow(reader)
            except Exception as error:  # the restart boundary of a camera: no process to be had, as a rule
                log.exception("reading camera %s failed", self.name)
                trouble = f"reading {self.shown} failed: {error}"
            if self._stop.is_set():
                return
            if self._condition.last_frame is not None and self._condition.last_frame - began > STEADY_S:
                waiting = waits(self._settings)
            self._lose(trouble)
            self._pause(next(waiting))

    @contextlib.contextmanager
    def _reader(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "edgecl.cameras.reader", str(self._places.file)]
        reader = subprocess.Popen(  # noqa: S603  # ourselves; the address goes through the pipe
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._places.file,),
            start_new_session=True,
        )
        try:
            asked = {"url": self._url, "settings": self._settings.model_dump()}
            with contextlib.suppress(BrokenPipeError):
                _pipe(reader.stdin).write(json.dumps(asked).encode("utf-8") + b"\n")
                _pipe(reader.stdin).flush()
            yield reader
        finally:
            reader.terminate()
            try:
                reader.wait(END_S if not self._stop.is_set() else END_S / 2)
            except subprocess.TimeoutExpired:  # stopped, or hanging in a driver
                reader.kill()
                reader.wait()
            for pipe in (reader.stdin, reader.stdout):
                with contextlib.suppress(BrokenPipeError):
                    _pipe(pipe).close()

    def _follow(self, reader: subprocess.Popen[bytes]) -> str:
        """Take in what the reader says until it has to be ended; returns why."""
        began, seen, buffered, warned = time.monotonic(), 0, b"", ""
        first_s = START_S + self._settings.open_timeout_s + self._settings.read_timeout_s
        with selectors.DefaultSelector() as selector:
            output = _pipe(reader.stdout)
            selector.register(output, selectors.EVENT_READ)
            while not self._stop.is_set():
                if selector.select(timeout=0.2):
                    data = output.read1(EVENT_BYTES_MAX)
                    if not data:
                        return f"the process that reads {self.shown} ended unexpectedly (status {reader.wait()})"
                    *lines, buffered = (buffered + data).split(b"\n")
                    for event in map(json.loads, lines):
                        if "error" in event:
                            return str(event["error"])
                        if "trouble" in event:
                            warned = event["trouble"]
                            self._warn(warned)
                            continue
                        seen, warned = event["frame"], ""
                        self._note(event)
                        if event["same_s"] > FROZEN_S:
                            return f"{self.shown} has given the very same picture for {event['same_s']:.0f} s"
                silent_s = time.monotonic() - ((seen and self._condition.last_frame) or began)
                if silent_s > (self._settings.read_timeout_s if seen else first_s):
                    return warned or f"{self.shown} has given no picture for {silent_s:.0f} s"
        return "the end"

    def _warn(self, trouble: str) -> None:
        """The reader is opening it again; whether that helps is seen by its pictures."""
        self._condition = replace(self._condition, trouble=trouble)
        self._wake()

    def _note(self, event: dict[str, Any]) -> None:
        now, before = time.monotonic(), self._condition
        trouble = None
        if event["same_s"] > self._settings.read_timeout_s:
            trouble = f"{self.shown} has given the very same picture for {event['same_s']:.0f} s"
        since = before.since if before.phase == "open" else now
        if before.phase == "lost":
            log.info("camera %s is back", self.name)
        with self._lock:
            dropped = before.dropped + (self._newest != 0)
            self._newest = event["frame"]
        self._condition = Condition("open", since, trouble, before.frames + 1, dropped, before.losses, now)
        self._wake()

    def _lose(self, trouble: str) -> None:
        before = self._condition
        if before.phase != "lost":
            log.warning("camera %s is lost: %s; it will be opened again and again", self.name, trouble)
        with self._lock:
            self._newest = 0  # the places belong to the next reader now
        now = before.since if before.phase == "lost" else time.monotonic()
        losses = before.losses + (before.phase != "lost")
        self._condition = replace(before, phase="lost", since=now, trouble=trouble, losses=losses)
        self._wake()

    def _is_there(self) -> bool | None:
        try:
            return is_there(self._url, LOOK_LIMIT_S)
        except EdgeclError:  # such as a folder on a disk that is not there yet
            return False

    def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt: less where the camera comes back meanwhile, or never went away."""
        began, gone = time.monotonic(), False
        while not self._stop.is_set() and (left_s := began + wait_s - time.monotonic()) > 0:
            self._stop.wait(min(left_s, LOOK_EVERY_S))
            if left_s > LOOK_EVERY_S:
                there = self._is_there()
                waited = self._condition.frames > 0 and time.monotonic() - began >= AGAIN_S
                if there and (gone or waited):
                    return
                gone = gone or there is False


def _pipe(pipe: Any) -> Any:
    """A pipe of a process that was started with one."""
    return pipe
