"""Cameras that other programs read: any command, and what a Raspberry Pi or a Jetson has for its ribbon cable."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import subprocess
import sys

import boards
import numpy as np
import psutil
import pytest
from camera_servers import jpeg
from daemons import eventually

from edgecl.cameras import csi, open_camera, redact
from edgecl.cameras.footage import ends, footage
from edgecl.cameras.process import CameraProcess
from edgecl.cameras.raw import Raw
from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable

QUICK = CameraSettings(open_timeout_s=8.0, read_timeout_s=2.0, retry_first_s=0.1, retry_longest_s=0.3)
SMALL = QUICK.model_copy(update={"width_px": 64, "height_px": 48})
GST = "gst-launch-1.0 -q videotestsrc is-live=true pattern=white ! video/x-raw,width=64,height=48,framerate=30/1"
FFMPEG = "ffmpeg -loglevel error -re -f lavfi -i color=c=red:s=64x48:r=30"


def first(url, count=3, settings=QUICK):
    """Its first frames."""
    with contextlib.closing(open_camera(url, settings)) as frames:
        return list(itertools.islice(frames, count))


def colour(frame):
    """Blue, green and red in the middle of a frame."""
    height, width, _ = frame.image.shape
    return tuple(int(value) for value in frame.image[height // 2, width // 2])


def near(found, expected, by=6):
    return all(abs(one - other) <= by for one, other in zip(found, expected, strict=True))


def endless(folder, *levels):
    """A command that writes these pictures again and again."""
    for level in levels:
        (folder / f"{level}.jpg").write_bytes(jpeg(level))
    names = " ".join(f"{folder}/{level}.jpg" for level in levels)
    return f"pipe:sh -c 'while cat {names}; do sleep 0.01; done'"


MARK = "EDGECL_TESTED_BY"


@pytest.fixture(autouse=True)
def marked(tmp_path, monkeypatch):
    """Whatever this test begins is known by a mark, whoever its parent is by then."""
    monkeypatch.setenv(MARK, str(tmp_path))


def begun():
    """Programs that this test began and that still run, but for Python's own."""
    found = set()
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            own = one.environ().get(MARK) == os.environ[MARK] and one.status() != psutil.STATUS_ZOMBIE
            if own and one.cmdline()[:2] != [sys.executable, "-m"] and one.cmdline()[:2] != [sys.executable, "-c"]:
                found.add(one.pid)
    return found


# Any command


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"pipe:{GST} ! jpegenc ! fdsink fd=1", (235, 235, 235)),  # it keeps the white of video
        (f"pipe:64x48/yuv420 {GST},format=I420 ! fdsink fd=1", (255, 255, 255)),
        (f"pipe:64x48/nv12 {GST},format=NV12 ! fdsink fd=1", (255, 255, 255)),
        (f"pipe:{FFMPEG} -f mjpeg -", (0, 0, 254)),
        (f"pipe:64x48/bgr {FFMPEG} -f rawvideo -pix_fmt bgr24 -", (0, 0, 254)),
        (f"pipe:64x48/rgb {FFMPEG} -f rawvideo -pix_fmt rgb24 -", (0, 0, 254)),
        (f"pipe:64x48/yuyv {FFMPEG} -f rawvideo -pix_fmt yuyv422 -", (0, 0, 254)),
        (f"pipe:64x48/yuv420 {FFMPEG} -f rawvideo -pix_fmt yuv420p -", (0, 0, 254)),
        (f"pipe:64x48/gray {FFMPEG} -f rawvideo -pix_fmt gray -", (76, 76, 76)),
    ],
    ids=lambda value: value.split()[0] + " " + value.split()[-2] if isinstance(value, str) else "",
)
def test_real_programs_give_their_pictures_in_colour(url, expected):
    frames = first(url)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert near(colour(frames[-1]), expected, by=12), colour(frames[-1])


def test_raw_frames_are_cut_where_they_end(tmp_path):
    levels = [np.full((4, 6, 3), level, np.uint8).tobytes() for level in (10, 20, 30)]
    (tmp_path / "raw").write_bytes(b"".join(levels))
    frames = first(f"pipe:6x4/bgr cat {tmp_path / 'raw'}")
    assert [colour(frame) for frame in frames] == [(10,) * 3, (20,) * 3, (30,) * 3]


def test_pictures_that_are_cut_anywhere_on_their_way_are_put_together(tmp_path):
    boards.put(
        tmp_path,
        "drip",
        f"""
import sys, time
data = open({str(tmp_path / "all")!r}, "rb").read()
for place in range(0, len(data), 97):
    sys.stdout.buffer.write(data[place : place + 97])
    sys.stdout.buffer.flush()
""",
    )
    (tmp_path / "all").write_bytes(b"".join(map(jpeg, (10, 20, 30))))
    assert [round(frame.image.mean()) for frame in first(f"pipe:{tmp_path / 'drip'}")] == [10, 20, 30]


def test_a_command_that_ends_is_run_again(tmp_path, caplog):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    with caplog.at_level(logging.WARNING):
        assert [frame.index for frame in first(f"pipe:cat {tmp_path / 'one.jpg'}")] == [0, 1, 2]
    assert "cat ended (status 0)" in caplog.text


PIPELINE = "sh -c 'cat {one}; sleep 1000 | sleep 1000'"
BEHIND = "sh -c 'sleep 1000 >/dev/null & cat {one}; sleep 0.1'"


@pytest.mark.parametrize("command", ["sh -c 'cat {one}; exec sleep 1000'", PIPELINE, BEHIND])
def test_a_command_that_falls_silent_or_ends_is_ended_with_all_that_it_began_and_run_again(tmp_path, command):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    settings = QUICK.model_copy(update={"read_timeout_s": 0.4})
    frames = first(f"pipe:{command.format(one=tmp_path / 'one.jpg')}", 3, settings)
    assert [frame.index for frame in frames] == [0, 1, 2]
    eventually(lambda: not begun(), "nothing left")


def test_a_command_that_does_not_listen_is_killed(tmp_path):
    boards.put(
        tmp_path,
        "deaf",
        f"""
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout.buffer.write(open({str(tmp_path / "one.jpg")!r}, "rb").read())
sys.stdout.buffer.flush()
time.sleep(1000)
""",
    )
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    assert len(first(f"pipe:{tmp_path / 'deaf'}", 1)) == 1
    assert not begun()


def test_a_lesson_from_an_endless_command_ends_after_the_time_that_was_asked_for(tmp_path):
    url = endless(tmp_path, 50)
    assert not ends(url)
    assert len(list(footage(url, QUICK, seconds=0.5))) > 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("pipe:no-such-program -o -", "could not run no-such-program"),
        ("pipe:", "found no command"),
        ("pipe:sh -c 'echo", "quotes in pairs"),
        ("pipe:640x480/yuv444 cat x", "bgr, rgb, gray, yuv420, nv12, yuyv"),
        ("pipe:641x480/yuv420 cat x", "even size"),
        ("pipe:9999x9999/bgr cat x", "25 megapixels"),
        ("pipe:0x480/bgr cat x", "WIDTHxHEIGHT/FORMAT"),
        ("pipe:640x480/bgr", "found no command"),
        (
            "pipe:sh -c 'echo lens is closed >&2; exec sleep 1000'",
            r"no new picture from pipe:sh#\w+.*it said: lens is closed",
        ),
        ("pipe:true", r"though it could be opened: true ended \(status 0\).*run the command by itself"),
        ("pipe:sh -c 'echo lens is closed >&2; exit 3'", r"sh ended \(status 3\); it said: lens is closed"),
        ("pipe:/etc", "could not run etc for pipe:etc#"),
    ],
)
def test_a_command_that_gives_no_picture_says_why(url, words):
    with pytest.raises(CameraUnavailable, match=words):
        first(url)


@pytest.mark.parametrize(
    "url",
    [
        "pipe:sh -c 'echo cannot open rtsp://ann:s3cret@cam/live >&2; exit 1'",
        "pipe:sh -c 'echo /GstRTSP:rtsp://ann:s3cret@cam: 401 >&2; exit 1'",
        "pipe:sh -c 'echo 401 for $1 >&2; exit 1' -u ann:s3cret",
        "pipe:sh -c 'echo 401 for $2 >&2; exit 1' --password s3cret s3cret",
        "pipe:sh -c 'echo 401 for ann with s3cret >&2; exit 1' -u ann:s3cret",
        "pipe:sh -c 'echo 401 for ann:s3cret >&2; exit 1' rtsp://ann:s3cret@cam",
        "pipe:sh -c 'echo $1 >&2; exit 1' -H 'Authorization: Bearer s3cret'",
        "pipe:sh -c 'echo $0 >&2; exit 1' token=s3cret",
        f"pipe:sh -c 'echo {'x' * 380} rtsp://user:s3cret@host {'x' * 50} >&2; exit 1'",
        f"pipe:sh -c 'echo {'x' * 3000}s3cret@host >&2; exit 1'",
        "pipe:rtsp://ann:s3cret@cam/x",
        "pipe:ann:s3cret@cam",
        "pipe:rtsp://ann:s3cret with a space@cam",
        "pipe:sh -c 'exit 1' --user ann:s3cret",
    ],
)
def test_neither_an_address_nor_what_a_command_says_tells_a_password(url):
    with pytest.raises(CameraUnavailable) as told:
        first(url)
    assert "s3cret" not in str(told.value)
    assert "s3cret" not in redact(url)


def test_of_a_command_its_program_is_told_and_two_are_told_apart():
    shown = [redact(f"pipe:/usr/bin/ffmpeg -i {number} -f mjpeg -") for number in range(2)]
    assert [one.split("#")[0] for one in shown] == ["pipe:ffmpeg"] * 2
    assert shown[0] != shown[1]
    assert redact("pipe:640x480/bgr ffmpeg -").startswith("pipe:ffmpeg#")


def test_what_a_command_says_without_end_fills_no_memory():
    url = "pipe:sh -c 'head -c 30000000 /dev/zero >&2; exit 1'"
    with pytest.raises(CameraUnavailable) as told:
        first(url)
    assert len(str(told.value)) < 3000


def test_a_raw_frame_has_the_bytes_of_its_format():
    assert [Raw(64, 48, layout).frame_bytes for layout in ("bgr", "gray", "yuv420", "nv12", "yuyv")] == [
        9216,
        3072,
        4608,
        4608,
        6144,
    ]


# Beside the daemon


@pytest.fixture
def watched():
    """Opens cameras as the daemon does; each is closed in the end."""
    with contextlib.ExitStack() as opened:

        def watch(url, settings=QUICK):
            found = CameraProcess("camera1", url, settings, lambda: None)
            opened.callback(found.close)
            return found

        yield watch


def test_the_daemon_reads_a_command_and_ends_all_of_it(watched, tmp_path):
    camera = watched(endless(tmp_path, 40, 60))
    eventually(lambda: camera.condition.frames > 5, "pictures")
    camera.close()
    eventually(lambda: not begun(), "nothing left")


@pytest.mark.parametrize("command", ["sh -c 'cat {one}; exec sleep 1000'", PIPELINE])
def test_a_command_does_not_outlive_a_reader_that_was_killed(watched, tmp_path, command):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    patient = QUICK.model_copy(update={"read_timeout_s": 60.0})
    camera = watched(f"pipe:{command.format(one=tmp_path / 'one.jpg')}", patient)
    eventually(lambda: camera.condition.frames > 0, "a picture")
    reader = next(one for one in psutil.Process().children() if "edgecl.cameras.reader" in one.cmdline())
    before = begun()
    assert len(before) >= 2  # with the leash
    reader.kill()
    eventually(lambda: not before & begun(), "their end")


def killed(script, number):
    """Run a script until it says that it is open and all of a pipeline runs, and send it a signal."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "open\n"
            eventually(lambda: len(begun()) >= 4, "shell, two sleepers and the leash")
        finally:
            process.send_signal(number)


def test_a_command_does_not_outlive_a_daemon_that_was_killed(tmp_path):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    url = f"pipe:{PIPELINE.format(one=tmp_path / 'one.jpg')}"
    killed(
        f"""
import time
from edgecl.cameras.process import CameraProcess
from edgecl.config import CameraSettings

camera = CameraProcess("camera1", {url!r}, CameraSettings(read_timeout_s=60.0), lambda: None)
while not camera.condition.frames:
    time.sleep(0.05)
print("open", flush=True)
time.sleep(1000)
""",
        signal.SIGKILL,
    )
    eventually(lambda: not begun(), "their end")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_command_does_not_outlive_a_command_line_that_was_ended_while_it_waited(tmp_path, number):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    url = f"pipe:{PIPELINE.format(one=tmp_path / 'one.jpg')}"
    killed(
        f"""
from edgecl.cameras import open_camera
from edgecl.cameras.newest import NewestFrame
from edgecl.config import CameraSettings

newest = NewestFrame(open_camera({url!r}, CameraSettings(read_timeout_s=60.0)), CameraSettings())
next(newest)
print("open", flush=True)
newest.take(1000.0)
""",
        number,
    )
    eventually(lambda: not begun(), "their end")


def test_a_command_may_end_what_it_does_when_its_reader_is_gone(watched, tmp_path):
    boards.put(
        tmp_path,
        "careful",
        f"""
import pathlib, signal, sys, time
def leave(number, frame):
    time.sleep(0.3)
    pathlib.Path({str(tmp_path / "ended")!r}).write_text("cleanly")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
while True:
    sys.stdout.buffer.write(open({str(tmp_path / "one.jpg")!r}, "rb").read())
    sys.stdout.buffer.flush()
    time.sleep(0.05)
""",
    )
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    camera = watched(f"pipe:{tmp_path / 'careful'}")
    eventually(lambda: camera.condition.frames > 0, "a picture")
    camera.close()
    eventually(lambda: (tmp_path / "ended").exists(), "its end")


def test_why_a_command_ended_is_told_at_once(watched, tmp_path):
    (tmp_path / "one.jpg").write_bytes(jpeg(50))
    once = f"[ -e {tmp_path}/over ] && sleep 1000; touch {tmp_path}/over; cat {tmp_path}/one.jpg"
    patient = QUICK.model_copy(update={"read_timeout_s": 60.0})
    camera = watched(f"pipe:sh -c '{once}; sleep 0.5; echo lens fell off >&2; exit 3'", patient)
    trouble = eventually(lambda: camera.condition.frames and camera.condition.trouble, "why")
    assert "sh ended (status 3); it said: lens fell off" in trouble


# A Raspberry Pi


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A board on whose PATH are only the commands that a test puts there."""
    monkeypatch.setattr(csi, "TEGRA", tmp_path / "nv_tegra_release")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_a_raspberry_pi_reads_its_camera_by_rpicam_vid(board):
    boards.raspberry(board)
    frames = first("csi://0")
    assert [frame.image.shape for frame in frames] == [(480, 640, 3)] * 3
    assert [round(frame.image.mean()) for frame in frames] == [50, 51, 52]
    assert {frame.camera for frame in frames} == {"csi://0"}


def test_before_debian_12_the_command_has_another_name(board):
    boards.raspberry(board, name="libcamera-vid")
    assert len(first("csi://0")) == 3


def test_pictures_have_the_size_that_the_settings_ask_for(board):
    boards.raspberry(board)
    assert first("csi://0", 1, SMALL)[0].image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("sensor", "url", "words"),
    [
        ("none", "csi://0", r"no cameras available.*check its cable"),
        (
            "busy",
            "csi://0",
            r"Pipeline handler in use by another process.*failed to acquire camera.*nothing else has it",
        ),
        ("fine", "csi://1", "selected camera is not available"),
    ],
)
def test_a_camera_of_a_pi_that_cannot_be_opened_says_why(board, sensor, url, words):
    boards.raspberry(board, sensor)
    with pytest.raises(CameraUnavailable, match=words):
        first(url)


@pytest.mark.parametrize("sensor", ["ends", "hangs"])
def test_a_camera_of_a_pi_that_stops_is_opened_again(board, sensor):
    boards.raspberry(board, sensor)
    frames = first("csi://0", 7, SMALL)
    assert [round(frame.image.mean()) for frame in frames] == [50, 51, 52, 53, 54, 50, 51]


def test_the_daemon_sees_through_it(board, watched):
    boards.raspberry(board)
    camera = watched("csi://0")
    eventually(lambda: camera.condition.phase == "open", "a picture")
    frame = eventually(camera.take, "a frame")
    assert frame.image.shape == (480, 640, 3)


def test_where_nothing_reads_it_what_to_install_is_said(board):
    with pytest.raises(CameraUnavailable, match="sudo apt install rpicam-apps-lite"):
        first("csi://0")


@pytest.fixture
def picamera2(board, tmp_path, monkeypatch):
    """A board that has picamera2 alone."""
    (tmp_path / "picamera2.py").write_text(boards.PICAMERA2)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("picamera2", None)


def test_without_a_command_picamera2_reads_it(picamera2):
    with contextlib.closing(open_camera("csi://0", SMALL)) as frames:
        assert [colour(frame) for frame in itertools.islice(frames, 2)] == [(200, 100, 50)] * 2
        assert next(frames).image.shape == (48, 64, 3)
    assert sys.modules["picamera2"].Picamera2.open == []


def test_a_camera_that_picamera2_does_not_have_says_so(picamera2):
    with pytest.raises(CameraUnavailable, match=r"picamera2: list index out of range; check its cable"):
        first("csi://1")


# A Jetson


def test_a_jetson_reads_its_camera_by_gstreamer(board, tmp_path):
    (tmp_path / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3")
    boards.put(board, "gst-launch-1.0", boards.GST_LAUNCH)
    frames = first("csi://0")
    assert [frame.image.shape for frame in frames] == [(480, 640, 3)] * 3
    assert max(int(frame.image.max()) for frame in frames) > 200  # a white ball on black
    assert np.median(frames[0].image) < 20
