"""How fast this machine sees and learns, and how much memory that takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings, MemorySettings, Settings
from edgecl.errors import EdgeclError, ExtraMissing
from edgecl.learner import Learner
from edgecl.lesson import Candidate
from edgecl.manifest import read_manifest, read_verified
from edgecl.memory.lessons import LessonDraft
from edgecl.memory.store import Store
from edgecl.releases import install_first
from edgecl.runtime import open_session
from edgecl.types import Frame, Latent

LESSON_FRAMES = 30
EXAMPLES_PER_CLASS = 20
WARM_UP = 10


@dataclass(frozen=True)
class LessonTime:
    """What a lesson of 30 frames takes when so much is known already; embeddings aside, in ms."""

    classes: int
    examples: int
    first_ms: float
    full_ms: float


@dataclass(frozen=True)
class Speed:
    """Result of the benchmark; times in ms (medians) or s, memory in MB of 10⁶ bytes."""

    bare_ms_p50: float | None
    pipeline_ms_p50: float
    pipeline_ratio: float | None
    embed_ms_p50: float
    lessons: list[LessonTime]
    peak_rss_mb: float
    start_to_first_prediction_s: float
    precision: str
    threads: int
    provider: str


def measure(
    folder: Path, settings: BackboneSettings, sizes: Sequence[int], frames: int, report: Callable[[str], None]
) -> Speed:
    """Measure the backbone in `folder`.

    Args:
        folder: of a backbone.
        settings: precision, threads and provider.
        sizes: numbers of classes already known when a lesson is timed.
        frames: over how many frames the time from frame to prediction is taken.
        report: told what is being measured.
    """
    backbone = Backbone(folder, settings)
    with tempfile.TemporaryDirectory(prefix="edgecl-bench-") as scratch:
        lessons = []
        for classes in sizes:
            report(f"lesson with {classes} classes known")
            lessons.append(_lesson_time(Path(scratch) / str(classes), backbone, settings, classes))
        home = Path(scratch) / "device"
        install_first(home, folder)
        _taught_home(home, backbone, settings, 100).store.close()
        report("frame to prediction")
        bare, pipeline, embed = _frame_times(home, folder, backbone, settings, frames)
        report("memory and start")
        rss, start = _fresh_process(home, settings)
    return Speed(
        bare,
        pipeline,
        None if bare is None else pipeline / bare,
        embed,
        lessons,
        rss,
        start,
        settings.settled_precision,
        settings.threads,
        backbone.provider,
    )


def synthetic_memory(
    classes: int, per_class: int, backbone: Backbone, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings (N, D) of classes that overlap about as much as real ones, with their class indices (N,).

    Gaussian clusters in the space before the square root; class means differ by as much as views of one class do.
    """
    rng = np.random.default_rng(seed)
    means = rng.gamma(0.6, 1.0, (classes, backbone.dimension)).astype(np.float32)
    rows = np.repeat(np.arange(classes), per_class)
    noise = rng.normal(0.0, 0.6, (len(rows), backbone.dimension)).astype(np.float32)
    root = np.sqrt(np.maximum(means[rows] + noise * np.sqrt(means[rows]), 0.0))
    return root / np.linalg.norm(root, axis=1, keepdims=True), rows


def _latent(backbone: Backbone) -> Latent:
    """Any latent of the backbone's shape: what is timed here does not depend on its numbers."""
    activation = backbone.activations(backbone.prepare(np.full((48, 64, 3), 127, np.uint8))[None])
    return backbone.latent(activation)


def _taught_home(home: Path, backbone: Backbone, settings: BackboneSettings, classes: int) -> Learner:
    """A learner that knows `classes` classes of 20 examples each."""
    store = Store(home)
    vectors, rows = synthetic_memory(classes, EXAMPLES_PER_CLASS, backbone)
    memory = MemorySettings(per_class=EXAMPLES_PER_CLASS, total=max(3000, 2 * len(rows)))
    latent = _latent(backbone)
    for index in range(classes):
        mine = vectors[rows == index]
        examples = [Candidate(latent, vector, None, 0.0, "bench").example(backbone.trunk_digest) for vector in mine]
        draft = LessonDraft(f"class {index}", "import", examples, mine, backbone.tail_digest, len(mine), 0, 0, {}, 0.0)
        store.teach(draft, memory.undoable_lessons)
    return Learner(store, backbone, Settings(backbone=settings, memory=memory))


def _lesson_time(home: Path, backbone: Backbone, settings: BackboneSettings, classes: int) -> LessonTime:
    learner = _taught_home(home, backbone, settings, classes)
    with learner.store:
        fresh, _ = synthetic_memory(1, LESSON_FRAMES, backbone, seed=1)
        latent = _latent(backbone)
        burst = learner.burst()
        burst.seen = LESSON_FRAMES
        burst.candidates = [Candidate(latent, vector, None, 0.0, "bench") for vector in fresh]
        report = learner.teach("new", burst, "camera")
        return LessonTime(classes, classes * EXAMPLES_PER_CLASS, report.first_ms, report.full_ms)


def _frame_times(
    home: Path, folder: Path, backbone: Backbone, settings: BackboneSettings, frames: int
) -> tuple[float | None, float, float]:
    """Medians in ms of the bare network, of frame to prediction, and of frame to embedding, taken in turns."""
    with Store(home) as store:
        learner = Learner(store, backbone, Settings(backbone=settings))
        rng = np.random.default_rng(0)
        image = np.kron(rng.integers(0, 256, (60, 80, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        bare = _bare_network(folder, settings)
        prepared = backbone.prepare(image)[None]
        took: dict[str, list[float]] = {"bare": [], "pipeline": [], "embed": []}
        for index in range(frames + WARM_UP):
            steps: dict[str, Callable[[], object]] = {
                "pipeline": lambda: learner.predict(Frame(image, time.time(), time.monotonic(), "bench", 0)),
                "embed": lambda: backbone.see(image),
            }
            if bare is not None:
                steps["bare"] = lambda: bare(prepared)
            for name, step in steps.items():
                begun = time.perf_counter()
                step()
                if index >= WARM_UP:
                    took[name].append((time.perf_counter() - begun) * 1000.0)
    pipeline, embed = (float(np.median(took[name])) for name in ("pipeline", "embed"))
    return float(np.median(took["bare"])) if bare is not None else None, pipeline, embed


def _bare_network(folder: Path, settings: BackboneSettings) -> Callable[[NDArray[np.uint8]], object] | None:
    """One session over the unsplit network; None where the parts that join the graphs are not installed."""
    try:
        from edgecl.workstation.graphs import unsplit
    except ExtraMissing:
        return None
    graphs = read_manifest(folder).graphs[settings.settled_precision]
    whole = unsplit(read_verified(folder, graphs.trunk), read_verified(folder, graphs.tail))
    session = open_session(whole, settings)
    name = session.get_inputs()[0].name
    return lambda prepared: session.run(None, {name: prepared})


def _fresh_process(home: Path, settings: BackboneSettings) -> tuple[float, float]:
    """Peak memory in MB and s from the start of a fresh process to its first prediction."""
    environment = os.environ | {"EDGECL_BENCH_STARTED": repr(time.time())}
    command = [
        sys.executable,
        "-m",
        "edgecl.evaluate.device",
        str(home.resolve()),
        settings.settled_precision,
        str(settings.threads),
    ]
    # Python would look for its modules in the folder that someone happens to be in.
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")  # noqa: S603
    if done.returncode:
        raise EdgeclError(f"the measured process ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    answer = json.loads(done.stdout)
    return float(answer["peak_rss_mb"]), float(answer["start_to_first_prediction_s"])
