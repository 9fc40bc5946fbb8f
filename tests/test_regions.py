"""Parts of pictures that were drawn on the page: kept, and counted for what they were drawn on alone."""

from __future__ import annotations

import json

import pytest

from edgecl.config import CameraEntry
from edgecl.daemon.regions import REGIONS, Regions

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))
DOOR = CameraEntry(url="rtsp://ann:secret@door.lan/live")


@pytest.mark.parametrize("roi", [LEFT, CORNERS])
def test_what_was_drawn_counts_also_after_the_next_start(tmp_path, roi):
    Regions(tmp_path).draw("camera1", DOOR, roi)
    assert Regions(tmp_path).of("camera1", DOOR) == roi


def test_without_a_drawing_the_settings_count(tmp_path):
    assert Regions(tmp_path).of("camera1", DOOR.model_copy(update={"roi": RIGHT})) == RIGHT


def test_a_drawing_is_taken_back(tmp_path):
    regions = Regions(tmp_path)
    regions.draw("camera1", DOOR, LEFT)
    regions.draw("camera1", DOOR, None)
    assert regions.of("camera1", DOOR) is None


def test_another_camera_of_the_same_name_does_not_inherit_it(tmp_path):
    regions = Regions(tmp_path)
    regions.draw("camera1", DOOR, LEFT)
    assert regions.of("camera1", CameraEntry(url="usb:0")) is None


def test_settings_that_were_changed_since_count(tmp_path):
    regions = Regions(tmp_path)
    regions.draw("camera1", DOOR, LEFT)
    assert regions.of("camera1", DOOR.model_copy(update={"roi": RIGHT})) == RIGHT


def test_the_password_of_a_camera_is_not_written_down(tmp_path):
    Regions(tmp_path).draw("camera1", DOOR, LEFT)
    assert "secret" not in (tmp_path / REGIONS).read_text()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"camera1": 3}', '{"camera1": {"camera": "x", "instead_of": null, "roi": [2, 2, 2, 2]}}']
)
def test_a_file_that_cannot_be_used_counts_for_nothing_and_is_told(tmp_path, text, caplog):
    (tmp_path / REGIONS).write_text(text)
    assert Regions(tmp_path).of("camera1", DOOR) is None
    assert "cameras are seen as edgecl.toml says" in caplog.text


def test_a_drawing_replaces_a_file_that_could_not_be_used(tmp_path):
    (tmp_path / REGIONS).write_text("{")
    Regions(tmp_path).draw("camera1", DOOR, LEFT)
    assert list(json.loads((tmp_path / REGIONS).read_text())) == ["camera1"]
