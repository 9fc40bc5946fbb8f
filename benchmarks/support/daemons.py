"""Daemons as processes of their own, what they cost, and the homes and films that are put before them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil

from edgecl.backbone import Backbone
from edgecl.cameras.sample import PHOTOGRAPHS, photograph, pose, view
from edgecl.memory.lessons import LessonDraft
from edgecl.memory.store import Store
from edgecl.releases import current, install_first
from edgecl.types import Example

EDGECL = (sys.executable, "-m", "edgecl")
READY_S = 120.0  # in which any daemon has long begun


@dataclass(frozen=True)
class Cost:
    """What a daemon and the processes that read its cameras used.

    Attributes:
        cpu_s: of all of them.
        wall_s: meanwhile.
    """

    cpu_s: float
    wall_s: float

    @property
    def cores(self) -> float:
        """Share of one core."""
        return self.cpu_s / self.wall_s


class Running:
    """`edgecl run`.

    Attributes:
        address: where it answers.
        client: to ask it.
    """

    def __init__(
        self, home: Path, cameras: list[str], command: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        options = [word for url in cameras for word in ("--camera", url)]
        self._process = subprocess.Popen(
            [*command, "run", "--home", str(home), "--port", "0", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment or None,
        )
        assert self._process.stdout is not None, "asked for"  # noqa: S101
        self.address = json.loads(self._process.stdout.readline())["address"]
        self.client = httpx.Client(base_url=self.address, timeout=60.0)
        self._watched = psutil.Process(self._process.pid)

    def cpu_s(self) -> float:
        """Processor time of the daemon and its readers so far."""
        processes = [self._watched, *self._watched.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in processes)

    def rss_mb(self) -> float:
        """Memory of the daemon itself."""
        return self._watched.memory_info().rss / 1e6

    def readers(self) -> list[psutil.Process]:
        """The processes that read its cameras."""
        children: list[psutil.Process] = self._watched.children(recursive=True)
        return children

    def highest_rss_mb(self) -> float:
        """The most memory that the daemon itself had so far."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("ascii").splitlines()
        (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kib) * 1024 / 1e6

    def pss_mb(self) -> float:
        """Memory of the daemon and its readers, what they share counted once."""
        processes = [self._watched, *self._watched.children(recursive=True)]
        return sum(one.memory_full_info().pss for one in processes) / 1e6

    def counted(self, name: str) -> float:
        """Sum of a counter of /metrics."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def cost_of(self, seconds: float) -> tuple[Cost, float]:
        """What it costs to run for so long, and frames answered in a second meanwhile."""
        began, cpu_s, frames = time.monotonic(), self.cpu_s(), self.counted("edgecl_frames_total")
        time.sleep(seconds)
        cost = Cost(self.cpu_s() - cpu_s, time.monotonic() - began)
        return cost, (self.counted("edgecl_frames_total") - frames) / cost.wall_s

    def wait_until_ready(self) -> None:
        """Return once every camera gives pictures.

        Raises:
            TimeoutError: they do not, and will not.
        """
        end = time.monotonic() + READY_S
        while (answer := self.client.get("/readyz")).status_code != 200:
            if time.monotonic() > end:
                raise TimeoutError(f"waited {READY_S:g} s for the daemon to be ready: {answer.text}")
            time.sleep(0.1)

    def close(self) -> None:
        """End it."""
        self.client.close()
        self._process.terminate()
        self._process.wait(30)


def start(home: Path, cameras: list[str]) -> Running:
    """The daemon, which may have no picture yet; to be closed."""
    return Running(home, cameras, EDGECL, {})


@contextlib.contextmanager
def running(
    home: Path,
    cameras: list[str],
    command: tuple[str, ...] = EDGECL,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """The daemon, for as long as the block lasts."""
    found = Running(home, cameras, command, environment or {})
    try:
        found.wait_until_ready()
        yield found
    finally:
        found.close()


def video(path: Path, seconds: float = 10.0, fps: float = 30.0) -> Path:
    """640 × 480 pictures of things in someone's hand, H.264's cheaper elder (MPEG-4 part 2), which OpenCV writes."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (640, 480))
    for number in range(round(seconds * fps)):
        at_s = number / fps
        writer.write(view(photograph(PHOTOGRAPHS[int(at_s / 2) % 6]), pose(1, at_s)))
    writer.release()
    return path


def taught_home(folder: Path, source: Path, classes: int, per_class: int) -> Path:
    """A home with the backbone of the home `source` and a memory of noise that keeps to its class.

    Its settings leave nothing open that a daemon would find out by itself amid a measurement.
    """
    install_first(folder, current(source))
    settings = f'[backbone]\nprovider = "cpu"\nthreads = {os.cpu_count()}\n'
    (folder / "edgecl.toml").write_text(settings, "utf-8")
    backbone = Backbone(current(folder))
    rng = np.random.default_rng(0)
    with Store(folder) as store:
        for number in range(classes):
            coarse = rng.integers(0, 256, (7, 7, 3))
            latents = []
            for _ in range(per_class):
                small = np.clip(coarse + rng.normal(0, 40, coarse.shape), 0, 255).astype(np.uint8)
                picture = cv2.resize(small, (256, 256), interpolation=cv2.INTER_CUBIC)
                latents.append(backbone.latent(backbone.activations(backbone.prepare(picture)[None])))
            examples = [Example(0, 0, 0, latent, backbone.trunk_digest, None, 0.0, "noise") for latent in latents]
            vectors = backbone.embed(latents)
            draft = LessonDraft(
                f"thing {number}", "import", examples, vectors, backbone.tail_digest, per_class, 0, 0, {}, 0.0
            )
            store.teach(draft, 1)
    return folder
