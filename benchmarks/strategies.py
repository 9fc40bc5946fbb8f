"""Published strategies beside edgecl: ten lessons, each seen once, the same pictures in the same order.

The strategies train the tail and a head of their own; their settings are those of `strategy_constants.py`. edgecl's
head leaves the tail as it is and keeps 20 latents of each class; once more with consolidations of the tail at the end,
from those latents alone, as far as they are accepted: one, and as many as are accepted one after the other, which is
how `edgecl consolidate --if-due` goes on.

Names of methods as arguments measure only these anew; the others stay as they were measured last.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.record import RESULTS, Figure, commit, data, edgecl, report
from support.twice import cache_folder

SETS = ("grocery", "coil100")
OWN, CONSOLIDATED = "edgecl", "edgecl, consolidated"
TIMES = 20  # consolidations at most; one is refused long before
REGULARISED = ("si", "ewc", "lwf")
MORE = 0.001  # what counts as better


def measured(folder: str, method: str) -> dict[str, Any]:
    """One evaluation, with the commit it was made by and how long it took with all that it needs."""
    from edgecl.workstation.recipes import DEFAULT

    keep = ["--keep", "20"]
    options = {OWN: keep, CONSOLIDATED: [*keep, "--consolidate", DEFAULT, "--times", str(TIMES)]}
    begun = time.perf_counter()
    result = edgecl(
        *("eval", "nc", str(data(folder)), "--lessons", "10", "--cache", str(cache_folder())),
        *options.get(method, ["--strategy", method]),
    )
    print(f"{folder} {method}: {final(result):.4f}", flush=True)
    return result | {"seconds": time.perf_counter() - begun, "commit": commit()}


def final(result: dict[str, Any]) -> float:
    """Final accuracy, after what was released if there was a consolidation."""
    return float(result.get("final_accuracy_released", result["final_accuracy"]))


def table(name: str, results: dict[str, dict[str, Any]]) -> str:
    """The results of one set, best first; before a consolidation all but the final accuracy is that of the head."""
    rows = [
        f"{method:<22}{final(found):>8.4f}{found['average_accuracy']:>10.4f}{found['forgetting']:>12.4f}"
        f"{found['seconds_learning_median']:>12.2f}{found['seconds']:>10.0f}{found['bytes_memory'] / 1e6:>10.1f}"
        for method, found in sorted(results.items(), key=lambda item: -final(item[1]))
    ]
    heading = f"{'':<22}{'final':>8}{'average':>10}{'forgetting':>12}{'s a lesson':>12}{'s in all':>10}{'MB kept':>10}"
    return "\n".join([f"{name}, 10 lessons", heading, *rows])


def figures(name: str, results: dict[str, dict[str, Any]]) -> list[Figure]:
    """What the comparison is about."""
    reached = {method: final(found) for method, found in results.items()}
    published = [value for method, value in reached.items() if method not in (OWN, CONSOLIDATED, "cumulative")]
    regularised = [reached[method] for method in REGULARISED]
    rounds = results[CONSOLIDATED]["rounds"]
    once, accepted = rounds[0]["final_accuracy_released"], sum(one["share"] > 0 for one in rounds)
    return [
        *(Figure(f"{name}, {method}, final accuracy", value) for method, value in reached.items()),
        Figure(f"{name}, ar1 − best of si, ewc, lwf", reached["ar1"] - max(regularised), f">= {MORE}"),
        Figure(f"{name}, least of si, ewc, lwf − naive", min(regularised) - reached["naive"], f">= {MORE}"),
        Figure(f"{name}, best strategy that keeps nothing, final accuracy", max(published)),
        Figure(f"{name}, edgecl − best strategy that keeps nothing", reached[OWN] - max(published), f">= {MORE}"),
        Figure(f"{name}, edgecl before consolidation − cumulative", reached[OWN] - reached["cumulative"]),
        Figure(f"{name}, edgecl, consolidated once, final accuracy", once),
        Figure(f"{name}, edgecl, consolidations that were accepted", accepted),
        Figure(f"{name}, edgecl consolidated − cumulative", reached[CONSOLIDATED] - reached["cumulative"], ">= -0.01"),
    ]


def main() -> None:
    """Measure and report, one strategy a core at a time."""
    from edgecl.workstation import strategies

    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of the commands that are started
    slowest_first = sorted((OWN, CONSOLIDATED, *strategies.names()), key=lambda name: name != "cumulative")
    wanted = sys.argv[1:] or slowest_first
    results: dict[str, dict[str, Any]] = {name: {} for name in SETS}
    if sys.argv[1:]:
        results |= json.loads((RESULTS / "strategies.json").read_text("utf-8"))["details"]
    cache_folder().mkdir(exist_ok=True)
    with ThreadPoolExecutor(int(os.environ.get("EDGECL_PROCESSES", os.cpu_count() or 1))) as pool:
        waiting = {(name, method): pool.submit(measured, name, method) for method in wanted for name in SETS}
        for (name, method), one in waiting.items():
            results[name][method] = one.result()
    for name in SETS:
        print(table(name, results[name]), end="\n\n")
    report("strategies", [figure for name in SETS for figure in figures(name, results[name])], results)


if __name__ == "__main__":
    main()
