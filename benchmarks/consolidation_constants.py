"""How strong each penalty has to be: chosen on training pictures alone, held out from the memory.

Two consolidations, the second without 30 of the first one's 60 classes and with 21 new ones, as in forgetting.py but in
another order of teaching. Two things are asked about views that no tail was trained on: what is left of the 30 by the
head of before, and how well all 81 are known by a head that is fitted anew. One that is too weak forgets, one that is
too strong does not learn; the best strength has the largest mean of both.
"""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import safetensors.torch
import torch
from support.record import Figure, backbone_home, data, report
from support.twice import DROPPED, TAUGHT, Stage, cache_folder

from edgecl.workstation.parent import IMPORTANCE
from edgecl.workstation.recipes import RECIPES

ORDER, SEED = 11, 1
FIRST = "first.safetensors"  # the tail after the first consolidation, for the processes that try the second
STRENGTHS = {
    "l2sp": (0.003, 0.03, 0.3),
    "ewc": (0.003, 0.03, 0.3),
    "mas": (0.003, 0.03, 0.3),
    "si": (0.003, 0.03, 0.3),
    "ar1-star": (0.5, 1.0),
}


def tried(choice: tuple[str, float]) -> tuple[float, float]:
    """Mean accuracy over the 30 by the head of before, and over all 81 by a new one, on held-out views."""
    torch.set_num_threads(1)
    name, strength = choice
    stage = Stage.of(data("grocery"), backbone_home(), cache_folder(), ORDER)
    saved = safetensors.torch.load_file(cache_folder() / FIRST)
    stage.parent.tail.load_state_dict({k.removeprefix("tail."): v for k, v in saved.items() if k.startswith("tail.")})
    first = replace(stage.parent, importances={k: v for k, v in saved.items() if IMPORTANCE in k})
    before = stage.head(first.tail, TAUGHT, on_test=False)
    tail = first.tail
    if name != "first":
        recipe = RECIPES[name]
        tail = stage.second(first, recipe if recipe.penalty is None else replace(recipe, strength=strength), SEED)
    left = stage.accuracy(tail, before, on_test=False)[:DROPPED]
    known = stage.accuracy(tail, stage.head(tail, 81, on_test=False), on_test=False)
    result = float(left.mean()), float(known.mean())
    print(name, strength, *(f"{value:.4f}" for value in result), f"{sum(result) / 2:.4f}", flush=True)
    return result


def main() -> None:
    """Try and report."""
    cache_folder().mkdir(exist_ok=True)
    stage = Stage.of(data("grocery"), backbone_home(), cache_folder(), ORDER)
    first = stage.first(SEED)
    tail = {f"tail.{name}": value for name, value in first.tail.state_dict().items()}
    kept = {name: value.contiguous() for name, value in (tail | dict(first.importances)).items()}
    safetensors.torch.save_file(kept, cache_folder() / FIRST)
    only = sys.argv[1:]
    choices = [("first", 0.0), ("naive", 0.0)]
    choices += [
        (n, s)
        for n, s in itertools.chain(*([(n, s) for s in v] for n, v in STRENGTHS.items()))
        if not only or n in only
    ]
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(choices, pool.map(tried, choices), strict=True))
    report(
        "consolidation_constants",
        [
            Figure(f"{name} {strength:g}: {what}", values[place])
            for (name, strength), values in found.items()
            for place, what in enumerate(("the 30 left out, head of before", "all 81, new head"))
        ],
    )


if __name__ == "__main__":
    main()
