"""The part of a camera's picture that counts: a rectangle or a polygon, in shares of width and height."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.config import Roi

OUTSIDE = 114  # grey level of what lies beside a polygon, near the mean of photographs


class Region:
    """Cuts the part out of pictures; the shape is fitted once for each size of picture.

    Attributes:
        corners: of the outline, (x, y) in [0, 1], in order; none where the whole picture counts.
    """

    def __init__(self, roi: Roi = None) -> None:
        """None: the whole picture; four numbers: left, top, right, bottom; else at least three corners (x, y)."""
        self.corners: tuple[tuple[float, float], ...] = ()
        self._polygon = roi is not None and isinstance(roi[0], tuple)
        if roi is not None:
            self.corners = _corners(roi)
        self._size = (0, 0)
        self._box = (0, 0, 0, 0)
        self._mask: NDArray[np.bool_] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and (self.corners, self._polygon) == (other.corners, other._polygon)

    __hash__ = None  # type: ignore[assignment]  # nobody looks one up

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of `image`, uint8 (H, W, 3); of a polygon its bounding box, with grey beside it."""
        if not self.corners:
            return image
        if image.shape[:2] != self._size:
            self._fit(image.shape[0], image.shape[1])
        left, top, right, bottom = self._box
        part = image[top:bottom, left:right]
        if self._mask is None:
            return part
        return np.where(self._mask[:, :, None], part, np.uint8(OUTSIDE))

    def _fit(self, height: int, width: int) -> None:
        corners = np.array(self.corners) * (width, height)
        left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
        right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
        right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
        self._size, self._box = (height, width), (min(left, right - 1), min(top, bottom - 1), right, bottom)
        self._mask = None
        if self._polygon:
            mask = np.zeros((bottom - self._box[1], right - self._box[0]), np.uint8)
            cv2.fillPoly(mask, [np.rint(corners - self._box[:2]).astype(np.int32)], 1)
            self._mask = mask.astype(bool)


def _corners(roi: tuple[Any, ...]) -> tuple[tuple[float, float], ...]:
    if isinstance(roi[0], tuple):
        return roi
    left, top, right, bottom = roi
    return (left, top), (right, top), (right, bottom), (left, bottom)
