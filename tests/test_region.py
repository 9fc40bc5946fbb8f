"""The part of a picture that counts."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from edgecl.config import CameraEntry
from edgecl.region import OUTSIDE, Region

PICTURE = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)


def test_without_a_region_the_whole_picture_counts():
    assert Region(None).cut(PICTURE) is PICTURE


def test_a_rectangle_is_cut_out():
    assert np.array_equal(Region((0.5, 0.25, 1.0, 0.75)).cut(PICTURE), PICTURE[10:30, 30:60])


def test_a_polygon_is_cut_out_with_grey_beside_it():
    part = Region(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))).cut(PICTURE)
    assert part.shape == PICTURE.shape
    assert np.array_equal(part[2, 2], PICTURE[2, 2])
    assert part[38, 58].tolist() == [OUTSIDE] * 3


def test_a_region_follows_the_size_of_the_picture():
    region = Region((0.5, 0.0, 1.0, 1.0))
    assert region.cut(PICTURE).shape == (40, 30, 3)
    assert region.cut(np.zeros((10, 8, 3), np.uint8)).shape == (10, 4, 3)


@pytest.mark.parametrize(
    "roi", [(0.999, 0.999, 1.0, 1.0), (0.0, 0.0, 1e-9, 1e-9), ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5))]
)
def test_even_the_smallest_region_has_a_pixel(roi):
    part = Region(roi).cut(PICTURE)
    assert part.size > 0


def test_regions_are_the_same_if_their_shapes_are():
    assert Region((0.0, 0.0, 0.5, 1.0)) == Region((0.0, 0.0, 0.5, 1.0))
    assert Region((0.0, 0.0, 0.5, 1.0)) != Region(None)


@pytest.mark.parametrize("roi", [[0.5, 0, 0.5, 1], [0, 0, 0, 0], [[0, 0], [1, 1]], [0, 0, 1.5, 1], [], "all"])
def test_what_is_no_region_is_refused(roi):
    with pytest.raises(ValidationError):
        CameraEntry(url="0", roi=roi)
