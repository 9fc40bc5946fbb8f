"""How strong each penalty has to be: chosen on training pictures alone, held out from the memory.

Asked is what a device needs of it, of views that no tail was trained on: how much better all 81 classes are known after
a first consolidation; and, after a second one without 30 of the first one's 60 classes and with 21 new ones, as in
forgetting.py, what is left of the 30 by the head of before and how well all 81 are known by a new one. The best
strength has the largest sum of the three changes in the mean probability of the right class. Orders of teaching are
others than in forgetting.py.

Names of recipes as arguments try these alone. All of it is 120 trainings, which take minutes on a GPU and hours on two
cores: there it is left out unless recipes are named.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from support.record import Figure, backbone_home, data, report
from support.twice import DROPPED, TAUGHT, Stage, cache_folder

from edgecl.workstation.consolidation import choose_device
from edgecl.workstation.recipes import RECIPES

ORDERS = (11, 12, 13)
STRENGTHS = {
    "l2sp": (0.01, 0.03, 0.1),
    "ewc": (0.01, 0.03, 0.1),
    "mas": (0.03, 0.1, 0.3),
    "si": (0.03, 0.1, 0.3),
    "ar1": (0.03, 0.1, 0.3),
    "ar1-star": (0.5, 1.0),
}
Choice = tuple[str, float]
Changes = dict[str, tuple[float, float]]  # what is asked → change in accuracy, in probability


def tried(choices: list[Choice], order: int) -> dict[Choice, Changes]:
    """What comes of each choice in one order of teaching, which is the seed of the trainings, too."""
    torch.set_num_threads(1)
    stage = Stage.of(data("grocery"), backbone_home(), cache_folder(), order, choose_device("auto"))
    first = stage.first(order)
    old = stage.head(first.tail, TAUGHT, on_test=False)
    untrained = stage.known(stage.parent.tail, stage.head(stage.parent.tail, 81, on_test=False), on_test=False)
    before = stage.known(first.tail, old, on_test=False)
    before_new = stage.known(first.tail, stage.head(first.tail, 81, on_test=False), on_test=False)
    found = {}
    for name, strength in choices:
        recipe = RECIPES[name] if name == "naive" else replace(RECIPES[name], strength=strength)
        once = stage.trained(stage.parent, recipe, order)
        twice = stage.trained(first, recipe, order, leave_out=DROPPED)
        found[name, strength] = {
            "gained": _change(untrained, stage.known(once, stage.head(once, 81, on_test=False), on_test=False)),
            "left of the 30": _change(before, stage.known(twice, old, on_test=False), slice(DROPPED)),
            "all 81, second": _change(
                before_new, stage.known(twice, stage.head(twice, 81, on_test=False), on_test=False)
            ),
        }
        shown = " ".join(f"{value:+.4f}" for pair in found[name, strength].values() for value in pair)
        print(order, name, strength, shown, flush=True)
    return found


def _change(before, after, classes: slice = slice(None)) -> tuple[float, float]:
    accuracy, belief = (float(np.mean(b[classes] - a[classes])) for a, b in zip(before, after, strict=True))
    return accuracy, belief


def main() -> None:
    """Try and report."""
    only = sys.argv[1:]
    if not only and choose_device("auto") == "cpu":
        print("left out: found no GPU, on which this takes minutes; name recipes to try them on the processor")
        return
    cache_folder().mkdir(exist_ok=True)
    choices = [("naive", 0.0)]
    choices += [(name, strength) for name in STRENGTHS if not only or name in only for strength in STRENGTHS[name]]
    for order in ORDERS:
        Stage.of(data("grocery"), backbone_home(), cache_folder(), order)  # fills the cache before others need it
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(partial(tried, choices), ORDERS))
    figures = []
    for name, strength in choices:
        parts = {what: np.mean([one[name, strength][what] for one in found], axis=0) for what in found[0]["naive", 0.0]}
        figures += [
            Figure(f"{name} {strength:g}: {what}, accuracy", float(change[0])) for what, change in parts.items()
        ]
        score = float(sum(change[1] for change in parts.values()))
        figures.append(Figure(f"{name} {strength:g}: sum of changes in probability", score))
    report("consolidation_constants", figures)


if __name__ == "__main__":
    main()
