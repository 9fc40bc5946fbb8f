"""Bounded pieces of what a source shows."""

import threading

import numpy as np
import pytest
from commands import save_pictures, save_video

from edgecl import cameras
from edgecl.cameras.footage import ends, footage
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, FrameUnusable
from edgecl.types import Frame

SETTINGS = CameraSettings()


def indices(url, **bounds):
    return [frame.index for frame in footage(str(url), SETTINGS, **bounds)]


def test_a_limit_counts_the_frames_that_are_given():
    assert indices("sample://cat", limit=4) == [0, 1, 2, 3]
    assert indices("sample://cat", limit=4, every=3) == [0, 3, 6, 9]


def test_seconds_are_those_of_the_recording(tmp_path):
    video = save_video(tmp_path / "cat.avi", "cat", frames=30, fps=10.0)
    assert indices(video, seconds=1.0) == list(range(10))
    assert indices("sample://cat", seconds=2.0) == list(range(30))


def test_the_times_of_files_do_not_bound_a_folder(tmp_path):
    assert len(indices(save_pictures(tmp_path / "cat", "cat", 5), seconds=60.0)) == 5


def test_of_a_live_source_a_slow_reader_gets_the_newest():
    frames = footage("sample://cat?fps=100", SETTINGS, seconds=0.5)
    first = next(frames)
    assert first.index < 49  # and those that the reader was too slow for are gone
    assert all(later.index > first.index for later in frames)


def test_a_source_that_is_left_early_is_closed():
    frames = footage("sample://cat?fps=50", SETTINGS)
    next(frames)
    frames.close()
    with pytest.raises(StopIteration):
        next(frames)


@pytest.mark.parametrize("url", ["cup.mp4", "photos/", "-", "file:///tmp/cup.jpg", "./take:2.mp4"])
def test_files_and_standard_input_end(url):
    assert ends(url)


@pytest.mark.parametrize("url", ["0", "/dev/video0", "rtsp://h/x", "sample://cat", "sample://", "pipe:cat x.mp4"])
def test_cameras_do_not_end(url):
    assert not ends(url)


def test_a_live_source_that_is_silent_gives_a_gap_and_later_its_frames(monkeypatch):
    back = threading.Event()

    def silent_once(url, settings):
        yield Frame(np.zeros((2, 2, 3), np.uint8), 0.0, 0.0, "camera", 0)
        assert back.wait(60)
        yield Frame(np.zeros((2, 2, 3), np.uint8), 0.0, 0.0, "camera", 1)

    monkeypatch.setattr(cameras.footage, "open_camera", silent_once)
    found = footage("rtsp://camera/stream", CameraSettings(read_timeout_s=0.2), limit=2)
    assert next(found).index == 0
    assert isinstance(next(found), CameraStalled)
    back.set()
    assert [one.index for one in found if isinstance(one, Frame)] == [1]


def test_an_image_that_cannot_be_read_is_a_gap_in_its_folder(tmp_path):
    folder = save_pictures(tmp_path / "cat", "cat", 3)
    (folder / "1.png").write_bytes(b"no picture")
    assert [type(one) for one in footage(str(folder), SETTINGS)] == [Frame, FrameUnusable, Frame]


def test_a_video_that_breaks_off_ends_with_a_gap(tmp_path):
    whole = save_video(tmp_path / "whole.avi", "cat").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    *shown, last = footage(str(tmp_path / "cut.avi"), SETTINGS)
    assert {type(one) for one in shown} == {Frame} and isinstance(last, CameraStalled)
