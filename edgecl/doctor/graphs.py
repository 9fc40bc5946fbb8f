"""The backbone, as this machine runs it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecl import releases
from edgecl.accelerator.execution import execution_of, is_open
from edgecl.accelerator.remembered import Measurement, recall
from edgecl.accelerator.report import outcomes_text, running_text
from edgecl.accelerator.starts import let_go_of
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings, Settings
from edgecl.daemon import note
from edgecl.daemon.running import running_on
from edgecl.doctor.finding import Finding, failure, guarded
from edgecl.errors import EdgeclError
from edgecl.golden import check_golden
from edgecl.memory.backup import DATABASE
from edgecl.memory.store import Store
from edgecl.runtime import PROVIDERS, Execution

EMBED_SLOW_MS = 200.0  # a live view needs five frames a second


def backbone_findings(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Whether it is whole, fits the memory, answers rightly, and how fast."""
    execution = execution_of(folder, settings.backbone)
    try:
        backbone = Backbone(releases.current(folder), execution)
    except EdgeclError as error:
        yield failure("backbone", error)
        return
    name = f"{backbone.manifest.name} in {backbone.precision} on {backbone.provider.removesuffix('ExecutionProvider')}"
    yield Finding("backbone", "ok", f"{name}, digests as declared")
    if (folder / DATABASE).exists():
        yield guarded("trunk", lambda: _trunk(folder, backbone))
    yield guarded("golden", lambda: _golden(backbone, releases.current(folder)))
    yield guarded("latency", lambda: _latency(backbone))
    yield _accelerator(folder, settings.backbone, execution, backbone)


def _trunk(folder: Path, backbone: Backbone) -> Finding:
    with Store(folder, writable=False) as store:
        found = store.trunk()
    if found in (None, backbone.trunk_digest):
        return Finding("trunk", "ok", f"{backbone.trunk_digest:.12}…, that of the memory")
    return Finding(
        "trunk",
        "fail",
        f"the memory was made by trunk {found:.12}…, the backbone has {backbone.trunk_digest:.12}…",
        "set the precision or export the backbone that it was taught with, or forget all classes and teach them anew",
    )


def _golden(backbone: Backbone, release: Path) -> Finding:
    result = check_golden(backbone, release)
    found = f"{result.pictures} pictures answered as where it was exported: least cosine {result.cosine_min:.5f}, "
    found += f"{100 * result.latents_equal:.1f} % of the latents' numbers the same"
    return Finding("golden", "ok", found)


def _latency(backbone: Backbone) -> Finding:
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    backbone.see(picture)
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        backbone.see(picture)
        times.append(1000 * (time.perf_counter() - begun))
    median = statistics.median(times)
    found = f"{median:.1f} ms from a 640 × 480 picture to its embedding"
    if median > EMBED_SLOW_MS:
        return Finding("latency", "warn", found, "use int8, a smaller backbone, or stop what else runs on this machine")
    return Finding("latency", "ok", found)


def _accelerator(folder: Path, asked: BackboneSettings, execution: Execution, backbone: Backbone) -> Finding:
    daemon, found = note.running(folder), recall(folder, asked)
    runs = running_text(None if daemon is None else running_on(daemon), execution)
    said = runs if found is None else f"{runs}; measured on {_day(found)}: {outcomes_text(found.outcomes)}"
    gone = let_go_of(folder) if asked.provider == "auto" else None
    if gone is not None:
        remedy = 'to take it up again: edgecl doctor --measure; or set provider = "cpu"'
        return Finding("accelerator", "warn", f"{gone}; {said}", remedy)
    if found is None and not is_open(folder, asked):
        return Finding("accelerator", "ok", f"{runs}: nothing else is left open")
    if found is None:
        remedy = "edgecl run measures some time after it has begun; or now: edgecl doctor --measure"
        return Finding("accelerator", "ok", f"{runs}; what is fastest was not measured yet", remedy)
    if backbone.provider != PROVIDERS[execution.provider]:
        said = f"the CPU stands in for {execution.provider}, which cannot be had now; {said}"
        return Finding("accelerator", "warn", said, "see whether this user may use it; then: edgecl doctor --measure")
    if not found.is_settled:
        remedy = "edgecl run tries again, some time after its next start; or now: edgecl doctor --measure"
        return Finding("accelerator", "warn", said, remedy)
    if any(outcome.fault for outcome in found.outcomes):
        remedy = 'mend what is said there, then: edgecl doctor --measure; or set provider = "cpu"'
        return Finding("accelerator", "warn", said, remedy)
    return Finding("accelerator", "ok", said)


def _day(found: Measurement) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(found.measured_at))
