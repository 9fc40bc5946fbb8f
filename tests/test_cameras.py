"""Every camera file of the folder is held to one contract; then what is special to each kind of source."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boards
import cv2
import numpy as np
import pytest
from camera_servers import Server, jpeg, serving
from hypothesis import given
from hypothesis import strategies as st

from edgecl.cameras import Frames, capture, is_live, open_camera, redact, schemes, stdin, usb
from edgecl.cameras.capture import Capture, ffmpeg_options
from edgecl.cameras.newest import NewestFrame
from edgecl.cameras.sample import HEIGHT_PX, PHOTOGRAPHS, WIDTH_PX, Pose, calibration_frames, photograph, pose, view
from edgecl.cameras.stdin import read_frames
from edgecl.config import CameraSettings
from edgecl.errors import CameraError, CameraStalled, CameraUnavailable, FrameUnusable, ImageRefused
from edgecl.types import Frame

QUICK = CameraSettings(open_timeout_s=1.0, read_timeout_s=0.6, retry_first_s=0.1, retry_longest_s=0.3)
FORMS = {  # of every scheme: addresses that it alone accepts
    "csi": ("csi://0", "csi://1"),
    "folder": ("photos", "photos/", "cup.jpg", "file://{here}/cup.jpg", "plain"),
    "pipe": ("pipe:rpicam-vid -o -", "pipe:640x480/bgr cat x.mp4", "pipe:cat cup.jpg"),
    "network": ("rtsp://h/x", "RTSPS://h:554/x", "http://h/x.jpg", "https://u:p@h/video.mp4"),
    "sample": ("sample://", "sample://cat?seed=1"),
    "stdin": ("-",),
    "usb": ("0", "usb:0", "/dev/video0", "usb:/dev/video1", "/dev/v4l/by-id/usb-Cam_1-video-index0"),
    "video": ("cup.mp4", "file://{here}/cup%20board.MKV", "unnamed"),
}
GOOD = {
    "folder": "photos",
    "pipe": "pipe:sh -c 'while cat cup.jpg; do sleep 0.01; done # rtsp://ann:secret@h'",
    "sample": "sample://cat",
    "video": "cup.mp4",
}  # of the others `opened` knows how
BAD = {
    "csi": "csi://0",
    "folder": "empty",
    "network": "http://127.0.0.1:9/x",
    "pipe": "pipe:false",
    "sample": "sample://unicorn",
    "stdin": "-",
    "usb": "usb:99",
    "video": "damaged.mp4",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of everything, as the current one."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "empty"):
        (tmp_path / folder).mkdir()
    for level in (10, 20, 30):
        (tmp_path / "photos" / f"{level}.jpg").write_bytes(jpeg(level))
    for name in ("cup.jpg", "plain"):
        (tmp_path / name).write_bytes(jpeg(100))
    write_video(tmp_path / "cup.mp4", 12)
    (tmp_path / "unnamed").write_bytes((tmp_path / "cup.mp4").read_bytes())
    (tmp_path / "damaged.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    return tmp_path


def write_video(path: Path, frames: int, fps: float = 20.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 10 * number + 20, np.uint8))
    writer.release()


@contextlib.contextmanager
def opened(scheme: str) -> Iterator[Frames]:
    """Frames of a source of this scheme that works."""
    with contextlib.ExitStack() as stack:
        if scheme == "stdin":
            frames: Frames = read_frames(io.BytesIO(jpeg(1) + jpeg(2) + jpeg(3)))
        elif scheme == "network":
            server = stack.enter_context(serving(Server(every_s=0.005)))
            frames = open_camera(f"http://{server.address}/stream?password=secret", QUICK)
        elif scheme == "csi":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("PATH", str(boards.raspberry(Path("bin").absolute())))
            frames = open_camera("csi://0", QUICK)
        elif scheme == "usb":
            if not os.access("/dev/video0", os.R_OK | os.W_OK):
                pytest.skip("this machine has no camera")
            frames = open_camera("0", QUICK)
        else:
            frames = open_camera(GOOD[scheme], QUICK)
        yield stack.enter_context(contextlib.closing(frames))


def level(frame: Frame) -> int:
    return round(float(frame.image.mean()))


@pytest.mark.parametrize("scheme", schemes())
def test_each_address_is_accepted_by_one_file_only(scheme: str, here: Path) -> None:
    for form in FORMS[scheme]:
        url = form.format(here=here)
        assert [name for name, other in schemes().items() if other.accepts(url)] == [scheme]


@pytest.mark.parametrize("scheme", schemes())
def test_frames_are_numbered_from_0_in_colour_and_know_their_time(scheme: str, here: Path) -> None:
    start = time.monotonic()
    with opened(scheme) as frames:
        for index, frame in enumerate(itertools.islice(frames, 3)):
            assert frame.index == index and frame.image.dtype == np.uint8 and frame.image.shape[2] == 3
            assert start <= frame.monotonic <= time.monotonic() and abs(frame.taken_at - time.time()) < 60


@pytest.mark.parametrize("scheme", schemes())
def test_no_frame_shows_a_password(scheme: str, here: Path) -> None:
    with opened(scheme) as frames:
        camera = next(frames).camera
        assert camera and "secret" not in camera


@pytest.mark.parametrize("scheme", schemes())
def test_closing_releases_files_and_threads(scheme: str, here: Path) -> None:
    with opened(scheme) as frames:
        next(frames)  # what is loaded once stays
    before = (len(list(Path("/proc/self/fd").iterdir())), {thread.name for thread in threading.enumerate()})
    with opened(scheme) as frames:
        next(frames)
    time.sleep(0.05)
    assert (len(list(Path("/proc/self/fd").iterdir())), {thread.name for thread in threading.enumerate()}) == before


@pytest.mark.parametrize("scheme", schemes())
def test_a_closed_camera_gives_no_more_frames(scheme: str, here: Path) -> None:
    with opened(scheme) as frames:
        next(frames)
        frames.close()
        assert list(frames) == []


@pytest.mark.parametrize("scheme", schemes())
def test_a_bad_source_gives_one_camera_error_and_nothing_is_printed(
    scheme: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source: Frames = read_frames(io.BytesIO()) if scheme == "stdin" else open_camera(BAD[scheme], QUICK)
    with pytest.raises(CameraUnavailable, match=r"(found|could not open).*(expected|;)"):
        next(source)
    assert capfd.readouterr().err == ""


def test_only_cameras_that_run_in_real_time_are_live(here: Path) -> None:
    assert all(is_live(url) for url in ("0", "rtsp://h/x", "http://h/x", "sample://cat?fps=15", "pipe:x", "csi://0"))
    assert not any(is_live(url) for url in ("photos", "cup.jpg", "cup.mp4", "-", "sample://cat"))


@pytest.mark.parametrize(
    "url", ("nothing", "", "a\0b", "gopher://host/x", "ftp://u:secret@host/x", "0x", "csi:x", "csi://x")
)
def test_an_unknown_address_is_told_all_the_forms_there_are(url: str, here: Path) -> None:
    with pytest.raises(CameraUnavailable, match="expected one of") as refused:
        open_camera(url, QUICK)
    assert all(scheme.FORM in str(refused.value) for scheme in schemes().values())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://ann:secret@host:554/live", "rtsp://***@host:554/live"),
        ("rtsp://ann:se@cr/et@host/live", "rtsp://***@host/live"),
        ("rtsp://ann:secret#1?@host/live", "rtsp://***@host/live"),
        ("ann:secret@10.0.0.1/x", "***@10.0.0.1/x"),
        ("http:/ann:se/cret@host/live", "***@host/live"),
        ("http://host/shot.cgi?usr=ann&pwd=secret&size=2", "http://host/shot.cgi?usr=***&size=2"),
        ("http://host/shot.cgi?size=2&u=ann&pw=secret", "http://host/shot.cgi?size=2&u=***"),
        ("rtsp://host/user=ann_password=secret_channel=1_stream=0.sdp", "rtsp://host/user=***_channel=1_stream=0.sdp"),
        ("http://host/x?API_KEY=secret", "http://host/x?API_KEY=***"),
        ("http://host/live", "http://host/live"),
        ("http://host/x?p%77d%3Dsecret", "http://host/x?p%77d%3D***"),
        ("rtsp://host/cam/realmonitor?channel=1&subtype=0", "rtsp://host/cam/realmonitor?channel=1&subtype=0"),
        ("sample://cat?seed=1&fps=15", "sample://cat?seed=1&fps=15"),
        ("/photos/me@home/cup.jpg", "/photos/me@home/cup.jpg"),
        ("../run=3/cup.mp4", "../run=3/cup.mp4"),
        ("0", "0"),
    ],
)
def test_passwords_are_redacted(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(
    password=st.text("abcXYZ089!$%&'()*+,-./:;<>?@[]^_`{|}~ #=", min_size=1, max_size=20),
    form=st.sampled_from(
        [
            "rtsp://zoe:{}@host/live",
            "zoe:{}@host/live",
            "http://host/live?u=zoe&pw={}",
            "http://host/live?whatever={}&channel=1",
            "rtsp://host/user=zoe_password={}_channel=1_stream=0.sdp",
        ]
    ),
)
def test_no_password_is_shown_in_any_form_of_address(password: str, form: str) -> None:
    marked = f"Q{password}Q"  # so that it cannot be a part of the rest
    assert marked not in redact(form.format(marked)) and "zoe" not in redact(form.format(marked))


@given(url=st.text())
def test_what_was_redacted_is_not_changed_by_redacting_it_again(url: str) -> None:
    assert redact(redact(url)) == redact(url)


@pytest.mark.parametrize(
    "url", ["http://ann:se/cret@127.0.0.1:9/x", "http://ann:secret@[::1/x", "rtsp://a:secret@[::1/x"]
)
def test_an_address_that_cannot_be_read_does_not_show_its_password(url: str) -> None:
    with pytest.raises(CameraUnavailable) as refused:
        next(open_camera(url, QUICK))
    assert "cret" not in str(refused.value) and refused.value.__cause__ is None


# folders and images


def test_a_folder_is_read_in_the_order_of_names_and_each_still_has_its_own_address(here: Path) -> None:
    frames = list(open_camera("photos", QUICK))
    assert [(level(frame), frame.camera) for frame in frames] == [(v, f"photos/{v}.jpg") for v in (10, 20, 30)]


def test_a_folder_names_an_image_that_cannot_be_read_and_goes_on_with_the_next(here: Path) -> None:
    (here / "photos" / "15.jpg").write_bytes(jpeg(15)[:-9])
    frames = open_camera("photos", QUICK)
    assert next(frames).index == 0
    with pytest.raises(FrameUnusable, match=r"found a JPEG .* in photos/15\.jpg"):
        next(frames)
    assert [(frame.index, level(frame)) for frame in frames] == [(1, 20), (2, 30)]


def test_hidden_files_of_a_folder_and_those_that_are_no_images_are_not_looked_at(here: Path) -> None:
    (here / "photos" / "._10.jpg").write_bytes(b"what macOS adds")
    (here / "photos" / "notes.txt").write_text("no image")
    assert [level(frame) for frame in open_camera("photos", QUICK)] == [10, 20, 30]


def test_a_folder_without_one_good_image_is_unavailable(here: Path) -> None:
    (here / "empty" / "1.jpg").write_bytes(b"no image")
    frames = open_camera("empty", QUICK)
    with pytest.raises(FrameUnusable, match=r"1\.jpg"):
        next(frames)
    with pytest.raises(CameraUnavailable, match="found 1 image files in empty and none that can be read"):
        next(frames)


def test_of_a_folder_of_folders_one_of_these_is_to_be_named(here: Path) -> None:
    (here / "groceries/apples").mkdir(parents=True)
    with pytest.raises(CameraUnavailable, match="name a folder in it, such as apples"):
        next(open_camera("groceries", QUICK))


def test_one_image_that_cannot_be_read_is_refused(here: Path) -> None:
    (here / "cup.jpg").write_bytes(jpeg(1)[:-9])
    with pytest.raises(ImageRefused, match="truncated"):
        next(open_camera("cup.jpg", QUICK))


# videos


def test_a_video_gives_every_frame_in_order_and_the_distances_between_them(here: Path) -> None:
    frames = list(open_camera("cup.mp4", QUICK))
    assert [abs(level(frame) - (20 + 10 * frame.index)) < 5 for frame in frames] == [True] * 12
    assert np.allclose(np.diff([frame.taken_at for frame in frames]), 1 / 20, atol=1e-4)


def test_a_video_that_is_cut_off_before_its_index_is_unavailable(here: Path) -> None:
    data = (here / "cup.mp4").read_bytes()
    (here / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(CameraUnavailable, match="check that the file is whole"):
        list(open_camera("cut.mp4", QUICK))


def test_a_video_that_is_not_there_is_named_and_no_other(here: Path) -> None:
    with pytest.raises(CameraUnavailable, match=r"found nothing at nowhere\.mp4, expected a video file;"):
        next(open_camera("nowhere.mp4", QUICK))


def test_a_pipe_with_the_name_of_a_video_does_not_hang(here: Path) -> None:
    os.mkfifo(here / "pipe.mp4")
    with pytest.raises(CameraUnavailable, match="no regular file"):
        next(open_camera("pipe.mp4", QUICK))


def test_a_backend_that_sleeps_through_its_time_out_is_left_behind(here: Path) -> None:
    os.mkfifo(here / "pipe.mp4")  # opening it blocks in the system, where no time-out of FFmpeg reaches
    with pytest.raises(CameraUnavailable, match="could not open pipe"):
        Capture("pipe.mp4", cv2.CAP_FFMPEG, ffmpeg_options(QUICK), QUICK, "pipe", "check it")
    with (here / "pipe.mp4").open("wb"):  # now the thread that was left behind ends
        [thread.join(2) for thread in threading.enumerate() if thread.name == "capture"]


# standard input


def test_standard_input_gives_one_image_of_any_kind() -> None:
    png = cv2.imencode(".png", np.full((5, 7, 3), 9, np.uint8))[1].tobytes()
    assert [frame.image.shape for frame in read_frames(io.BytesIO(png))] == [(5, 7, 3)]


def test_standard_input_gives_each_jpeg_of_a_stream_as_a_still_and_leaves_out_damaged_ones() -> None:
    stream = jpeg(10) + jpeg(20)[:-9] + b"--frame\r\n\r\n" + jpeg(30)
    frames = list(read_frames(io.BytesIO(stream)))
    assert [(level(frame), frame.camera) for frame in frames] == [(10, "stdin:0"), (30, "stdin:1")]


@pytest.mark.parametrize("data", [b"no image at all", jpeg(1)[:-9], b"\xff\xd8\xff\xd9" + bytes(9)])
def test_standard_input_without_a_whole_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageRefused, match="in standard input"):
        list(read_frames(io.BytesIO(data)))


@pytest.mark.parametrize("before", [b"y\n", b"SQLite format 3\0", b"\0\0\0\x1cftypisom", b"--frame\r\n\r\n"])
def test_standard_input_that_does_not_begin_with_a_picture_is_refused_though_some_follow(before: bytes) -> None:
    source = io.BytesIO(before + jpeg(1) * 3)
    with pytest.raises(ImageRefused, match=r"begin with .* in standard input"):
        list(read_frames(source))
    assert source.tell() == 16  # it may have no end, so no more of it is waited for


def test_standard_input_is_not_waited_for_beyond_the_size_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(size) or b"y\n"

    monkeypatch.setattr(stdin, "IMAGE_BYTES_MAX", 2000)
    frames = read_frames(Endless(jpeg(1) + jpeg(2)))
    assert [level(next(frames)) for _ in range(2)] == [1, 2]
    with pytest.raises(ImageRefused, match="without a whole JPEG in standard input"):
        next(frames)


def test_without_any_camera_no_other_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb.Path, "glob", lambda *_: iter(()))
    with pytest.raises(CameraUnavailable, match="nor any other on this machine, expected one;"):
        next(open_camera("usb:99", QUICK))


def test_a_dash_reads_the_standard_input_of_the_process() -> None:
    program = (
        "from edgecl.cameras import open_camera; from edgecl.config import CameraSettings\n"
        "print([frame.image.shape for frame in open_camera('-', CameraSettings())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=jpeg(1) * 2, capture_output=True, timeout=30, check=True
    )
    assert done.stdout.decode().strip() == "[(48, 64, 3), (48, 64, 3)]"


# the simulated camera


def test_the_same_sample_address_gives_the_same_bits() -> None:
    url = "sample://coffee?seed=7&frames=30"
    pairs = zip(open_camera(url, QUICK), open_camera(url, QUICK), strict=True)
    assert all((one.image == two.image).all() for one, two in pairs)


def test_another_seed_gives_other_pictures() -> None:
    one, two = (next(open_camera(f"sample://coffee?seed={seed}", QUICK)).image for seed in (1, 2))
    assert (one != two).mean() > 0.5


def test_a_sample_ends_after_the_frames_that_were_asked_for() -> None:
    assert [frame.index for frame in open_camera("sample://cat?frames=4", QUICK)] == [0, 1, 2, 3]


def test_a_sample_with_a_frame_rate_keeps_time() -> None:
    start = time.monotonic()
    assert len(list(open_camera("sample://cat?fps=20&frames=11", QUICK))) == 11
    assert time.monotonic() - start >= 0.5


def test_a_sample_walks_through_the_photographs_that_were_named() -> None:
    url = "sample://cat,coffee?each=0.2&frames=7"  # at 15 frames a second three of each
    first, *_, last = (frame.image for frame in open_camera(url, QUICK))
    one, other = (view(photograph(name), pose(0, at_s)) for name, at_s in (("cat", 0.0), ("cat", 6 / 15)))
    assert np.array_equal(first, one)
    assert np.array_equal(last, other)
    (fourth,) = itertools.islice((frame.image for frame in open_camera(url, QUICK)), 3, 4)
    assert np.array_equal(fourth, view(photograph("coffee"), pose(0, 3 / 15)))


def test_a_sample_without_a_name_walks_through_the_photographs() -> None:
    first, later = next(open_camera("sample://", QUICK)).image, None
    for frame in itertools.islice(open_camera("sample://?fps=0", QUICK), 0, 61):
        later = frame.image
    named = next(open_camera(f"sample://{PHOTOGRAPHS[0]}", QUICK)).image
    assert (first == named).all()
    assert later is not None and (later == view(photograph(PHOTOGRAPHS[1]), pose(0, 4.0))).all()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_in_colour_and_its_view_is_a_frame(name: str) -> None:
    image = view(photograph(name), pose(0, 1.0))
    assert image.shape == (HEIGHT_PX, WIDTH_PX, 3) and image.dtype == np.uint8 and image.std() > 2


def test_a_camera_at_rest_sees_the_middle_of_the_photograph() -> None:
    photo = cv2.resize(photograph("coffee"), (WIDTH_PX, HEIGHT_PX))
    assert np.abs(view(photo, Pose()).astype(int) - photo).max() <= 1


def test_the_hand_moves_smoothly() -> None:
    steps = [(pose(3, t / 15), pose(3, (t + 1) / 15)) for t in range(300)]
    assert max(max(abs(a.x - b.x), abs(a.y - b.y), abs(a.zoom - b.zoom), abs(a.turn - b.turn)) for a, b in steps) < 0.25


def test_calibration_frames_show_all_photographs_and_are_the_same_each_time() -> None:
    count = len(PHOTOGRAPHS)
    frames = list(calibration_frames(count, seed=5))
    assert len({frame.tobytes() for frame in frames}) == count
    assert all((one == two).all() for one, two in zip(frames, calibration_frames(count, seed=5), strict=True))


@pytest.mark.parametrize("part", ("seed=x", "fps=-1", "frames=1.5", "fps=nan", "colour=red", "seed=99999999999"))
def test_a_sample_address_that_is_not_understood_is_refused(part: str) -> None:
    with pytest.raises(CameraUnavailable, match="expected"):
        next(open_camera(f"sample://cat?{part}", QUICK))


# the newest frame


def frames_of(count: int, then: Exception | threading.Event | None = None) -> Iterator[Frame]:
    """So many frames at once; then the end, an error, or nothing until the event."""
    for index in range(count):
        yield Frame(np.zeros((2, 2, 3), np.uint8), time.time(), time.monotonic(), "clock", index)
    if isinstance(then, threading.Event):
        then.wait(60)
    elif then is not None:
        raise then


def test_a_slow_reader_gets_the_newest_frame_and_none_before_it() -> None:
    asked_again = threading.Event()

    def source() -> Iterator[Frame]:
        yield from frames_of(40)
        asked_again.set()  # all but the last were replaced by a newer one

    with NewestFrame(source(), QUICK) as newest:
        assert asked_again.wait(60)
        assert [frame.index for frame in newest] == [39]


def test_an_error_of_the_camera_reaches_the_reader_after_the_frames_before_it() -> None:
    with NewestFrame(frames_of(1, CameraStalled("gone")), QUICK) as newest:
        assert next(newest).index == 0
        with pytest.raises(CameraError, match="gone"):
            next(newest)
        assert list(newest) == []


def test_a_reader_is_told_of_a_stall_while_the_camera_is_still_silent() -> None:
    release = threading.Event()
    newest = NewestFrame(frames_of(1, release), QUICK)
    next(newest)
    with pytest.raises(CameraStalled, match="clock"):
        next(newest)
    release.set()
    newest.close()


def test_closing_while_another_thread_waits_ends_the_wait() -> None:
    release = threading.Event()
    newest = NewestFrame(frames_of(0, release), CameraSettings(open_timeout_s=1000.0))
    rest: list[Frame] = []
    waiting = threading.Thread(target=lambda: rest.extend(newest))
    waiting.start()
    newest.close()
    waiting.join(30)
    assert not waiting.is_alive() and rest == []
    release.set()


# what OpenCV's backends get wrong


class Backend:
    """Stands for `cv2.VideoCapture`: opens anything, and ends when it is first read from."""

    def __init__(self, *arguments: object) -> None:
        pass

    def isOpened(self) -> bool:
        return True

    def get(self, property: int) -> float:
        return 10.0

    def read(self) -> tuple[bool, None]:
        return False, None

    def release(self) -> None:
        pass


@pytest.mark.parametrize(("waited_s", "outcome"), [(0.1, "end"), (0.7, "stall")])
def test_an_end_after_the_read_time_out_is_a_stall(
    waited_s: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.0, waited_s))
    monkeypatch.setattr(capture.cv2, "VideoCapture", Backend)
    monkeypatch.setattr(capture, "time", SimpleNamespace(monotonic=lambda: next(times)))
    opened = Capture("x", cv2.CAP_FFMPEG, [], QUICK, "x", "")
    with contextlib.closing(opened), pytest.raises(CameraStalled) if outcome == "stall" else contextlib.nullcontext():
        assert opened.read() is None


def test_a_video_with_too_many_pixels_is_not_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "FRAME_PIXELS_MAX", 64 * 48 - 1)
    with pytest.raises(CameraUnavailable, match=r"could not open cup\.mp4"):
        next(open_camera("cup.mp4", QUICK))
