"""Whatever a command writes to its standard output: JPEGs one after the other, or raw frames of a size that is said."""

from __future__ import annotations

import functools

from edgecl.cameras import redact
from edgecl.cameras.command import connect_command, split
from edgecl.cameras.raw import Raw
from edgecl.cameras.reconnect import Pictures, Reconnecting
from edgecl.config import CameraSettings

FORM = "pipe:COMMAND (writes JPEGs), pipe:WIDTHxHEIGHT/FORMAT COMMAND (writes raw frames)"


def accepts(url: str) -> bool:
    """`pipe:` and a command."""
    return url.startswith("pipe:")


def is_live(url: str) -> bool:
    """Always."""
    return True


def frames(url: str, settings: CameraSettings) -> Reconnecting:
    """Frames for ever; a command that ended, or was silent for too long, is run again.

    Raises:
        CameraUnavailable: on the first frame: it cannot be run, or writes no picture.
    """
    return Reconnecting(functools.partial(_connect, url, settings), settings, redact(url))


def _connect(url: str, settings: CameraSettings) -> Pictures:
    first, _, rest = url.removeprefix("pipe:").lstrip().partition(" ")
    raw = Raw.parse(first)
    command = split(url.removeprefix("pipe:") if raw is None else rest)
    return connect_command(command, raw, settings, redact(url), "run the command by itself and see what it says")
