"""Cameras on this machine: USB, and whatever else the system shows as a video device."""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path

import cv2

from edgecl.cameras.capture import Capture
from edgecl.cameras.reconnect import Pictures, Reconnecting
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable

FORM = "0, usb:0 or /dev/video0 (a camera on this machine)"

_NUMBER = re.compile(r"(?:usb:)?(\d{1,3})")
_PATH = re.compile(r"(?:usb:)?(/dev/video\d{1,3}|/dev/v4l/by-(?:id|path)/[^/\s]+)")


def accepts(url: str) -> bool:
    """A number, `usb:` and a number, `/dev/videoN`, or a lasting name below `/dev/v4l/`."""
    return bool(_NUMBER.fullmatch(url) or _PATH.fullmatch(url))


def is_live(url: str) -> bool:
    """Always."""
    return True


def frames(url: str, settings: CameraSettings) -> Reconnecting:
    """Frames for ever; a camera that is unplugged is awaited.

    Raises:
        CameraUnavailable: on the first frame: it cannot be opened, or delivers no picture.
    """
    return Reconnecting(functools.partial(_connect, url, settings), settings, url)


def is_there(url: str, limit_s: float) -> bool:
    """Whether this user may open the device; where devices have no paths, nothing speaks against it."""
    device = _device(url)
    return device is None or os.access(device, os.R_OK | os.W_OK)


def _connect(url: str, settings: CameraSettings) -> Pictures:
    size = [cv2.CAP_PROP_FRAME_WIDTH, settings.width_px, cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px]
    remedy = "end the program that uses it, or name another camera"
    device = _device(url)
    if device is not None:
        _check_device(url, device)
        return Capture(str(device), cv2.CAP_V4L2, size, settings, url, remedy)
    number = _NUMBER.fullmatch(url)
    backend = cv2.CAP_AVFOUNDATION if sys.platform == "darwin" else cv2.CAP_ANY
    return Capture(int(number[1]) if number else url, backend, size, settings, url, remedy)


def _device(url: str) -> Path | None:
    """The device's path; None on systems that number them otherwise."""
    if not sys.platform.startswith("linux"):
        return None
    number, path = _NUMBER.fullmatch(url), _PATH.fullmatch(url)
    return Path(path[1] if path else f"/dev/video{int(number[1])}" if number else url)


def _check_device(url: str, device: Path) -> None:
    """Say what OpenCV does not: whether the device is missing, or this user may not open it."""
    if not device.exists():
        there = ", ".join(sorted(str(found) for found in Path("/dev").glob("video*")))
        others = f"expected one of: {there}" if there else "nor any other on this machine, expected one"
        raise CameraUnavailable(f"found no camera {url} ({device}), {others}; plug it in, or name another source")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraUnavailable(
            f"found {device}, which this user may not open; add the user to the group video: "
            "sudo usermod -aG video $USER, then log in again"
        )
