"""The demonstration in a window, on a display of Debian's, used by someone who types."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commands import PROGRAM, picture, run
from daemons import eventually, untaught

from edgecl.cli.stage import Stage
from edgecl.cli.window import PICTURE_PX, Painter, characters
from edgecl.config import CameraSettings
from edgecl.home import Home
from edgecl.session import Session
from edgecl.types import Frame

FINGER_S = 0.2  # between two keys; OpenCV remembers only the last one that came since it was asked


@pytest.fixture(scope="module")
def display():
    """An X server without a screen; gives what DISPLAY has to be."""
    assert shutil.which("Xvfb"), "found no Xvfb, expected Debian's; run: make system"
    ours, theirs = os.pipe()
    command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1200x800x24", "-noreset", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[theirs], stderr=subprocess.DEVNULL)
    os.close(theirs)
    with os.fdopen(ours) as told:
        yield f":{told.readline().strip()}"
    server.terminate()
    server.wait()


class Shown:
    """The demonstration on a display, and someone at its keyboard."""

    def __init__(self, home: Path, display: str):
        self._environment = os.environ | {"DISPLAY": display}
        command = [*PROGRAM, "demo", "sample://coffee?fps=15", "--window", "--home", str(home)]
        self.process = subprocess.Popen(command, env=self._environment, stderr=subprocess.PIPE, text=True)
        self.window = eventually(self._find, "the window")
        self._do("windowfocus", self.window)

    def _find(self) -> str:
        assert self.process.poll() is None, self.process.stderr.read()
        return self._do("search", "--name", "^edgecl$").strip()

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(["xdotool", *arguments], env=self._environment, capture_output=True, text=True)
        return done.stdout

    def type(self, text: str) -> None:
        self._do("type", "--delay", "150", text)
        time.sleep(FINGER_S)

    def press(self, key: str) -> None:
        self._do("key", key)
        time.sleep(FINGER_S)

    def end(self) -> str:
        """What it says when it has ended."""
        said = self.process.communicate(timeout=60)[1]
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def home(tmp_path):
    return untaught(tmp_path)


@pytest.fixture
def shown(home, display):
    shown = Shown(home, display)
    yield shown
    if shown.process.poll() is None:
        shown.process.kill()
    shown.process.communicate()


def test_someone_names_a_thing_in_the_window_and_it_is_learned(shown, home):
    shown.type("n")
    shown.type("cupp")
    shown.press("Left")  # no character
    shown.press("BackSpace")
    shown.press("Return")
    time.sleep(5.0)  # the lesson's three seconds, on a machine that may be busy
    shown.type("q")
    assert "it knows cup" in shown.end()
    (known,) = run("classes", "list", "--home", home, "--json").records
    assert (known["label"], known["examples"] > 0) == ("cup", True)


CLOSED = """
import cv2
from edgecl.cli.window import TITLE, Window
with Window.open() as window:
    print(window.pressed())
    cv2.destroyWindow(TITLE)  # as its own button does
    print(window.pressed())
"""


def test_who_closes_the_window_leaves_also_while_a_name_is_typed(display):
    environment = os.environ | {"DISPLAY": display}
    told = subprocess.run([PROGRAM[0], "-c", CLOSED], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split("\n")[:2] == ["[]", str(["\x1b", "q"])]


@pytest.mark.parametrize(
    ("code", "keys"),
    [
        (0x61, ["a"]),
        (-0x24, ["ü"]),  # Latin-1 as Qt's OpenCV gives it: a signed byte, and large
        (0xFC, ["ü"]),
        (0x10020AC, ["€"]),
        (13, ["\r"]),
        (8, ["\x7f"]),
        (0xFF51, []),  # an arrow
    ],
)
def test_what_opencv_calls_a_key_is_the_character_that_was_typed(code, keys):
    assert characters(code) == keys


def test_without_a_display_the_page_is_named_instead(home):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [*PROGRAM, "demo", "sample://coffee", "--window", "--home", str(home)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "edgecl demo --terminal" in ended.stderr) == (1, True)
    assert "Traceback" not in ended.stderr


@pytest.fixture
def seen(home):
    """A session that has seen one frame, and its stage."""
    stage = Stage("sample://coffee", CameraSettings())
    with Home.at(home).watched() as watch:
        session = Session(watch.learner, watch.see)
        frame = Frame(picture("coffee"), 0.0, time.monotonic())
        session.look(frame)
        yield session, stage, frame
    stage.close()


def painted(seen):
    session, stage, frame = seen
    return Painter().paint(session, stage, frame, time.monotonic())


def test_the_picture_fills_its_corner_of_the_window(seen):
    height, width = PICTURE_PX[1], PICTURE_PX[0]
    part = painted(seen)[:height, :width].astype(float)
    assert np.abs(part - seen[2].image).mean() < 10.0


def test_what_is_typed_is_shown_and_a_name_that_is_too_long_stays_in_the_window(seen):
    before = painted(seen)
    seen[0].typed = "W" * 40
    after = painted(seen)
    assert (before != after).any(axis=2)[PICTURE_PX[1] :].any()
    assert (after[:, -8:] == after[0, -1]).all()  # the margin is empty


def test_trouble_with_the_camera_is_shown_in_place_of_the_answer(seen):
    before = painted(seen)
    seen[1].trouble = "the camera is gone"
    assert (painted(seen)[:80, PICTURE_PX[0] :] != before[:80, PICTURE_PX[0] :]).any()
