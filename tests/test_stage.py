"""What the live demonstration looks at."""

import threading

import pytest
from commands import save_pictures, save_video

from edgecl.cameras.newest import NewestFrame
from edgecl.cli import stage as stages
from edgecl.cli.stage import Stage, camera_works
from edgecl.config import CameraSettings
from edgecl.errors import CameraError, CameraStalled

SETTINGS = CameraSettings(open_timeout_s=1.0, read_timeout_s=1.0)


@pytest.fixture
def staged():
    opened = []

    def stage(source):
        opened.append(Stage(source, SETTINGS))
        return opened[-1]

    yield stage
    for one in opened:
        one.close()


def first(stage):
    while (frame := stage.frame(0.1)) is None:
        assert not stage.over
    return frame


def test_without_a_camera_one_photograph_is_shown_until_someone_asks_for_the_next(staged):
    stage = staged(None)
    shown = [stage.title, first(stage).camera]
    stage.turn()
    assert "astronaut" in shown[0]
    assert "astronaut" in shown[1]
    assert "cat" in stage.title
    assert "cat" in first(stage).camera


def test_a_recording_comes_to_its_end(staged, tmp_path):
    stage = staged(str(save_video(tmp_path / "cat.avi", "cat", frames=4, fps=50.0)))
    frames = 0
    while not stage.over:
        frames += stage.frame(0.1) is not None
    assert frames == 4
    assert stage.trouble is None


def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_shown(staged, tmp_path):
    folder = save_pictures(tmp_path / "cat", "cat", 3)
    (folder / "1.png").write_bytes(b"I am no picture")
    stage, seen, told = staged(str(folder)), 0, []
    while not stage.over:
        seen += stage.frame(0.1) is not None
        told.append(stage.trouble)
    assert seen == 2
    assert any("1.png" in (trouble or "") for trouble in told)


def test_a_source_that_never_gave_a_picture_is_an_error(staged, tmp_path):
    stage = staged(str(tmp_path / "nothing.mp4"))
    with pytest.raises(CameraError, match=r"nothing\.mp4"):
        first(stage)


class Broken:
    """A camera that gives one frame each time it is opened, and then fails."""

    def __init__(self, frame):
        self.opened = 0
        self.frame = frame

    def __call__(self, url, settings):
        self.opened += 1
        return self._frames()

    def _frames(self):
        yield self.frame
        raise CameraStalled("found the cable loose")


def test_a_camera_that_failed_is_opened_again_and_the_screen_says_why(staged, monkeypatch):
    camera = Broken(first(staged("sample://cat")))
    monkeypatch.setattr(stages, "open_camera", camera)
    monkeypatch.setattr(stages, "is_live", lambda url: True)
    stage, told = staged("0"), set()
    while camera.opened < 3:
        stage.frame(0.1)
        told.add(stage.trouble)
    assert told == {None, "found the cable loose"}


def test_whoever_waits_for_the_newest_frame_in_steps_is_not_kept_longer():
    silent = threading.Event()

    def frames():
        silent.wait()
        yield from ()

    with NewestFrame(frames(), SETTINGS) as newest:
        assert newest.take(0.01) is None
        assert not newest.ended
        silent.set()


def test_no_camera_0_is_no_error_but_a_reason_for_photographs(monkeypatch):
    def none(url, settings):
        raise_for = CameraStalled("none")
        yield from ()
        raise raise_for

    monkeypatch.setattr(stages, "open_camera", none)
    assert not camera_works(SETTINGS)
