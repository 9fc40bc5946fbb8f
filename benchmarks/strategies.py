"""Published strategies beside edgecl's own head: ten lessons, each seen once, the same pictures in the same order.

The strategies train the tail and a head of their own; edgecl's default leaves the tail as it is and keeps 20 latents of
each class. Their settings are those of `strategy_constants.py`.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.record import Figure, data, edgecl, report

SETS = ("grocery", "coil100")
OWN = "edgecl"
REGULARISED = ("si", "ewc", "lwf")
MORE = 0.001  # what counts as better


def measured(folder: str, method: str, cache: str) -> dict[str, Any]:
    """One evaluation, and how long it took with all that it needs."""
    options = ["--keep", "20"] if method == OWN else ["--strategy", method]
    begun = time.perf_counter()
    result = edgecl("eval", "nc", str(data(folder)), "--lessons", "10", "--cache", cache, *options)
    print(f"{folder} {method}: {result['final_accuracy']:.4f}", flush=True)
    return result | {"seconds": time.perf_counter() - begun}


def table(name: str, results: dict[str, dict[str, Any]]) -> str:
    """The results of one set, best first."""
    rows = [
        f"{method:<12}{found['final_accuracy']:>10.4f}{found['average_accuracy']:>10.4f}{found['forgetting']:>12.4f}"
        f"{found['seconds_learning_median']:>12.2f}{found['seconds']:>10.0f}{found['bytes_memory'] / 1e6:>10.1f}"
        for method, found in sorted(results.items(), key=lambda item: -item[1]["final_accuracy"])
    ]
    heading = f"{'':<12}{'final':>10}{'average':>10}{'forgetting':>12}{'s a lesson':>12}{'s in all':>10}{'MB kept':>10}"
    return "\n".join([f"{name}, 10 lessons", heading, *rows])


def figures(name: str, results: dict[str, dict[str, Any]]) -> list[Figure]:
    """What the comparison is about."""
    final = {method: found["final_accuracy"] for method, found in results.items()}
    published = [value for method, value in final.items() if method not in (OWN, "cumulative")]
    regularised = [final[method] for method in REGULARISED]
    return [
        *(Figure(f"{name}, {method}, final accuracy", value) for method, value in final.items()),
        Figure(f"{name}, ar1 − best of si, ewc, lwf", final["ar1"] - max(regularised), f">= {MORE}"),
        Figure(f"{name}, least of si, ewc, lwf − naive", min(regularised) - final["naive"], f">= {MORE}"),
        Figure(f"{name}, edgecl − best strategy that keeps nothing", final[OWN] - max(published), f">= {MORE}"),
        Figure(f"{name}, edgecl − cumulative", final[OWN] - final["cumulative"], ">= -0.01"),
    ]


def main() -> None:
    """Measure and report, one strategy a core at a time."""
    from edgecl.workstation import strategies

    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of the commands that are started
    slowest_first = sorted(strategies.names(), key=lambda name: name != "cumulative")
    with tempfile.TemporaryDirectory() as cache:
        results = {name: {OWN: measured(name, OWN, cache), "cwr": measured(name, "cwr", cache)} for name in SETS}
        with ThreadPoolExecutor(int(os.environ.get("EDGECL_PROCESSES", os.cpu_count() or 1))) as pool:
            waiting = {
                (name, method): pool.submit(measured, name, method, cache)
                for method in slowest_first
                for name in SETS
                if method not in results[name]
            }
            for (name, method), one in waiting.items():
                results[name][method] = one.result()
    for name in SETS:
        print(table(name, results[name]), end="\n\n")
    report("strategies", [figure for name in SETS for figure in figures(name, results[name])], results)


if __name__ == "__main__":
    main()
