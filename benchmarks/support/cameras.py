"""A camera that speaks RTSP, to be unplugged, silenced and frozen: Debian's GStreamer, as the tests have it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).parents[2] / "tests" / "rtsp_server.py"


class RtspCamera:
    """One at a port that stays the same.

    Attributes:
        url: where it is.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.plug_in()
        self.url = f"rtsp://127.0.0.1:{self._port}/camera"

    def plug_in(self) -> None:
        """Switch it on; returns once it answers."""
        command = ["/usr/bin/python3", str(SERVER), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None, "asked for"  # noqa: S101
        self._port = int(self._process.stdout.readline())

    def unplug(self) -> None:
        """Switch it off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def silence(self) -> None:
        """Let it say nothing more; its connections stay open."""
        self._say(signal.SIGSTOP)

    def speak(self) -> None:
        """Let it go on."""
        self._say(signal.SIGCONT)

    def freeze(self) -> None:
        """Let it give the very same picture from now on."""
        self._say(signal.SIGUSR1)

    def move(self) -> None:
        """Let its picture move again."""
        self._say(signal.SIGUSR2)

    def _say(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextlib.contextmanager
def rtsp_camera() -> Iterator[RtspCamera]:
    """A camera for as long as the block lasts."""
    camera = RtspCamera()
    try:
        yield camera
    finally:
        camera.unplug()
