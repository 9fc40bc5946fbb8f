"""What the daemon costs beside the network alone, how old its answers are, how fast its API is, what memory it takes.

One camera: a video of 640 × 480 pixels with 30 frames a second, or with 15 where requests are timed. The last figure,
of mixed load, takes ten minutes; a number as argument sets other minutes, and the figure says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import websockets
from numpy.typing import NDArray
from support.daemons import Running, running, taught_home, video
from support.record import Figure, backbone_home, report

from edgecl.accelerator.execution import measure
from edgecl.backbone import Backbone
from edgecl.cameras.sample import photograph, pose, view
from edgecl.config import BackboneSettings
from edgecl.images import encode_jpeg
from edgecl.releases import current

FPS, WATCHED_S, CLASSES, PER_CLASS = 30.0, 20.0, 100, 20
ASKED_HZ, ASKED_S, ASKED_FPS, VIEWERS, LESSONS, MINUTES = 20.0, 20.0, 15.0, 5, 3, 10.0
WARMING_S = 180.0  # until all that is kept for a while is there
LOOKED_S = 2.0  # by a viewer, before it comes again
JPEG_BEGINS = b"\xff\xd8\xff"
REST_S = 5.0  # after which a fit has ended
SLOWED = (sys.executable, str(Path(__file__).parent / "support" / "slowed.py"))


def bare_cores(home: Path) -> float:
    """Share of one core that the network alone takes for as many frames as the camera gives."""
    backbone = Backbone(current(home), BackboneSettings())
    pictures = [backbone.prepare(view(photograph("cat"), pose(1, at_s)))[None] for at_s in range(8)]
    for picture in pictures * 4:
        backbone.embed_activations(backbone.activations(picture))
    began, frames = time.process_time(), 0
    end = time.monotonic() + WATCHED_S / 2
    due = time.monotonic()
    while time.monotonic() < end:
        due += 1.0 / FPS  # at the camera's pace: threads that wait spin for a while, here as there
        time.sleep(max(due - time.monotonic(), 0.0))
        backbone.embed_activations(backbone.activations(pictures[frames % len(pictures)]))
        frames += 1
    return (time.process_time() - began) / frames * FPS


def ages(daemon: Running, seconds: float) -> NDArray[np.float64]:
    """Ages of the answers of so long, s, as a listener is told."""
    found: list[float] = []

    async def listen() -> None:
        async with websockets.connect(daemon.address.replace("http", "ws") + "/api/v1/live") as socket:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                message = json.loads(await socket.recv())
                if "live" in message:
                    found.append(message["live"]["age"])

    asyncio.run(listen())
    return np.array(found)


class Beside:
    """Something that goes on, on a thread, until the block ends; if it failed, so does the block."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self._failure: BaseException | None = None

    def _run(self, act: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                act()
        except BaseException as error:  # for who waits for this thread
            self._failure = error

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise RuntimeError("what went on beside the measurement failed, so it is none") from self._failure


def latencies(daemon: Running, seconds: float) -> dict[str, NDArray[np.float64]]:
    """Of state and predict, each asked ten times a second, s."""
    picture = encode_jpeg(view(photograph("coffee"), pose(3, 1.0)), 640)
    found: dict[str, list[float]] = {"state": [], "predict": []}
    due = time.monotonic()
    for number in range(round(seconds * ASKED_HZ)):
        due += 1.0 / ASKED_HZ
        time.sleep(max(due - time.monotonic(), 0.0))
        began = time.monotonic()
        if number % 2:
            daemon.client.get("/api/v1/state").raise_for_status()
        else:
            daemon.client.post("/api/v1/predict", content=picture).raise_for_status()
        found["state" if number % 2 else "predict"].append(time.monotonic() - began)
    return {name: np.array(values) for name, values in found.items()}


def keep_learning(daemon: Running) -> Callable[[], None]:
    """Lessons one after the other, so that a fit is in progress all the time."""
    pictures = [encode_jpeg(view(photograph("rocket"), pose(5, at_s)), 320) for at_s in range(6)]
    client = httpx.Client(base_url=daemon.address, timeout=60.0)

    def lesson() -> None:
        client.post("/api/v1/lessons", params={"label": "rocket"}, content=b"".join(pictures)).raise_for_status()
        client.post("/api/v1/undo").raise_for_status()

    return lesson


def viewer(daemon: Running) -> Callable[[], None]:
    """Someone who looks at the pictures, and fails where there are none."""
    address = f"{daemon.address}/api/v1/cameras/camera1/stream.mjpg"

    def look() -> None:
        pictures, end = 0, time.monotonic() + LOOKED_S
        with httpx.stream("GET", address, timeout=60.0) as stream:
            if stream.status_code != 200:
                raise RuntimeError(f"found status {stream.status_code} of {address}, expected 200")
            for data in stream.iter_bytes():
                pictures += data.count(JPEG_BEGINS)
                if time.monotonic() > end:
                    break
        if not pictures:
            raise RuntimeError(f"found no picture from {address} in {LOOKED_S:g} s, expected some")

    return look


def viewed(daemon: Running) -> tuple[float, float]:
    """Frames answered in a second without and with viewers."""
    _, without = daemon.cost_of(WATCHED_S / 2)
    with contextlib.ExitStack() as watchers:
        for _ in range(VIEWERS):
            watchers.enter_context(Beside(viewer(daemon)))
        _, with_them = daemon.cost_of(WATCHED_S / 2)
    return without, with_them


def grown_mb(daemon: Running, minutes: float) -> tuple[float, float]:
    """By how much its memory grows while it is looked at, asked and taught: at first, and in so many minutes after.

    It is at rest before and after, all learned.
    """
    lesson = keep_learning(daemon)

    def now_and_then() -> None:
        lesson()
        time.sleep(2.0)

    def loaded(seconds: float) -> float:
        with Beside(viewer(daemon)), Beside(now_and_then):
            latencies(daemon, seconds)
        time.sleep(REST_S)
        return daemon.rss_mb()

    before = daemon.rss_mb()
    warm = loaded(WARMING_S)
    return warm - before, loaded(60.0 * minutes) - warm


def main() -> None:
    """Measure and report."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory() as folder:
        home = taught_home(Path(folder, "home"), backbone_home(), CLASSES, PER_CLASS)
        measure(home, BackboneSettings())  # else the daemon does it once, amid all this
        film = str(video(Path(folder, "film.mp4")))
        bare = bare_cores(home)
        with running(home, [film]) as daemon:
            time.sleep(3.0)
            cost, fps = daemon.cost_of(WATCHED_S)
            quiet = ages(daemon, WATCHED_S)
            without, with_viewers = viewed(daemon)
            for _ in range(LESSONS):
                keep_learning(daemon)()
            time.sleep(REST_S)
            rss, pss = daemon.rss_mb(), daemon.pss_mb()
            warming, grown = grown_mb(daemon, minutes)
            highest = daemon.highest_rss_mb()
        with running(home, [str(video(Path(folder, "slow.mp4"), fps=ASKED_FPS))]) as daemon:
            time.sleep(3.0)
            with Beside(keep_learning(daemon)):
                asked = latencies(daemon, ASKED_S)
        with running(home, [film], SLOWED) as slow:
            time.sleep(3.0)
            first, second = ages(slow, WATCHED_S / 2), ages(slow, WATCHED_S / 2)
    report(
        "daemon",
        [
            Figure("frames answered in a second, of 30", fps, ">= 29.5"),
            Figure("the network alone at that rate, share of one core", bare),
            Figure("the daemon and its camera, share of one core", cost.cores),
            Figure("beyond the network alone, share of one core", cost.cores - bare, "<= 0.45"),
            Figure("age of an answer, median, ms", 1000 * float(np.median(quiet))),
            Figure("age of an answer, p95, ms", 1000 * float(np.quantile(quiet, 0.95)), "<= 60"),
            Figure("network ten times as slow: age, p99, ms", 1000 * float(np.quantile(second, 0.99)), "<= 500"),
            Figure("the same: age in the second half / in the first", float(second.mean() / first.mean()), "<= 1.2"),
            Figure(
                "state, p99 while 15 frames a second are answered and a fit goes on, ms",
                1000 * _p99(asked["state"]),
                "<= 50",
            ),
            Figure("predict, likewise, ms", 1000 * _p99(asked["predict"]), "<= 50"),
            Figure("frames in a second with 5 viewers / without", with_viewers / without, ">= 0.9"),
            Figure("memory of the daemon with 100 × 20 examples, after some lessons, MB", rss, "<= 260"),
            Figure("the highest it ever was, two fits and a lesson at once, MB", highest),
            Figure("with the process that reads the camera, what they share counted once, MB", pss),
            Figure(
                "growth in the first 3 minutes of mixed load, while rings of moments and newcomers fill, MB", warming
            ),
            Figure("minutes of mixed load after that", minutes),
            Figure("growth meanwhile, MB", grown, "<= 5"),
        ],
    )


def _p99(values: NDArray[np.float64]) -> float:
    return float(np.quantile(values, 0.99))


if __name__ == "__main__":
    main()
