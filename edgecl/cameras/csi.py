"""The camera on a board's ribbon cable, through whatever this system has for it.

A Raspberry Pi reads it by `rpicam-vid` (`libcamera-vid` before Debian 12) or by picamera2, a Jetson by GStreamer's
`nvarguscamerasrc`. All but picamera2 are commands of the system: nothing has to be built for the Python of this one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecl.cameras.capture import Picture
from edgecl.cameras.command import connect_command
from edgecl.cameras.raw import Raw
from edgecl.cameras.reconnect import Pictures, Reconnecting
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable

FORM = "csi://NUMBER (a camera on the board's ribbon cable)"

FPS = 30
TEGRA = Path("/etc/nv_tegra_release")  # every JetPack has it

_ADDRESS = re.compile(r"csi://(\d{1,2})")
_COMMANDS = ("rpicam-vid", "libcamera-vid")
_REMEDY = "check its cable, and that nothing else has it"


def accepts(url: str) -> bool:
    """`csi://` and a number."""
    return _ADDRESS.fullmatch(url) is not None


def is_live(url: str) -> bool:
    """Always."""
    return True


def frames(url: str, settings: CameraSettings) -> Reconnecting:
    """Frames for ever; after the first one every loss is answered by opening the camera again.

    Raises:
        CameraUnavailable: on the first frame: nothing here can read such a camera, there is none, or another has it.
    """
    return Reconnecting(functools.partial(_connect, url, settings), settings, url)


def _connect(url: str, settings: CameraSettings) -> Pictures:
    number = int(url.removeprefix("csi://"))
    if TEGRA.exists() and shutil.which("gst-launch-1.0"):
        raw = Raw(settings.width_px, settings.height_px, "yuv420")
        return connect_command(_jetson(number, settings), raw, settings, url, _REMEDY)
    for program in _COMMANDS:
        if shutil.which(program):
            return connect_command(_raspberry(program, number, settings), None, settings, url, _REMEDY)
    if importlib.util.find_spec("picamera2") is not None:
        return _Picamera2(number, settings, url)
    raise CameraUnavailable(
        f"found nothing that reads {url}, expected rpicam-vid, libcamera-vid or picamera2, on a Jetson gst-launch-1.0; "
        "on a Raspberry Pi: sudo apt install rpicam-apps-lite; on a Jetson: sudo apt install gstreamer1.0-tools"
    )


def _raspberry(program: str, number: int, settings: CameraSettings) -> list[str]:
    """JPEGs rather than raw frames: their size is in them, whatever the sensor makes of what was asked for."""
    size = ["--width", str(settings.width_px), "--height", str(settings.height_px), "--framerate", str(FPS)]
    jpegs = ["--codec", "mjpeg", "--quality", "90", "--flush", "--output", "-"]
    return [program, "--camera", str(number), "--nopreview", "--timeout", "0", *size, *jpegs]


def _jetson(number: int, settings: CameraSettings) -> list[str]:
    size = f"width={settings.width_px},height={settings.height_px}"
    pipeline = (
        f"nvarguscamerasrc sensor-id={number} ! video/x-raw(memory:NVMM),framerate={FPS}/1 ! nvvidconv ! "
        f"video/x-raw,format=I420,{size} ! fdsink fd=3"
    )
    # The camera's element prints to standard output, where its words would shift all frames after them.
    return ["/bin/sh", "-c", 'exec gst-launch-1.0 -q "$@" 3>&1 1>&2', "gst-launch-1.0", *pipeline.split()]


class _Picamera2:
    """Reads in this process, which is one of its own where the daemon reads."""

    def __init__(self, number: int, settings: CameraSettings, shown: str) -> None:
        """Open it.

        Raises:
            CameraUnavailable: there is no such camera, or another has it.
        """
        self._shown = shown
        try:
            self._camera: Any = importlib.import_module("picamera2").Picamera2(number)
        except (ImportError, IndexError, RuntimeError) as error:
            raise CameraUnavailable(f"could not open {shown} by picamera2: {error}; {_REMEDY}") from error
        # What is called RGB888 there lies in memory as blue, green, red.
        main = {"size": (settings.width_px, settings.height_px), "format": "RGB888"}
        self._camera.configure(self._camera.create_video_configuration(main=main))

    def __iter__(self) -> Iterator[Picture]:
        try:
            self._camera.start()
            while True:
                yield np.ascontiguousarray(self._camera.capture_array("main"), np.uint8)
        except RuntimeError as error:
            raise CameraStalled(f"lost {self._shown}: {error}; {_REMEDY}") from error

    def close(self) -> None:
        """Let go of it."""
        self._camera.close()
