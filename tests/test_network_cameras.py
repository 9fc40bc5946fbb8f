"""Network cameras that are silent, stall, close, come back, ask for a password or are no cameras."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time

import numpy as np
import psutil
import pytest
from camera_servers import Server, jpeg, serving, silent

from edgecl.cameras import open_camera
from edgecl.cameras.jpegs import JpegSplitter
from edgecl.cameras.newest import NewestFrame
from edgecl.cameras.reconnect import waits
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable

QUICK = CameraSettings(open_timeout_s=1.0, read_timeout_s=0.6, retry_first_s=0.1, retry_longest_s=0.3)


def level(frame) -> int:
    return round(float(frame.image.mean()))


@pytest.mark.parametrize("scheme", ("rtsp", "http"))
def test_a_camera_that_accepts_and_stays_silent_is_unavailable_within_the_time_outs(scheme: str) -> None:
    start = time.monotonic()
    with silent() as address, pytest.raises(CameraUnavailable, match=address):
        next(open_camera(f"{scheme}://{address}/live", QUICK))
    assert time.monotonic() - start < QUICK.open_timeout_s + QUICK.read_timeout_s + 0.5


@pytest.mark.parametrize("scheme", ("rtsp", "http"))
def test_a_wrong_address_shows_at_once(scheme: str) -> None:
    start = time.monotonic()
    with pytest.raises(CameraUnavailable, match="check the address"):
        next(open_camera(f"{scheme}://127.0.0.1:9/live", QUICK))
    assert time.monotonic() - start < 0.5


def test_a_stream_gives_its_pictures_in_order() -> None:
    with (
        serving(Server(every_s=0.005)) as server,
        contextlib.closing(open_camera(f"http://{server.address}/stream", QUICK)) as frames,
    ):
        assert [level(frame) for frame in itertools.islice(frames, 20)] == list(range(20))


def test_closing_a_stream_hangs_up() -> None:
    with serving(Server(every_s=0.005)) as server:
        frames = open_camera(f"http://{server.address}/stream", QUICK)
        next(frames)
        frames.close()
        assert server.hung_up.wait(2)


def test_a_stream_that_ends_is_opened_again_and_frames_are_counted_on() -> None:
    with (
        serving(Server(pictures=5, every_s=0.005)) as server,
        contextlib.closing(open_camera(f"http://{server.address}/stream", QUICK)) as frames,
    ):
        seen = [(frame.index, level(frame)) for frame in itertools.islice(frames, 12)]
    assert seen == [(index, index % 5) for index in range(12)] and server.opened == 3


def test_a_stream_that_stalls_is_opened_again_after_the_read_time_out() -> None:
    with (
        serving(Server(pictures=3, after="stall", every_s=0.005)) as server,
        contextlib.closing(open_camera(f"http://{server.address}/stream", QUICK)) as frames,
    ):
        start = time.monotonic()
        assert [level(frame) for frame in itertools.islice(frames, 4)] == [0, 1, 2, 0]
        assert 0.5 < time.monotonic() - start < 2


def test_a_camera_that_goes_away_is_awaited_and_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(Server(pictures=3, every_s=0.005)) as server:
        port, address = server.server_address[1], server.address
        frames = open_camera(f"http://ann:secret@{address}/stream", QUICK)
        first = [next(frames) for _ in range(3)]
    returned = threading.Timer(1.0, lambda: back.append(stack.enter_context(serving(Server(port)))))
    back: list[Server] = []
    with contextlib.ExitStack() as stack:
        returned.start()
        start = time.monotonic()
        again = next(frames)
        assert time.monotonic() - start < 3
        frames.close()
        returned.join()
    assert len(first) == 3 and again.index == 3
    said = [record.getMessage() for record in caplog.records]
    assert ["is lost" in text for text in said] == [True, False] and said[1].endswith("is back")
    assert "secret" not in " ".join(said)


def test_closing_from_another_thread_ends_the_wait_for_a_camera_that_is_gone() -> None:
    with serving(Server(pictures=1, every_s=0.005)) as server:
        frames = open_camera(f"http://{server.address}/stream", QUICK.model_copy(update={"retry_first_s": 30.0}))
        next(frames)
    rest: list[object] = []
    waiting = threading.Thread(target=lambda: rest.extend(frames))
    waiting.start()
    time.sleep(0.3)
    frames.close()
    waiting.join(2)
    assert not waiting.is_alive() and rest == []


def test_a_snapshot_is_asked_for_again_and_again() -> None:
    with (
        serving(Server()) as server,
        contextlib.closing(open_camera(f"http://{server.address}/snapshot", QUICK)) as frames,
    ):
        assert [frame.index for frame in itertools.islice(frames, 3)] == [0, 1, 2]


def test_a_password_in_the_address_opens_the_camera_and_shows_nowhere() -> None:
    with (
        serving(Server()) as server,
        contextlib.closing(open_camera(f"http://ann:p%2Fw%401@{server.address}/secret", QUICK)) as frames,
    ):
        assert next(frames).camera == f"http://***@{server.address}/secret"


def test_a_wrong_password_says_how_to_give_the_right_one() -> None:
    with serving(Server()) as server, pytest.raises(CameraUnavailable, match=r"401 .*USER:PASSWORD") as refused:
        next(open_camera(f"http://ann:guessed@{server.address}/secret", QUICK))
    assert "guessed" not in str(refused.value)


def test_a_redirect_is_followed() -> None:
    with (
        serving(Server()) as server,
        contextlib.closing(open_camera(f"http://{server.address}/elsewhere", QUICK)) as frames,
    ):
        assert level(next(frames)) == 100


@pytest.mark.parametrize(("path", "found"), [("page", "text/html"), ("none", "404"), ("cut", "truncated")])
def test_what_is_no_camera_is_unavailable_and_the_message_says_what_it_is(path: str, found: str) -> None:
    with serving(Server()) as server, pytest.raises(CameraUnavailable, match=found):
        next(open_camera(f"http://{server.address}/{path}", QUICK))


def test_a_slow_reader_of_a_fast_stream_gets_the_newest_frame() -> None:
    with serving(Server(every_s=0.01)) as server:
        frames = open_camera(f"http://{server.address}/stream", QUICK)
        with NewestFrame(frames, QUICK) as newest:
            ages = []
            for frame in itertools.islice(newest, 5):
                ages.append(time.monotonic() - frame.monotonic)
                time.sleep(0.15)
            assert newest.dropped > 10 and max(ages) < 0.1


def test_a_stall_is_seen_by_whoever_waits_and_the_camera_is_there_again_later() -> None:
    slow = QUICK.model_copy(update={"retry_first_s": 1.0, "retry_longest_s": 1.0})
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(Server(pictures=3, every_s=0.02)))
        newest = stack.enter_context(NewestFrame(open_camera(f"http://{server.address}/stream", slow), slow))
        while level(next(newest)) < 2:
            pass
        with pytest.raises(CameraStalled, match=server.address):
            next(newest)
        assert level(next(newest)) < 3


def test_twenty_losses_leave_no_thread_and_no_file_open() -> None:
    quick = QUICK.model_copy(update={"retry_first_s": 0.001, "retry_longest_s": 0.002})
    process = psutil.Process()
    with serving(Server(pictures=2, every_s=0.001)) as server:
        frames = open_camera(f"http://{server.address}/stream", quick)
        next(frames)
        before = process.num_fds()
        for _ in itertools.islice(frames, 40):
            pass
        assert server.opened >= 20
        frames.close()
        time.sleep(0.1)
        assert process.num_fds() <= before
    assert not [thread for thread in threading.enumerate() if thread.name in ("capture", "newest-frame")]


def test_waits_double_up_to_the_longest_with_a_fifth_of_jitter() -> None:
    found = list(itertools.islice(waits(CameraSettings(retry_first_s=1, retry_longest_s=30)), 9))
    assert all(0.8 <= wait / plain <= 1.2 for wait, plain in zip(found, [1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True))


@pytest.mark.parametrize("size", (1, 7, 1000, 10**6))
def test_a_stream_is_cut_at_the_same_places_however_it_arrives(size: int) -> None:
    pictures = [jpeg(level) for level in (10, 20, 30)]
    stream = b"--x\r\n\r\n" + pictures[0] + b"\r\n--x\xff\r\n" + pictures[1] + pictures[2] + b"\xff\xd8"
    splitter = JpegSplitter()
    found = [one for at in range(0, len(stream), size) for one in splitter.feed(stream[at : at + size])]
    assert found == pictures


def test_a_picture_that_is_cut_off_by_the_next_is_left_out() -> None:
    splitter = JpegSplitter()
    assert splitter.feed(jpeg(1)[:-30] + jpeg(2) + np.random.default_rng(0).bytes(500) + jpeg(3)) == [jpeg(2), jpeg(3)]
