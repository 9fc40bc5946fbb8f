"""A device in small, run as a process of its own by the benchmark: start, predict, learn a lesson, say what it took."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings, Settings
from edgecl.learner import Learner
from edgecl.memory.store import Store
from edgecl.process import peak_rss_mb
from edgecl.releases import current
from edgecl.types import Frame


def main(home: Path, precision: str, threads: int) -> None:
    """Open `home`, predict one frame, teach one lesson; print JSON."""
    settings = Settings(backbone=BackboneSettings.model_validate({"precision": precision, "threads": threads}))
    rng = np.random.default_rng(0)
    with Store(home) as store:
        learner = Learner(store, Backbone(current(home), settings.backbone), settings)
        learner.predict(_frame(rng))
        first = time.time() - float(os.environ["EDGECL_BENCH_STARTED"])
        burst = learner.burst()
        for _ in range(30):
            burst.add(_frame(rng))
        learner.teach("bench lesson", burst, "camera")
        learner.predict(_frame(rng))
    print(json.dumps({"start_to_first_prediction_s": first, "peak_rss_mb": peak_rss_mb()}))


def _frame(rng: np.random.Generator) -> Frame:
    coarse = rng.integers(0, 256, (60, 80, 3), np.uint8)
    return Frame(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), time.time(), time.monotonic(), f"bench:{rng.random()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
