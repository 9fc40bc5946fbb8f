"""Image files: one, or all of a folder in the order of their names."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path

from edgecl.cameras import Frames
from edgecl.cameras.paths import local_kind, local_path
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable, FrameUnusable, ImageRefused
from edgecl.images import SUFFIXES, is_image_file, read_image
from edgecl.types import Frame

FORM = "photos/ or cup.jpg (a folder of images, or one image)"


def accepts(url: str) -> bool:
    """A path or `file://` of a folder or of an image."""
    return local_kind(url) in ("folder", "image")


def is_live(url: str) -> bool:
    """Never."""
    return False


def frames(url: str, settings: CameraSettings) -> Frames:
    """One frame for each image, taken when its file was last changed.

    `camera` is the image's own path: stills are no stream, so nothing may be concluded from one to the next. A folder's
    subfolders and hidden files are not looked at.

    Raises:
        CameraUnavailable: the folder holds no image that can be read.
        FrameUnusable: one image of the folder cannot be read; asking again gives the next.
        ImageRefused: `url` is the path of one image, and it cannot be read.
    """
    path = local_path(url) or Path(url)
    return _Folder(path, url) if path.is_dir() else _image(path)


class _Folder:
    """The images of one folder; no generator, since one would end with the first that cannot be read."""

    def __init__(self, path: Path, url: str) -> None:
        self._found = _read(path, url)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        found = next(self._found)
        if isinstance(found, ImageRefused):
            raise FrameUnusable(str(found)) from found
        return found

    def close(self) -> None:
        """Give no more frames."""
        self._found.close()


def _read(path: Path, url: str) -> Generator[Frame | ImageRefused, None, None]:
    try:
        inside = sorted(path.iterdir())
        images = list(filter(is_image_file, inside))
    except OSError as error:
        raise CameraUnavailable(f"could not list {url}: {error.strerror}; check the rights of the folder") from error
    index = 0
    for image in images:
        try:
            frame = _frame(image, index)
        except ImageRefused as error:
            yield error
            continue
        yield frame
        index += 1
    if index == 0:
        folder = next((path.name for path in inside if path.is_dir()), None)
        remedy = "check the folder" if folder is None else f"name a folder in it, such as {folder}"
        raise CameraUnavailable(
            f"found {len(images)} image files in {url} and none that can be read, expected at least one of: "
            f"{', '.join(sorted(SUFFIXES))}; {remedy}"
        )


def _image(path: Path) -> Generator[Frame, None, None]:
    yield _frame(path, 0)


def _frame(path: Path, index: int) -> Frame:
    image = read_image(path)
    return Frame(image, path.stat().st_mtime, time.monotonic(), str(path), index)
