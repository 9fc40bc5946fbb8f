"""Frames without a header: of a size and a format that whoever reads them has to be told."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.cameras.capture import FRAME_PIXELS_MAX, Picture
from edgecl.errors import CameraUnavailable

_RAW = re.compile(r"(\d{1,5})x(\d{1,5})/(\w+)")

# Rows of bytes and what a row holds, as shares of the picture's height and width; how OpenCV turns them into BGR.
_LAYOUTS: dict[str, tuple[float, int, int | None]] = {
    "bgr": (1, 3, None),
    "rgb": (1, 3, cv2.COLOR_RGB2BGR),
    "gray": (1, 1, cv2.COLOR_GRAY2BGR),
    "yuv420": (1.5, 1, cv2.COLOR_YUV2BGR_I420),
    "nv12": (1.5, 1, cv2.COLOR_YUV2BGR_NV12),
    "yuyv": (1, 2, cv2.COLOR_YUV2BGR_YUY2),
}
FORMATS = ", ".join(_LAYOUTS)


class Raw:
    """Frames without a header, all of one size: `WIDTHxHEIGHT/FORMAT`, such as 640x480/yuv420."""

    def __init__(self, width: int, height: int, layout: str) -> None:
        """What one frame is made of.

        Raises:
            CameraUnavailable: an unknown format, or a size that it cannot have.
        """
        rows, channels, self._code = _LAYOUTS.get(layout, (0, 0, None))
        odd = (rows == 1.5 and (width % 2 or height % 2)) or (channels == 2 and width % 2)
        if not rows or odd or not 0 < width * height <= FRAME_PIXELS_MAX:
            raise CameraUnavailable(
                f"found raw frames {width}x{height}/{layout}, expected WIDTHxHEIGHT/FORMAT of at most "
                f"{FRAME_PIXELS_MAX // 10**6} megapixels, with an even size for yuv420 and nv12 and an even width for "
                f"yuyv, and one of the formats {FORMATS}"
            )
        self._shape = (int(height * rows), width, channels)

    @classmethod
    def parse(cls, text: str) -> Raw | None:
        """What `text` says, None where it says nothing of the kind.

        Raises:
            CameraUnavailable: it does, but of no frames that there can be.
        """
        found = _RAW.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]), found[3])

    @property
    def frame_bytes(self) -> int:
        """Of one frame."""
        height, width, channels = self._shape
        return height * width * channels

    def picture(self, data: bytearray) -> Picture:
        """One frame, uint8 (H, W, 3) BGR, of so many bytes, which belong to it from now on."""
        array: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(self._shape)
        return array if self._code is None else np.asarray(cv2.cvtColor(array, self._code), np.uint8)
