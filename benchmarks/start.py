"""From the start of the service to its first answer about a picture, with what it needs on the disk and in memory."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from statistics import median

from support.daemons import start, taught_home, video
from support.record import Figure, backbone_home, report

CACHES = Path("/proc/sys/vm/drop_caches")
STARTS = 5


def first_answer(home: Path, film: Path) -> tuple[float, float]:
    """Seconds until the daemon says that it is ready, and until it has answered a frame."""
    began = time.monotonic()
    daemon = start(home, [str(film)])
    ready = time.monotonic() - began
    try:
        while daemon.counted("edgecl_frames_total") == 0:
            time.sleep(0.01)
        return ready, time.monotonic() - began
    finally:
        daemon.close()


def forget_files() -> bool:
    """Let the system read all files from the disk again, as after it was switched on; needs root."""
    with contextlib.suppress(OSError):
        CACHES.write_text("3")
        return True
    return False


def main() -> None:
    """Measure and report."""
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as name:
        home = taught_home(Path(name, "home"), backbone_home(), 20, 20)
        film = video(Path(name, "film.mp4"))
        for _ in range(STARTS):
            if forget_files():
                cold.append(first_answer(home, film))
            warm.append(first_answer(home, film))
    figures = [
        Figure("from its start to the first answer, median, s", median(answer for _, answer in warm)),
        Figure("from its start until it is ready, median, s", median(ready for ready, _ in warm)),
    ]
    if cold:
        slowest = max(answer for _, answer in cold)
        figures.insert(
            0, Figure("from its start to the first answer, all read from the disk, worst, s", slowest, "<= 3.0")
        )
    report("start", figures, {"cold": cold, "warm": warm})


if __name__ == "__main__":
    main()
