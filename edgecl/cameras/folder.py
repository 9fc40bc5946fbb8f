"""Image files: one, or all of a folder in the order of their names."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from pathlib import Path

from edgecl.cameras.paths import local_kind, local_path
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable, ImageRefused
from edgecl.images import SUFFIXES, read_image
from edgecl.types import Frame

FORM = "photos/ or cup.jpg (a folder of images, or one image)"

log = logging.getLogger(__name__)


def accepts(url: str) -> bool:
    """A path or `file://` of a folder or of an image."""
    return local_kind(url) in ("folder", "image")


def is_live(url: str) -> bool:
    """Never."""
    return False


def frames(url: str, settings: CameraSettings) -> Generator[Frame, None, None]:
    """One frame for each image, taken when its file was last changed.

    `camera` is the image's own path: stills are no stream, so nothing may be concluded from one to the next. A folder's
    subfolders and hidden files are not looked at; an image in it that cannot be read is logged and left out.

    Raises:
        CameraUnavailable: the folder holds no image that can be read.
        ImageRefused: `url` is the path of one image, and it cannot be read.
    """
    path = local_path(url)
    if path is None or not path.is_dir():
        yield _frame(path or Path(url), 0)
        return
    try:
        found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.name[0] != ".")
    except OSError as error:
        raise CameraUnavailable(f"could not list {url}: {error.strerror}; check the rights of the folder") from error
    index = 0
    for image in found:
        try:
            frame = _frame(image, index)
        except ImageRefused as error:
            log.warning("left out: %s", error)
            continue
        yield frame
        index += 1
    if index == 0:
        raise CameraUnavailable(
            f"found {len(found)} image files in {url} and none that can be read, expected at least one of: "
            f"{', '.join(sorted(SUFFIXES))}; check the folder"
        )


def _frame(path: Path, index: int) -> Frame:
    image = read_image(path)
    return Frame(image, path.stat().st_mtime, time.monotonic(), str(path), index)
