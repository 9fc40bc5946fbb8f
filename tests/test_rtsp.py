"""A camera that speaks RTSP, made of Debian's GStreamer: read, lost, and read again."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import eventually, served, untaught

from edgecl.cameras import open_camera
from edgecl.cameras.process import CameraProcess
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable

PROGRAM = ("/usr/bin/python3", str(Path(__file__).parent / "rtsp_server.py"))
QUICK = CameraSettings(open_timeout_s=4.0, read_timeout_s=1.5, retry_first_s=0.1, retry_longest_s=0.5)


class RtspCamera:
    """One that is on."""

    def __init__(self, port: int = 0, *account: str) -> None:
        self.process = subprocess.Popen([*PROGRAM, str(port), *account], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        assert told, "found no GStreamer with its RTSP server, expected Debian's; run: make system"
        self.port = int(told)
        self.url = f"rtsp://127.0.0.1:{self.port}/camera"

    def say(self, number: int) -> None:
        self.process.send_signal(number)

    def unplug(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def rtsp(port: int = 0, *account: str) -> Iterator[RtspCamera]:
    """A camera for as long as the block lasts."""
    camera = RtspCamera(port, *account)
    try:
        yield camera
    finally:
        camera.unplug()
        camera.process.stdout.close()


@pytest.fixture
def camera():
    with rtsp() as found:
        yield found


@pytest.fixture
def seen(camera):
    """The camera as the daemon reads it, once its first picture is there."""
    seen = CameraProcess("hall", camera.url, QUICK, lambda: None)
    eventually(is_open(seen))
    yield seen
    seen.close()


def is_open(seen):
    return lambda: seen.condition.phase == "open" and seen.condition.trouble is None


def test_pictures_come_one_after_the_other_and_move(camera):
    with contextlib.closing(open_camera(camera.url, CameraSettings())) as frames:
        first, *_, last = (next(frames) for _ in range(10))
    assert first.image.shape == (240, 320, 3)
    assert (first.image != last.image).any()
    assert last.index == first.index + 9


def test_the_password_opens_it_and_a_wrong_one_is_not_shown():
    with rtsp(0, "ann", "secret") as camera:
        url = camera.url.replace("rtsp://", "rtsp://ann:{}@")
        with contextlib.closing(open_camera(url.format("secret"), QUICK)) as frames:
            assert next(frames).image.shape == (240, 320, 3)
        with pytest.raises(CameraUnavailable) as refused:
            next(open_camera(url.format("wr0ng"), QUICK))
    assert "check the address, the password" in str(refused.value)
    assert "wr0ng" not in str(refused.value)


def test_one_that_is_unplugged_is_told_and_read_again_when_it_is_back(camera, seen):
    camera.unplug()
    eventually(lambda: seen.condition.phase == "lost")
    with rtsp(camera.port):
        eventually(is_open(seen))


def test_one_that_falls_silent_with_its_line_open_is_told_and_read_again(camera, seen):
    camera.say(signal.SIGSTOP)
    eventually(lambda: seen.condition.trouble is not None)
    camera.say(signal.SIGCONT)
    eventually(is_open(seen))


def test_a_picture_that_stands_still_is_told(camera, seen):
    camera.say(signal.SIGUSR1)
    eventually(lambda: "very same picture" in (seen.condition.trouble or ""))


def test_the_daemon_answers_what_it_shows_and_others_while_it_is_silent(camera, tmp_path):
    home = untaught(tmp_path)
    with (home / "edgecl.toml").open("a") as settings:
        settings.write("[camera]\nread_timeout_s = 1.5\n")
    with served(home, [camera.url]) as there:
        eventually(lambda: there.client.get("/readyz").status_code == 200)
        camera.say(signal.SIGSTOP)
        told = eventually(lambda: (said := there.client.get("/readyz")).status_code == 503 and said.json())
        assert re.search(r"no (new )?picture", str(told["reasons"]))  # by who is sooner, the reader or who watches it
        assert there.client.get("/api/v1/state").status_code == 200
        assert there.teach("cup")["label"] == "cup"
        camera.say(signal.SIGCONT)
        eventually(lambda: there.client.get("/readyz").status_code == 200)
