"""Which file an address means, and what kind of file it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from edgecl.images import SUFFIXES, is_image

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".mjpeg", ".mjpg"}
)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")  # of two letters or more: one is a drive of Windows


def local_path(url: str) -> Path | None:
    """The path in `url`, which is a path itself or `file://…`; None for a device, another scheme or no path at all.

    A file whose name begins like a scheme is reached by `./`.
    """
    if url.startswith("file://"):
        url = unquote(url.removeprefix("file://").removeprefix("localhost"))
    elif _SCHEME.match(url) or url == "-" or url.isdigit() or url.startswith(("/dev/video", "/dev/v4l/")):
        return None
    return Path(url) if url and "\0" not in url else None


def local_kind(url: str) -> Literal["folder", "image", "video"] | None:
    """What `url` leads to: by its suffix, else by its first bytes; what says neither is left to the video reader."""
    path = local_path(url)
    if path is None:
        return None
    try:
        if path.is_dir():
            return "folder"
        if path.suffix.lower() in SUFFIXES:
            return "image"
        if path.suffix.lower() in VIDEO_SUFFIXES or not path.is_file():
            return "video" if path.suffix.lower() in VIDEO_SUFFIXES or path.exists() else None
        with path.open("rb") as file:
            return "image" if is_image(file.read(16)) else "video"
    except OSError:
        return "video"  # whose reader says what is wrong with it
