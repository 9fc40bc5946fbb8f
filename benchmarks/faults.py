"""How soon a camera's trouble is told, how soon it is over, and whether the API suffers meanwhile.

A camera that speaks RTSP, of Debian's GStreamer, is missing, unplugged, silenced and frozen, and the process that reads
it is stopped, before a daemon with its settings as they are. Told means: /readyz says it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from support.cameras import RtspCamera, rtsp_camera
from support.daemons import Running, start, taught_home
from support.record import Figure, backbone_home, report

SEEN_S, OVER_S, PATIENCE_S, ROUNDS = 5.0, 10.0, 60.0, 3
AWAY_S = (12.0, 12.0, 100.0)  # of the rounds: the last is so long that the waits between two attempts are the longest


def until(ready: bool, daemon: Running) -> float:
    """Seconds until the daemon says that it is ready, or is not."""
    began = time.monotonic()
    while (daemon.client.get("/readyz").status_code == 200) is not ready:
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for ready = {ready}: {daemon.client.get('/readyz').text}")
        time.sleep(0.02)
    return time.monotonic() - began


def fault(daemon: Running, begin: Callable[[], None], end: Callable[[], None], away_s: float) -> tuple[float, float]:
    """Seconds from the fault to its being told, and from its end, `away_s` later, to being well."""
    until(True, daemon)
    begin()
    told = until(False, daemon)
    time.sleep(away_s)
    end()
    return told, until(True, daemon)


def stop_reader(daemon: Running) -> None:
    """What a native call that never returns looks like from outside."""
    (reader,) = daemon.readers()
    os.kill(reader.pid, signal.SIGSTOP)


@contextlib.contextmanager
def asked(daemon: Running) -> Iterator[list[float]]:
    """Seconds that each request took which someone else makes meanwhile, ten a second."""
    found: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=daemon.address, timeout=PATIENCE_S) as client:
            while not stop.wait(0.1):
                began = time.monotonic()
                client.get("/api/v1/state").raise_for_status()
                found.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def missing(home: Path, camera: RtspCamera, away_s: float) -> tuple[float, float]:
    """The same for a camera that is not there when the daemon starts; told counts from its first answer."""
    camera.unplug()
    with contextlib.closing(start(home, [camera.url])) as daemon:
        told = until(False, daemon)
        time.sleep(away_s)
        camera.plug_in()
        return told, until(True, daemon)


def main() -> None:
    """Measure and report."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, rtsp_camera() as camera:
        home = taught_home(Path(folder, "home"), backbone_home(), 5, 5)
        found["missing at the start"] = [missing(home, camera, away_s) for away_s in AWAY_S]
        with contextlib.closing(start(home, [camera.url])) as daemon, asked(daemon) as asked_s:
            faults = {
                "unplugged": (camera.unplug, camera.plug_in),
                "silent": (camera.silence, camera.speak),
                "frozen": (camera.freeze, camera.move),
            }
            for name, (begin, end) in faults.items():
                found[name] = [fault(daemon, begin, end, away_s) for away_s in AWAY_S]
            hang = functools.partial(stop_reader, daemon)
            found["reader hangs, again and again"] = [fault(daemon, hang, lambda: None, 0.0) for _ in range(ROUNDS)]
    figures = []
    for name, rounds in found.items():
        figures.append(
            Figure(f"{name}: told after, worst of {len(rounds)}, s", max(one for one, _ in rounds), f"<= {SEEN_S:g}")
        )
        figures.append(Figure(f"{name}: well again after, worst, s", max(one for _, one in rounds), f"<= {OVER_S:g}"))
    p99 = statistics.quantiles(asked_s, n=100)[98]
    report("faults", [*figures, Figure("state, p99 meanwhile, ms", 1000 * p99, "<= 50")])


if __name__ == "__main__":
    main()
