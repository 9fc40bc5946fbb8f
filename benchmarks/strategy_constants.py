"""Chooses the settings of the published strategies on training pictures alone; no test picture has a say.

Of 30 kinds of groceries, 20 training pictures each are taught in 5 lessons, and a quarter of the training pictures,
held out, is asked about at the end. Each strategy has a few candidates for the two settings that it stands or falls by,
the rate of the tail after the first lesson and the strength, or the number of epochs where the tail is frozen then. The
one with the best final accuracy is chosen. What all strategies share (rates of the first lesson, batch, epochs) was
found with naive and CWR+ in the same way.

With --new, only candidates are measured that the results of the last run do not hold yet.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from support.record import RESULTS, Figure, backbone_home, data, report

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.errors import ConsolidationRefused
from edgecl.evaluate.protocol import lessons_of
from edgecl.evaluate.streams import Latents, latent_stream

CLASSES, LESSONS, SHOWN = 30, 5, 20
HELD_OUT = 0.25
PAIRS = ("tail_rate_later", "strength")
CANDIDATES: dict[str, list[dict[str, float]]] = {
    "naive": [{"tail_rate_later": rate} for rate in (0.003, 0.0003)],
    "lwf": [dict(zip(PAIRS, pair, strict=True)) for pair in ((0.003, 1.0), (0.0003, 1.0), (0.003, 0.5))],
    "ewc": [
        dict(zip(PAIRS, pair, strict=True)) for pair in ((0.003, 1.0), (0.0003, 1.0), (0.0003, 10.0), (0.0003, 30.0))
    ],
    "si": [
        dict(zip(PAIRS, pair, strict=True)) for pair in ((0.003, 1.0), (0.0003, 1.0), (0.0003, 10.0), (0.0003, 30.0))
    ],
    "ar1": [
        dict(zip(PAIRS, pair, strict=True)) for pair in ((0.001, 0.1), (0.001, 1.0), (0.0003, 1.0), (0.0003, 10.0))
    ],
    "cwr": [{"epochs": epochs} for epochs in (4, 8, 16)],
    "cwr_plus": [{"epochs": epochs} for epochs in (4, 8, 16)],
    "cumulative": [{"tail_rate_later": rate} for rate in (0.003, 0.001)],
}
Development = tuple[Latents, Latents]


def development(folder: Path, backbone: Backbone, cache: Path) -> Development:
    """Training pictures to teach and training pictures to ask about, of the first classes of an order."""
    train = latent_stream(folder, backbone, 0, cache).train
    random = np.random.default_rng(0)
    taught, asked = [], []
    for label in range(CLASSES):
        rows = random.permutation(np.flatnonzero(train.labels == label))
        held_out = max(1, round(HELD_OUT * len(rows)))
        asked.append(rows[:held_out])
        taught.append(rows[held_out : held_out + SHOWN])
    return train.select(np.concatenate(taught)), train.select(np.concatenate(asked))


def tried(name: str, candidate: dict[str, float], found: Development) -> dict[str, Any]:
    """Final accuracy on what was held out, NaN where training went out of bounds."""
    import torch

    from edgecl.workstation.nets import efficientnet_lite
    from edgecl.workstation.strategies import strategy_of

    torch.set_num_threads(1)
    taught, asked = found
    made = strategy_of(name)
    learner = made(efficientnet_lite("efficientnet-lite0").tail, CLASSES, replace(made.defaults, **candidate))
    begun = time.perf_counter()
    accuracy = float("nan")
    try:
        for lesson in lessons_of(CLASSES, LESSONS):
            shown = taught.select(np.isin(taught.labels, lesson))
            learner.learn(shown.real(), shown.labels)
        accuracy = float((learner.logits(asked.real()).argmax(axis=1) == asked.labels).mean())
    except ConsolidationRefused as refused:
        print(name, candidate, refused)
    result = {"strategy": name, **candidate, "accuracy": accuracy, "seconds": time.perf_counter() - begun}
    print(result, flush=True)
    return result


def best(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The candidate with the highest accuracy; where none was left within bounds, the first."""
    return max(results, key=lambda result: np.nan_to_num(result["accuracy"]))


def figures(results: list[dict[str, Any]]) -> Iterator[Figure]:
    """For each strategy what is chosen here, and beside it what the code uses."""
    from edgecl.workstation.strategies import strategy_of

    for name, candidates in CANDIDATES.items():
        chosen = best([result for result in results if result["strategy"] == name])
        yield Figure(f"{name}: accuracy on what was held out", chosen["accuracy"])
        for setting in candidates[0]:
            yield Figure(f"{name}: {setting} chosen here", chosen[setting])
            yield Figure(f"{name}: {setting} in the code", asdict(strategy_of(name).defaults)[setting])


def measured_before() -> list[dict[str, Any]]:
    """The results of the last run."""
    last = json.loads((RESULTS / "strategy_constants.json").read_text("utf-8"))
    found: list[dict[str, Any]] = last["details"]["candidates"]
    return found


def main() -> None:
    """Measure, choose, and report what the code uses beside it. One process a core."""
    from edgecl.releases import current

    results = measured_before() if "--new" in sys.argv else []
    backbone = Backbone(current(backbone_home()), BackboneSettings())
    with tempfile.TemporaryDirectory() as folder:
        found = development(data("grocery"), backbone, Path(folder))
    with ProcessPoolExecutor(int(os.environ.get("EDGECL_PROCESSES", os.cpu_count() or 1))) as pool:
        waiting = [
            pool.submit(tried, name, candidate, found)
            for name, candidates in CANDIDATES.items()
            for candidate in candidates
            if not any({"strategy": name, **candidate}.items() <= result.items() for result in results)
        ]
        results += [one.result() for one in waiting]
    report("strategy_constants", list(figures(results)), {"candidates": results})


if __name__ == "__main__":
    main()
