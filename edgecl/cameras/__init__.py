"""Cameras: one file for each form of address, found by itself.

A file in this folder becomes a camera by having

* `FORM`: how its addresses look, for people,
* `accepts(url) -> bool`: whether an address is one of them; quick, and opens nothing,
* `is_live(url) -> bool`: whether frames come in real time whether or not someone looks,
* `frames(url, settings)`: a generator of `Frame`, or another iterator with `close()`, which releases the device,

and, where that can be told without opening it,

* `is_there(url, limit_s) -> bool`: whether an attempt to open it may succeed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Protocol, cast

from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable
from edgecl.types import Frame

_NAME = re.compile(r"[\w.+-]+")
_ACCOUNT = re.compile(r"(?s)^([a-zA-Z][a-zA-Z0-9+.-]*://|[^/\s]*:).*@")
_LOCAL = re.compile(r"\.{0,2}/|file://")
# Cameras have a hundred names for a password and few for what tells their streams apart, so these few are listed.
_PLAIN = (
    r"(?:[?&;#/_,](?:action|cam|camera|ch|channel|chn|codec|compression|format|fps|frames|height|mode|profile|quality|"
    r"res|resolution|rotation|seed|size|stream|subtype|type|unicast|width)=)"
)
_VALUE = re.compile(rf"(?is)({_PLAIN}[^?&;#/_,=%]*)|(=|%3D).*?(?={_PLAIN}|$)")


class Frames(Protocol):
    """Frames in order; every generator of frames is one."""

    def __iter__(self) -> Iterator[Frame]: ...

    def __next__(self) -> Frame: ...

    def close(self) -> None:
        """Release the device."""


class Scheme(Protocol):
    """What a file of this folder has to have."""

    FORM: str

    def accepts(self, url: str) -> bool:
        """Whether `url` is one of its addresses."""

    def is_live(self, url: str) -> bool:
        """Whether its frames come in real time."""

    def frames(self, url: str, settings: CameraSettings) -> Frames:
        """Open it."""


@functools.cache
def schemes() -> dict[str, Scheme]:
    """Every camera file of this folder, by name."""
    modules = {
        found.name: importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    }
    return {name: cast(Scheme, module) for name, module in sorted(modules.items()) if hasattr(module, "accepts")}


def open_camera(url: str, settings: CameraSettings) -> Frames:
    """The frames of the camera, file or folder at `url`, in order; nothing is opened before the first is asked for.

    Use it with `contextlib.closing`. For a live camera see also `edgecl.cameras.newest.NewestFrame`.

    Raises:
        CameraUnavailable: no file of this folder knows the address; or, on the first frame, it could not be opened.
        CameraStalled: on a later frame, it stopped delivering (cameras that can be opened anew are, without end).
        FrameUnusable: one image of a folder cannot be read; asking again gives the next.
        ImageRefused: on the first frame, the address is that of one image, which is none.
    """
    return _scheme(url).frames(url, settings)


def is_live(url: str) -> bool:
    """Whether frames come in real time, so that only the newest is worth looking at.

    Raises:
        CameraUnavailable: no file of this folder knows the address.
    """
    return _scheme(url).is_live(url)


def is_there(url: str, limit_s: float) -> bool | None:
    """Whether it is worth while to open `url` now; None where that cannot be told without opening it.

    Args:
        url: of a camera.
        limit_s: how long to look.

    Raises:
        CameraUnavailable: no file of this folder knows the address.
    """
    look = getattr(_scheme(url), "is_there", None)
    return None if look is None else bool(look(url, limit_s))


def redact(url: str) -> str:
    """`url` without account, password and the like, for logs and messages.

    When in doubt it hides more. Passwords may hold any character, so all up to the last @ goes; and of `NAME=VALUE`
    only a few names that are known to be harmless keep their value, whatever stands between one and the next. Of a
    command its program is told, and a sign by which two commands are told apart, too short to guess them from.
    """
    if url.startswith("pipe:"):
        words = [word for word in url.removeprefix("pipe:").split() if not word[0].isdigit()]
        sign = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:4]
        return f"pipe:{program_of(words[0] if words else '')}#{sign}"
    url = _ACCOUNT.sub(lambda found: (found[1] if found[1].endswith("//") else "") + "***@", url)
    return url if _LOCAL.match(url) else _VALUE.sub(lambda found: found[1] or f"{found[2]}***", url)


def program_of(word: str) -> str:
    """The program's name in the first word of a command, without its folder; nothing where that looks like no name."""
    name = word.rpartition("/")[2]
    return name if _NAME.fullmatch(name) else ""


def _scheme(url: str) -> Scheme:
    for scheme in schemes().values():
        if scheme.accepts(url):
            return scheme
    forms = "; ".join(scheme.FORM for scheme in schemes().values())
    raise CameraUnavailable(
        f"found no camera, file or folder {redact(url)!r}, expected one of: {forms}; check the address or the path"
    )
