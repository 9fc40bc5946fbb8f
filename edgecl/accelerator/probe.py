"""Runs the graphs of a release one way, as a process of its own: whatever it does, nobody else is harmed.

Its one argument is a `Job` as JSON. It prints an `Outcome` as JSON, one a line, for each number of threads.
"""

from __future__ import annotations

import contextlib
import re
import signal
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.accelerator.choice import Outcome
from edgecl.accelerator.plan import Job
from edgecl.backbone import BATCH, Backbone
from edgecl.errors import BackboneDamaged, EdgeclError
from edgecl.golden import COSINE, check_golden
from edgecl.releases.latency import PICTURE
from edgecl.runtime import RUNTIME_ERRORS, Execution

OOM_SCORE = Path("/proc/self/oom_score_adj")
ROUNDS, ROUNDS_MIN = 25, 7
TIMING_S = 4.0  # after which so few rounds have to do
# As CUDA and ONNX Runtime put it; whoever else uses the accelerator may be gone another time.
_WANT_OF_MEMORY = re.compile(r"out of memory|failed to allocate memory|CUDA(?: failure)? 2\b", re.IGNORECASE)
_FAULTS: tuple[type[Exception], ...] = (EdgeclError, *RUNTIME_ERRORS)


def main(job: Job) -> None:
    """Try all that the job says."""
    with contextlib.suppress(OSError):  # where memory runs short, nothing else is to be ended
        OOM_SCORE.write_text("1000")
    signal.alarm(int(job.limit_s) + 1)  # ends the process also where native code hangs, and whoever began it is gone
    sound = []
    for threads in job.threads:
        try:
            _check(job, threads)
        except _FAULTS as error:
            said = " ".join(str(error).split()) or type(error).__name__
            wants = isinstance(error, MemoryError) or _WANT_OF_MEMORY.search(said) is not None
            _tell(job, threads, fault=said, may_pass=wants)
        else:
            sound.append(threads)
    for threads, times in _timed(job, sound).items():
        _tell(job, threads, median_ms=statistics.median(times), quickest_ms=min(times))


def _check(job: Job, threads: int) -> None:
    """Let a backbone answer its golden pictures one by one, and then many at once as it does one.

    Raises:
        EdgeclError: it does not, or cannot be loaded.
    """
    backbone = _opened(job, threads)
    check_golden(backbone, job.release)
    pictures = [np.roll(_picture(), 30 * number, 0) for number in range(BATCH)]
    cosine = float((backbone.embed_images(pictures[:1]) * backbone.embed_images(pictures)[:1]).sum())
    if not cosine >= COSINE:
        raise BackboneDamaged(f"found a cosine of {cosine:.4f} between a picture alone and the same among {BATCH}")


def _timed(job: Job, sound: list[int]) -> dict[int, list[float]]:
    """Times in ms from a picture to its embedding, in turns, so that whatever else runs here slows all alike."""
    # Opened anew: ONNX Runtime keeps for good what its largest batch took, and here are several at once.
    backbones = {threads: _opened(job, threads) for threads in sound}
    picture, times = _picture(), {threads: list[float]() for threads in sound}
    for backbone in backbones.values():  # the first run makes room in memory
        backbone.see(picture)
    begun = time.perf_counter()
    for number in range(ROUNDS):
        if number >= ROUNDS_MIN and time.perf_counter() - begun > TIMING_S:
            break
        for threads, backbone in backbones.items():
            before = time.perf_counter()
            backbone.see(picture)
            times[threads].append(1000.0 * (time.perf_counter() - before))
    return times


def _opened(job: Job, threads: int) -> Backbone:
    settings = Execution(precision=job.precision, provider=job.provider, threads=threads, engines=job.engines)
    return Backbone(job.release, settings)


def _picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, PICTURE).astype(np.uint8)


def _tell(job: Job, threads: int, **found: float | str | bool) -> None:
    said = {"precision": job.precision, "provider": job.provider, "threads": threads, **found}
    print(Outcome.model_validate(said).model_dump_json(), flush=True)


if __name__ == "__main__":
    main(Job.model_validate_json(sys.argv[1]))
