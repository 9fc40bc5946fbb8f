"""Network cameras: RTSP through FFmpeg, HTTP as a stream of JPEGs or as one JPEG that is asked for again and again."""

from __future__ import annotations

import functools
import re

import cv2

from edgecl.cameras import redact
from edgecl.cameras.capture import Capture, ffmpeg_options
from edgecl.cameras.http import connect_http
from edgecl.cameras.presence import answers
from edgecl.cameras.reconnect import Pictures, Reconnecting
from edgecl.config import CameraSettings

FORM = "rtsp://HOST/… or http(s)://HOST/… (a network camera)"

_ADDRESS = re.compile(r"(?i)(rtsps?|https?)://[^\s/]")
_REMEDY = "check the address, the password and that the camera is on"


def accepts(url: str) -> bool:
    """`rtsp://`, `rtsps://`, `http://` and `https://`."""
    return _ADDRESS.match(url) is not None


def is_live(url: str) -> bool:
    """Always."""
    return True


def is_there(url: str, limit_s: float) -> bool:
    """Whether something speaks the protocol there."""
    return answers(url, limit_s)


def frames(url: str, settings: CameraSettings) -> Reconnecting:
    """Frames for ever; after the first one every loss is answered by opening the camera again.

    Raises:
        CameraUnavailable: on the first frame: it cannot be opened, or delivers no picture.
    """
    connect = _rtsp if url.lower().startswith("rtsp") else connect_http
    return Reconnecting(functools.partial(connect, url, settings), settings, redact(url))


def _rtsp(url: str, settings: CameraSettings) -> Pictures:
    return Capture(url, cv2.CAP_FFMPEG, ffmpeg_options(settings), settings, redact(url), _REMEDY)
