"""A new tail comes to a device with a full memory: how fast it is embedded, and what someone at the camera notices."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from support.daemons import taught_home
from support.record import Figure, backbone_home, report

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.embedding import embed
from edgecl.files import sha256
from edgecl.golden import arrays
from edgecl.home import Home
from edgecl.learner import Learner
from edgecl.manifest import MANIFEST_FILE, FileEntry, Precision, read_manifest
from edgecl.memory.store import Store
from edgecl.releases import current
from edgecl.releases.bundle import pack
from edgecl.releases.document import About
from edgecl.releases.making import add_candidate
from edgecl.releases.swap import Swap, Switched
from edgecl.runtime import open_session, run
from edgecl.types import Frame
from edgecl.workstation.export import archive

CLASSES, PER_CLASS = 60, 50  # 3,000 examples, all that a memory holds by default
FPS, NORMAL_S = 15.0, 15.0
CHANGE = 1.001  # of one float vector in the tail: a new tail, whose answers are nearly the old ones
PRECISION: Precision = "int8"
ONE_THREAD = BackboneSettings(precision=PRECISION, threads=1)


@dataclass(frozen=True)
class Watched:
    """What a loop of frames saw: ages in ms from when a frame was due to its answer, and the swap's end."""

    ages: NDArray[np.float64]
    steps_ms: NDArray[np.float64]
    switched: Switched | None


def candidate(home: Path) -> int:
    """A release whose tail differs a little from the active one; returns its number."""
    parent = current(home)
    manifest = read_manifest(parent)
    golden = arrays(parent, manifest.golden)
    files: dict[str, bytes] = {}

    def entry(name: str, data: bytes) -> FileEntry:
        files[name] = data
        return FileEntry(file=name, bytes=len(data), sha256=sha256(data))

    graphs, answers = {}, {}
    for precision, parts in manifest.graphs.items():
        tail = entry(parts.tail.file, changed((parent / parts.tail.file).read_bytes()))
        graphs[precision] = parts.model_copy(update={"tail": tail})
        answers[f"{precision}.embeddings"] = run(
            open_session(files[tail.file], ONE_THREAD), golden[f"{precision}.latents"]
        )
    update = {"graphs": graphs, "answers": entry(manifest.answers.file, archive(answers))}
    files[MANIFEST_FILE] = manifest.model_copy(update=update).to_bytes()
    figures = {"accuracy_before": 0.5, "accuracy_after": 0.5, "classes": CLASSES, "views": 0}
    about = About(created_at=time.time(), recipe="bench", seed=0, **figures)
    return add_candidate(home, parent, files, about).number


def changed(graph: bytes) -> bytes:
    """A tail with its longest float vector multiplied by `CHANGE`."""
    model = onnx.ModelProto.FromString(graph)
    vectors = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) == 1]
    longest = max(vectors, key=lambda one: one.dims[0])
    values = (numpy_helper.to_array(longest) * np.float32(CHANGE)).astype(np.float32)
    longest.CopyFrom(numpy_helper.from_array(values, longest.name))
    return bytes(model.SerializeToString())


def embedding_rate(home: Path, number: int) -> float:
    """Examples embedded and committed in a second on one core, in a copy of the memory."""
    with tempfile.TemporaryDirectory() as folder, Store(home, writable=False) as store:
        store.backup(Path(folder, "edgecl.db"))
        backbone = Backbone(home / "releases" / f"{number:04d}", ONE_THREAD)
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            with Store(Path(folder)) as copy:
                missing = copy.missing_vectors(backbone.tail_digest)
                begun = time.perf_counter()
                embed(copy, backbone, missing)
                return len(missing) / (time.perf_counter() - begun)
        finally:
            os.sched_setaffinity(0, cores)


def answering(learner: Learner, swap: Swap | None, seconds: float) -> Watched:
    """Answer the newest of `FPS` frames a second; after each let the swap go on, and switch when it is ready."""
    picture = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    begun = time.monotonic()
    ages, steps, last, switched = [], [], -1, None
    while switched is None and (swap is not None or time.monotonic() - begun < seconds):
        newest = int((time.monotonic() - begun) * FPS)
        if newest == last:
            time.sleep(0.001)
            continue
        last, due = newest, begun + newest / FPS
        learner.predict(Frame(picture, time.time(), due))
        ages.append(1000.0 * (time.monotonic() - due))
        if swap is not None:  # right after a frame, when there is most time until the next
            before = time.perf_counter()
            ready = swap.step()
            steps.append(1000.0 * (time.perf_counter() - before))
            switched = swap.switch() if ready else None
    return Watched(np.array(ages), np.array(steps), switched)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        home = taught_home(Path(folder, "home"), backbone_home(), CLASSES, PER_CLASS)
        number = candidate(home)
        delta = pack(home / "releases" / f"{number:04d}", Path(folder, "release.edgecl"), PRECISION)
        rate = embedding_rate(home, number)
        with Home.at(home).learner() as learner:
            before = answering(learner, None, NORMAL_S)
            files = {path.name: path.read_bytes() for path in (home / "releases" / f"{number:04d}").iterdir()}
            during = answering(learner, Swap(learner, number, files), 0.0)
            after = answering(learner, None, NORMAL_S)
    assert during.switched is not None  # noqa: S101  # the loop ends with it
    normal = np.concatenate([before.ages, after.ages])  # whatever else runs here changes meanwhile
    p99 = [float(np.percentile(ages, 99)) for ages in (normal, during.ages)]
    report(
        "swap",
        [
            Figure("examples embedded and committed in a second, one core", rate, ">= 150"),
            Figure("p99 age of an answer during the swap / before and after it", p99[1] / p99[0], "<= 2.0"),
            Figure("p99 age of an answer before and after it, ms", p99[0]),
            Figure("median age during / before and after", float(np.median(during.ages) / np.median(normal))),
            Figure("the switch itself, ms", during.switched.switch_ms, "<= 50"),
            Figure("longest step of the owner between two frames, ms", float(during.steps_ms.max())),
            Figure("whole swap of 3,000 examples beside 15 frames a second, s", during.switched.seconds),
            Figure("size of the tail delta, MB", delta.bytes / 1e6, "<= 6.0"),
        ],
        {"examples": during.switched.embedded, "frames_normal": len(normal), "frames_during": len(during.ages)},
    )


if __name__ == "__main__":
    main()
