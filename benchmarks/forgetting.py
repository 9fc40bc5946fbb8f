"""What a second consolidation forgets that is not shown half of what the first one learned, under every penalty.

60 classes are taught and consolidated; then 21 more are taught, and a second consolidation sees all but the first 30.
Test pictures of those 30 are asked about in two ways. By the head of before, fitted with the tail of before: the memory
of the 30 is gone, and what the tail moves is lost. And by a head fitted anew to the whole memory: a device that still
has its examples of the 30, and whose tail was consolidated elsewhere. Three orders of teaching, each with a seed of its
own; in each all recipes begin with the same tail. The best penalty is the best by these pictures; the default recipe,
which they did not choose, stands beside it. A number as argument runs fewer orders.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from support.record import Figure, backbone_home, data, report
from support.twice import DROPPED, TAUGHT, Stage, cache_folder

from edgecl.workstation.recipes import DEFAULT, RECIPES

ORDERS = range(3)
COMPARED = ("naive", "l2sp", "ewc", "si", "mas", "ar1", "ar1-star")


def measured(order: int) -> dict[str, tuple[list[float], list[float]]]:
    """Accuracy of each of the 30 by the head of before, and of each of 81 by a new one, by recipe.

    `first` is the tail after the first consolidation alone.
    """
    torch.set_num_threads(1)
    stage = Stage.of(data("grocery"), backbone_home(), cache_folder(), order)
    first = stage.first(order)
    before = stage.head(first.tail, TAUGHT, on_test=True)
    found = {}
    for name in ("first", *COMPARED):
        tail = first.tail if name == "first" else stage.trained(first, RECIPES[name], order, leave_out=DROPPED)
        left, _ = stage.known(tail, before, on_test=True)
        known, _ = stage.known(tail, stage.head(tail, 81, on_test=True), on_test=True)
        found[name] = left[:DROPPED].tolist(), known.tolist()
        print(order, name, f"{left[:DROPPED].mean():.4f} {known.mean():.4f}", flush=True)
    return found


def main() -> None:
    """Measure and report."""
    orders = ORDERS if len(sys.argv) < 2 else range(int(sys.argv[1]))
    cache_folder().mkdir(exist_ok=True)
    for order in orders:
        Stage.of(data("grocery"), backbone_home(), cache_folder(), order)  # fills the cache before others need it
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(measured, orders))
    left = {name: float(np.mean([run[name][0] for run in runs])) for name in runs[0]}
    refitted = {name: float(np.mean([np.mean(run[name][1][:DROPPED]) for run in runs])) for name in runs[0]}
    known = {name: float(np.mean([np.mean(run[name][1]) for run in runs])) for name in runs[0]}
    lost = {name: left["first"] - left[name] for name in COMPARED}
    best = min((name for name in COMPARED if name != "naive"), key=lambda name: lost[name])
    report(
        "forgetting",
        [
            Figure("orders of teaching", len(runs)),
            *(Figure(f"the 30 left out, head of before, {name}", value) for name, value in left.items()),
            *(Figure(f"lost on the 30, head of before, {name}", value) for name, value in lost.items()),
            *(Figure(f"the 30 left out, new head, {name}", value) for name, value in refitted.items()),
            *(Figure(f"all 81 classes, new head, {name}", value) for name, value in known.items()),
            Figure("lost by naive, points", 100 * lost["naive"]),
            Figure("lost by the default recipe, points", 100 * lost[DEFAULT]),
            Figure("lost by the best penalty, points", 100 * lost[best]),
            Figure("lost by the default recipe / lost by naive", lost[DEFAULT] / max(lost["naive"], 1e-9)),
            Figure("lost by the best penalty / lost by naive", lost[best] / max(lost["naive"], 1e-9), "<= 0.5"),
        ],
        {"runs": runs, "best": best},
    )


if __name__ == "__main__":
    main()
