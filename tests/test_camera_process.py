"""A camera in a process of its own: whatever becomes of it, it is seen, said, and read again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from camera_servers import Server, serving, silent
from commands import save_pictures, save_video
from daemons import eventually

from edgecl.cameras import is_there, process
from edgecl.cameras.capture import FRAME_PIXELS_MAX
from edgecl.cameras.paced import LONGEST_PAUSE_S, Pace
from edgecl.cameras.process import CameraProcess
from edgecl.cameras.shared import PLACES, SharedFrames
from edgecl.config import CameraSettings
from edgecl.types import Frame

QUICK = CameraSettings(open_timeout_s=1.0, read_timeout_s=0.8, retry_first_s=0.1, retry_longest_s=0.5)


@pytest.fixture
def camera():
    """Makes cameras, which end with the test."""
    made = []

    def make(url, settings=QUICK):
        made.append(CameraProcess("hall", url, settings, lambda: None))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def server():
    with serving(Server()) as server:
        yield server


def readers():
    """Processes that read a camera for this one."""
    return [child for child in psutil.Process().children() if "edgecl.cameras.reader" in " ".join(child.cmdline())]


def is_open(camera):
    return lambda: camera.condition.phase == "open"


# Frames


def test_frames_arrive_with_the_time_at_which_they_were_read(camera):
    found = camera("sample://cat?fps=30")
    frame = eventually(found.take)
    assert (frame.image.shape, frame.image.dtype, frame.camera) == ((480, 640, 3), np.uint8, "hall")
    assert 0 <= time.monotonic() - frame.monotonic < 1.0
    assert found.condition.trouble is None


def test_a_frame_is_taken_once_and_never_an_old_one(camera):
    found = camera("sample://cat?fps=30")
    first = eventually(found.take)
    time.sleep(0.5)
    second = eventually(found.take)
    assert second.index - first.index > 5, "those in between are dropped, not queued"
    numbers = [frame.index for frame in (found.take() for _ in range(100)) if frame is not None]
    assert len(set(numbers)) == len(numbers)


def test_a_video_goes_on_from_its_beginning_at_its_own_speed(camera, tmp_path):
    found = camera(str(save_video(tmp_path / "cat.mp4", "cat", frames=10, fps=20.0)))
    first = eventually(found.take)
    later = eventually(lambda: next((f for f in [found.take()] if f is not None and f.index >= 30), None))
    assert later.monotonic - first.monotonic > 0.8 * (later.index - first.index) / 20.0
    assert found.condition.losses == 0


def test_a_folder_of_pictures_is_shown_again_and_again(camera, tmp_path):
    found = camera(str(save_pictures(tmp_path / "cats", "cat", 2)))
    assert eventually(lambda: next((f for f in [found.take()] if f is not None and f.index >= 4), None))


def test_the_password_is_in_no_command_line(camera, server):
    camera(f"http://ann:p%2Fw%401@{server.address}/secret")
    (reader,) = eventually(readers)
    assert "p%2Fw" not in " ".join(reader.cmdline())
    assert "ann" not in " ".join(reader.environ())


# Losses


def test_a_camera_that_is_not_there_is_told_with_the_reason(camera):
    found = camera("usb:77")
    condition = eventually(lambda: found.condition if found.condition.phase == "lost" else None)
    assert "found no camera usb:77" in condition.trouble
    assert condition.losses == 1


def test_a_camera_that_comes_later_is_taken_up(camera):
    with serving(Server()) as gone:
        address = gone.address
    found = camera(f"http://{address}/stream")
    eventually(lambda: found.condition.phase == "lost")
    with serving(Server(int(address.split(":")[1]))):
        eventually(is_open(found))
        assert found.condition.losses == 1, "it was never back in between"


def test_a_folder_on_a_disk_that_comes_later_is_taken_up(camera, tmp_path):
    patient = QUICK.model_copy(update={"retry_first_s": 2.5, "retry_longest_s": 2.5})  # so long it looks meanwhile
    found = camera(str(tmp_path / "disk" / "photos"), patient)
    eventually(lambda: found.condition.phase == "lost")
    (tmp_path / "disk").mkdir()
    save_pictures(tmp_path / "disk" / "photos", "cat")
    eventually(is_open(found))


def test_a_camera_that_falls_silent_is_told_and_read_again(camera, server):
    server.pictures, server.after = 5, "stall"
    found = camera(f"http://{server.address}/stream")
    eventually(lambda: found.condition.losses == 1)
    assert "has given no picture for" in found.condition.trouble or "found no new picture" in found.condition.trouble
    server.pictures = 10**9
    eventually(is_open(found))


def test_silence_is_told_before_the_camera_is_given_up(camera, server):
    server.pictures, server.after = 5, "stall"
    found = camera(f"http://{server.address}/stream", CameraSettings(read_timeout_s=2.0))
    eventually(lambda: found.condition.frames > 0)
    began = time.monotonic()
    eventually(lambda: found.condition.trouble is not None)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_reader_that_hangs_or_dies_is_replaced(camera, number):
    found = camera("sample://cat?fps=30")
    eventually(is_open(found))
    (reader,) = readers()
    os.kill(reader.pid, number)
    eventually(lambda: found.condition.losses == 1)
    eventually(is_open(found))
    assert [one.pid for one in readers()] != [reader.pid]
    assert not psutil.pid_exists(reader.pid)


def test_a_camera_that_answers_and_gave_pictures_before_is_not_waited_for_long(camera, server, monkeypatch):
    monkeypatch.setattr(process, "AGAIN_S", 0.5)
    monkeypatch.setattr(process, "LOOK_EVERY_S", 0.2)
    server.pictures = 5
    found = camera(f"http://{server.address}/stream", QUICK.model_copy(update={"retry_first_s": 600.0}))
    eventually(lambda: found.condition.losses == 2)


def test_one_that_never_gave_a_picture_is_asked_ever_less_often(camera, server, monkeypatch):
    monkeypatch.setattr(process, "AGAIN_S", 0.1)
    monkeypatch.setattr(process, "LOOK_EVERY_S", 0.1)
    found = camera(f"http://{server.address}/bearer", QUICK.model_copy(update={"retry_first_s": 600.0}))
    eventually(lambda: found.condition.phase == "lost")
    time.sleep(1.5)
    assert found.condition.losses == 1
    assert readers() == [], "a wrong password that is tried again and again locks the account of some cameras"


NOISY = """
import os
from edgecl.cameras import reader
from edgecl.cameras.paced import live_frames

def noisy(url, settings):
    for frame in live_frames(url, settings):
        os.write(1, b"[mjpeg @ 0x55] overread 8")
        print("frame")
        yield frame

reader.live_frames = noisy
reader.main()
"""


def test_what_a_driver_prints_is_no_event():
    places = SharedFrames()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", NOISY, str(places.file)]
    with subprocess.Popen(command, **pipes, pass_fds=(places.file,)) as reader:
        reader.stdin.write(json.dumps({"url": "sample://cat?fps=30", "settings": QUICK.model_dump()}) + "\n")
        reader.stdin.flush()
        events = [json.loads(reader.stdout.readline()) for _ in range(3)]
        reader.terminate()
        said = reader.stderr.read()
    places.close()
    assert [event["frame"] for event in events] == [1, 2, 3]
    assert "overread" in said


def test_a_reader_that_cannot_be_started_is_started_again(camera, monkeypatch):
    popen, refused = subprocess.Popen, []

    def refuse(*arguments, **options):
        if not refused:
            refused.append(arguments)
            raise OSError(11, "no more processes")
        return popen(*arguments, **options)

    monkeypatch.setattr(process.subprocess, "Popen", refuse)
    found = camera("sample://cat?fps=30")
    eventually(lambda: "no more processes" in (found.condition.trouble or ""))
    eventually(is_open(found))


def test_a_closed_camera_gives_nothing(camera):
    found = camera("sample://cat?fps=30")
    eventually(is_open(found))
    found.close()
    assert found.take() is None


def test_frames_that_nobody_took_are_counted(camera):
    found = camera("sample://cat?fps=30")
    taken = [eventually(found.take) for _ in range(3)]
    eventually(lambda: found.condition.frames >= 10)
    condition = found.condition
    assert condition.frames - len(taken) - 1 <= condition.dropped <= condition.frames - len(taken)


def test_the_very_same_picture_is_told(camera, server):
    found = camera(f"http://{server.address}/snapshot")
    eventually(lambda: found.condition.trouble is not None and "the very same picture" in found.condition.trouble)
    assert found.condition.phase == "open", "it may be a picture in which nothing moves"


def test_a_reader_ends_with_who_asked_for_it(tmp_path):
    script = (
        "import time\nfrom edgecl.cameras.process import CameraProcess\nfrom edgecl.config import CameraSettings\n"
        "camera = CameraProcess('hall', 'sample://cat?fps=30', CameraSettings(), lambda: None)\n"
        "while camera.take() is None: time.sleep(0.01)\n"
        "print('open', flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "open\n"
    (reader,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not reader.is_running() or reader.status() == psutil.STATUS_ZOMBIE)


def test_closing_leaves_no_process(camera):
    found = camera("sample://cat?fps=30")
    eventually(is_open(found))
    (reader,) = readers()
    found.close()
    assert not reader.is_running()


# Looking whether it is there


def test_what_speaks_the_protocol_is_there(server):
    assert is_there(f"http://{server.address}/stream", 2.0) is True


def test_what_takes_connections_and_is_silent_is_not_there():
    with silent() as address:
        assert is_there(f"rtsp://{address}/x", 0.3) is False


def test_what_is_nowhere_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert is_there(f"rtsp://127.0.0.1:{port}/x", 0.3) is False
    assert is_there("/dev/video77", 0.3) is False


def test_of_a_file_nobody_can_tell(tmp_path):
    assert is_there(str(save_video(tmp_path / "cat.mp4", "cat", 3)), 0.3) is None


# The shared places


def frame(level, number=0, size=(48, 64)):
    return Frame(np.full((*size, 3), level, np.uint8), 5.0, 7.0, "elsewhere", number)


def test_a_frame_is_seen_through_another_door():
    here = SharedFrames()
    here.put(frame(9, 3), 1)
    there = SharedFrames(os.dup(here.file))
    found = there.take(1, "hall")
    assert (found.image.max(), found.image.min(), found.taken_at, found.monotonic, found.index) == (9, 9, 5.0, 7.0, 3)
    assert found.camera == "hall"
    there.close()
    here.close()


def test_a_place_that_was_taken_by_a_later_frame_gives_none():
    places = SharedFrames()
    for number in range(1, PLACES + 2):
        places.put(frame(number), number)
    assert places.take(1, "hall") is None
    assert places.take(PLACES + 1, "hall").image.max() == PLACES + 1
    places.close()


def test_frames_of_any_size_fit_and_cost_no_more_than_they_take():
    places = SharedFrames()
    places.put(frame(1, size=(1, 1)), 1)
    places.put(Frame(np.zeros((5000, 5000, 3), np.uint8), 0.0, 0.0, "large", 0), 2)
    assert places.take(2, "hall").image.size == 3 * FRAME_PIXELS_MAX
    places.put(frame(3), 3)
    used = Path(f"/proc/self/fd/{places.file}").stat().st_blocks * 512
    assert used < 3 * FRAME_PIXELS_MAX + 2**21
    places.close()


# Pace


def test_a_recording_waits_for_its_time_but_never_long():
    pace = Pace()
    assert pace.wait_s(1000.0) == 0.0
    assert pace.wait_s(1000.5) == pytest.approx(0.5, abs=0.05)
    assert pace.wait_s(5000.0) == LONGEST_PAUSE_S
    assert pace.wait_s(10.0) == 0.0, "a clock that was set back starts anew"
