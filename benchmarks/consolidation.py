"""81 classes taught, 20 examples kept of each, then one consolidation from that memory: every recipe, three seeds.

The default recipe is run alone, on all cores, for its time and memory; the others one a core at a time. A number as
argument runs fewer seeds.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Plot
from support.record import Figure, data, edgecl, report
from support.twice import cache_folder

from edgecl.workstation.recipes import DEFAULT, RECIPES
from edgecl.workstation.report import AFTER, BEFORE, png

SEEDS = range(3)
PICTURE = Path(__file__).parents[1] / "docs" / "img" / "consolidation.png"


def consolidated(recipe: str, seed: int, **environment: str) -> dict[str, Any]:
    """One run of `edgecl eval nc --consolidate`."""
    return edgecl(
        *("eval", "nc", str(data("grocery")), "--keep", "20", "--cache", str(cache_folder())),
        *("--consolidate", recipe, "--seed", str(seed)),
        environment=environment,
    )


def draw(runs: dict[tuple[str, int], dict[str, Any]], seeds: range) -> bytes:
    """The README's picture: every recipe's accuracy, and every class's with the default recipe."""
    figure = Plot(figsize=(11, 4.2), dpi=110, layout="constrained")
    bars, classes = figure.subplots(1, 2, width_ratios=(1, 1.6))
    means = {name: np.mean([runs[name, seed]["final_accuracy_consolidated"] for seed in seeds]) for name in RECIPES}
    order = sorted(means, key=lambda name: means[name])
    for place, name in enumerate(order):
        found = [runs[name, seed]["final_accuracy_consolidated"] for seed in seeds]
        bars.barh(place, means[name], color=BEFORE if name == "frozen" else AFTER, height=0.6)
        bars.plot(found, [place] * len(found), "|", color="black", markersize=9)
        bars.text(max(found) + 0.004, place, f"{means[name]:.3f}", va="center")
    bars.set_yticks(range(len(order)), order)
    bars.set(title="test accuracy after one consolidation", xlim=(0.7, 0.85), xticks=(0.70, 0.75, 0.80, 0.85))
    one = runs[DEFAULT, 0]
    before = np.array(list(one["per_class"].values()))
    after = np.array([one["per_class_consolidated"][name] for name in one["per_class"]])
    ranks, places = np.lexsort((before, after)), np.arange(len(after))
    classes.vlines(places, before[ranks], after[ranks], color=BEFORE, linewidth=1)
    classes.plot(places, before[ranks], "o", color=BEFORE, markersize=4, label=f"before, mean {before.mean():.3f}")
    classes.plot(places, after[ranks], "o", color=AFTER, markersize=4, label=f"after, mean {after.mean():.3f}")
    classes.set(title=f"each of 81 classes, recipe {DEFAULT}", ylabel="test accuracy", xlabel="classes", xticks=[])
    classes.legend(loc="lower right")
    return png(figure)


def main() -> None:
    """Measure, report, draw."""
    seeds = SEEDS if len(sys.argv) < 2 else range(int(sys.argv[1]))
    cache_folder().mkdir(exist_ok=True)
    runs = {(DEFAULT, 0): consolidated(DEFAULT, 0)}
    frozen = consolidated("frozen", 0)
    runs |= {("frozen", seed): frozen for seed in seeds}  # nothing is random where nothing is trained
    rest = [(name, seed) for seed in seeds for name in RECIPES if (name, seed) not in runs]
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1))) as pool:
        runs |= zip(rest, pool.map(lambda one: consolidated(*one, OMP_NUM_THREADS="1"), rest), strict=True)
    means = {}
    figures = []
    for name in RECIPES:
        found = [runs[name, seed]["final_accuracy_consolidated"] for seed in seeds]
        means[name] = float(np.mean(found))
        gain = np.mean([runs[name, s]["held_out_after"] - runs[name, s]["held_out_before"] for s in seeds])
        released = [runs[name, seed]["final_accuracy_released"] for seed in seeds]
        shares = [runs[name, seed]["share_released"] for seed in seeds]
        figures += [
            Figure(f"{name}, final accuracy, mean of {len(found)} seeds", means[name]),
            Figure(f"{name}, max − min over seeds", float(np.ptp(found))),
            Figure(f"{name}, gain on held-out views", float(gain)),
            Figure(f"{name}, share of the way that was accepted, mean", float(np.mean(shares))),
            Figure(f"{name}, final accuracy of what was accepted, mean", float(np.mean(released))),
        ]
    alone = runs[DEFAULT, 0]
    report(
        "consolidation",
        [
            Figure("grocery int8, frozen, final accuracy", frozen["final_accuracy"], ">= 0.752"),
            Figure(f"grocery int8, default recipe ({DEFAULT}), final accuracy", means[DEFAULT], ">= 0.800"),
            Figure("minutes of one consolidation, alone on this machine", alone["seconds_consolidating"] / 60, "<= 8"),
            Figure("MB at most", alone["peak_rss_mb"], "<= 2000"),
            *figures,
        ],
        {"runs": [run | {"training_seed": seed} for (_, seed), run in runs.items()]},
    )
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(draw(runs, seeds))


if __name__ == "__main__":
    main()
