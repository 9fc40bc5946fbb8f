"""Network cameras that are silent, stall, close, come back, ask for a password or are no cameras."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from camera_servers import Server, jpeg, serving, silent

from edgecl.cameras import http, jpegs, open_camera, reconnect
from edgecl.cameras.jpegs import JpegSplitter
from edgecl.cameras.newest import NewestFrame
from edgecl.cameras.reconnect import STEADY_S, Reconnecting, waits
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable

QUICK = CameraSettings(open_timeout_s=1.0, read_timeout_s=0.6, retry_first_s=0.1, retry_longest_s=0.3)


def level(frame) -> int:
    return round(float(frame.image.mean()))


@pytest.mark.parametrize("scheme", ("rtsp", "http"))
def test_a_camera_that_accepts_and_stays_silent_is_unavailable(scheme: str) -> None:
    with silent() as address, pytest.raises(CameraUnavailable, match=address):
        next(open_camera(f"{scheme}://{address}/live", QUICK))


@pytest.mark.parametrize("scheme", ("rtsp", "http"))
def test_an_address_where_nothing_listens_is_unavailable(scheme: str) -> None:
    with pytest.raises(CameraUnavailable, match="check the address"):
        next(open_camera(f"{scheme}://127.0.0.1:9/live", QUICK))


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


@pytest.mark.parametrize("after", ("stall", "drip"))
def test_a_stream_without_new_pictures_is_opened_again(after: str) -> None:
    with (
        serving(Server(pictures=3, after=after, every_s=0.005)) as server,
        contextlib.closing(open_camera(f"http://{server.address}/stream", QUICK)) as frames,
    ):
        assert [level(frame) for frame in itertools.islice(frames, 4)] == [0, 1, 2, 0]
        assert server.opened == 2


def test_an_answer_whose_headers_never_end_is_given_up_and_asked_for_again() -> None:
    with (
        serving(Server(pictures=1, every_s=0.005)) as server,
        contextlib.closing(open_camera(f"http://{server.address}/secondtime", QUICK)) as frames,
    ):
        assert [frame.index for frame in itertools.islice(frames, 2)] == [0, 1]
        assert server.opened == 3


def test_a_camera_that_goes_away_is_awaited_and_each_change_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    with contextlib.ExitStack() as stack:

        def back_at_the_third_attempt(settings: CameraSettings) -> Iterator[float]:
            yield from (0.0, 0.0)
            stack.enter_context(serving(Server(port)))
            yield 0.0

        monkeypatch.setattr(reconnect, "waits", back_at_the_third_attempt)
        server = stack.enter_context(serving(Server(pictures=3, every_s=0.005)))
        port = server.server_address[1]
        frames = open_camera(f"http://ann:secret@{server.address}/stream", QUICK)
        first = [next(frames) for _ in range(3)]
        stack.close()
        again = next(frames)
        frames.close()
    assert len(first) == 3 and again.index == 3
    said = [record.getMessage() for record in caplog.records]
    assert ["is lost" in text for text in said] == [True, False] and said[1].endswith("is back")
    assert "secret" not in " ".join(said)


def test_closing_from_another_thread_ends_the_wait_for_a_camera_that_is_gone() -> None:
    with serving(Server(pictures=1, every_s=0.005)) as server:
        frames = open_camera(f"http://{server.address}/stream", QUICK.model_copy(update={"retry_first_s": 3600.0}))
        next(frames)
    rest: list[object] = []
    waiting = threading.Thread(target=lambda: rest.extend(frames))
    waiting.start()
    frames.close()
    waiting.join(60)
    assert not waiting.is_alive() and rest == []


class Clock:
    """Time that passes only where someone waits; each wait is noted."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waited_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    time = monotonic

    def wait(self, seconds: float) -> bool:
        self.waited_s.append(seconds)
        self.now_s += seconds
        return False

    def Event(self) -> SimpleNamespace:
        return SimpleNamespace(wait=self.wait, is_set=lambda: False, set=lambda: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reconnect, "time", clock)
    monkeypatch.setattr(reconnect, "threading", clock)
    return clock


def connections(clock: Clock, lasting_s: list[float]) -> Reconnecting:
    """A camera whose first connections last so long, with a picture at each end, and whose others fail."""

    class Pictures:
        def __init__(self) -> None:
            self.left_s = lasting_s.pop(0)

        def __iter__(self) -> Iterator[np.ndarray]:
            yield np.zeros((2, 2, 3), np.uint8)
            clock.now_s += self.left_s
            yield np.zeros((2, 2, 3), np.uint8)

        def close(self) -> None:
            pass

    settings = CameraSettings(retry_first_s=1.0, retry_longest_s=30.0)
    return Reconnecting(Pictures, settings, "camera")


def test_a_camera_that_is_lost_soon_after_each_return_is_asked_ever_less_often(clock: Clock) -> None:
    assert len(list(itertools.islice(connections(clock, [1.0] * 5), 10))) == 10
    assert clock.waited_s == pytest.approx([1, 2, 4, 8], rel=0.25)


def test_after_steady_frames_a_loss_counts_as_the_first_again(clock: Clock) -> None:
    assert len(list(itertools.islice(connections(clock, [1.0, 1.0, STEADY_S + 1, 1.0]), 8))) == 8
    assert clock.waited_s == pytest.approx([1, 2, 1], rel=0.25)


def test_snapshots_are_not_asked_for_more_often_than_a_small_camera_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: 7.0, sleep=slept_s.append))
    with (
        serving(Server()) as server,
        contextlib.closing(open_camera(f"http://{server.address}/snapshot", QUICK)) as frames,
    ):
        assert len(list(itertools.islice(frames, 3))) == 3
    assert slept_s == pytest.approx([http.SNAPSHOT_EVERY_S] * 2)


def test_a_snapshot_that_does_not_end_is_given_up_at_the_limit_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IMAGE_BYTES_MAX", len(jpeg(100)) - 1)
    with serving(Server()) as server, pytest.raises(CameraUnavailable, match="found over 0 MB"):
        next(open_camera(f"http://{server.address}/snapshot", QUICK))


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


def test_a_camera_that_wants_a_token_says_what_to_choose_instead() -> None:
    for account in ("", "ann:secret@"):
        with serving(Server()) as server, pytest.raises(CameraUnavailable, match=r"status 401 .*neither Basic nor"):
            next(open_camera(f"http://{account}{server.address}/bearer", QUICK))


def test_a_redirect_is_followed() -> None:
    with (
        serving(Server()) as server,
        contextlib.closing(open_camera(f"http://{server.address}/elsewhere", QUICK)) as frames,
    ):
        assert level(next(frames)) == 100


@pytest.mark.parametrize(
    ("path", "found"), [("page", "text/html"), ("none", "404"), ("cut", "truncated"), ("ftp", "unknown url type")]
)
def test_what_is_no_camera_is_unavailable_and_the_message_says_what_it_is(path: str, found: str) -> None:
    with serving(Server()) as server, pytest.raises(CameraUnavailable, match=found):
        next(open_camera(f"http://{server.address}/{path}", QUICK))


def test_a_stall_is_seen_by_whoever_waits_and_the_camera_is_there_again_later() -> None:
    slow = QUICK.model_copy(update={"retry_first_s": 1.0, "retry_longest_s": 1.0})
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(Server(pictures=3, every_s=0.02)))
        newest = stack.enter_context(NewestFrame(open_camera(f"http://{server.address}/stream", slow), slow))
        while level(next(newest)) < 2:
            pass
        with pytest.raises(CameraStalled, match=server.address):
            next(newest)
        found, end = None, time.monotonic() + 30.0
        while found is None and time.monotonic() < end:
            with contextlib.suppress(CameraStalled):  # once more, where this machine is busy
                found = level(next(newest))
        assert found is not None and found < 3


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


def test_a_picture_that_grows_beyond_the_limit_is_dropped_and_the_next_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless, end = jpeg(1)[:-2] + bytes(2000), b"\xff\xd9"
    assert JpegSplitter().feed(endless + end) == [endless + end]
    monkeypatch.setattr(jpegs, "IMAGE_BYTES_MAX", 1000)
    splitter = JpegSplitter()
    assert splitter.feed(endless) + splitter.feed(end) + splitter.feed(jpeg(2)) == [jpeg(2)]
