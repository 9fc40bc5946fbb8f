"""How long two backbones take for the same picture, in turns, so that whatever else runs here slows both."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from edgecl.backbone import Backbone

ROUNDS = 9
PICTURE = (480, 640, 3)


@dataclass(frozen=True)
class Latency:
    """From a picture to its embedding.

    Attributes:
        ratio: of the quickest time of the new backbone to the quickest of the old one: what a busy machine leaves
            nearly as it is.
        old_ms: median of the old one.
    """

    ratio: float
    old_ms: float


def compare_latency(new: Backbone, old: Backbone, rounds: int = ROUNDS) -> Latency:
    """Let both look at the same picture, one after the other, `rounds` times."""
    picture = np.random.default_rng(0).integers(0, 256, PICTURE).astype(np.uint8)
    times: dict[Backbone, list[float]] = {new: [], old: []}
    for backbone in times:  # the first run makes room in memory
        backbone.see(picture)
    for _ in range(rounds):
        for backbone, found in times.items():
            begun = time.perf_counter()
            backbone.see(picture)
            found.append(1000.0 * (time.perf_counter() - begun))
    return Latency(min(times[new]) / min(times[old]), statistics.median(times[old]))
