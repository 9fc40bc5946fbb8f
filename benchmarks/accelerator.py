"""What the graphs run fastest on here: every provider, precision and number of threads that the machine has."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from support.record import Figure, backbone_home, report

from edgecl.accelerator import machine
from edgecl.accelerator.choice import Outcome, choose
from edgecl.accelerator.measuring import measured
from edgecl.accelerator.plan import jobs
from edgecl.accelerator.report import outcomes_text
from edgecl.config import BackboneSettings
from edgecl.manifest import Precision
from edgecl.releases import current
from edgecl.runtime import available


def main() -> None:
    """Measure and report."""
    release, cores = current(backbone_home()).resolve(), machine.cores()
    outcomes: list[Outcome] = []
    seconds: dict[Precision, float] = {}
    with tempfile.TemporaryDirectory(prefix="edgecl-engines-") as engines:
        for precision in ("int8", "fp32"):
            todo = jobs(BackboneSettings(), [precision], available(), cores, release, Path(engines))
            begun = time.monotonic()
            outcomes += measured(todo)
            seconds[precision] = time.monotonic() - begun
    print(outcomes_text(outcomes))
    quickest = {(one.precision, one.provider, one.threads): one.quickest_ms for one in outcomes if one.quickest_ms}
    chosen = choose([one for one in outcomes if one.precision == "int8"])
    if chosen is None or chosen.quickest_ms is None:
        raise SystemExit(f"nothing runs the int8 graphs here: {outcomes_text(outcomes)}")
    default = quickest["int8", "cpu", cores]
    figures = [
        Figure(f"{provider}, {precision}, threads: {threads}, quickest, ms", ms)
        for (precision, provider, threads), ms in quickest.items()
    ]
    figures += [
        Figure("what is chosen / the CPU with a thread for every core, int8", chosen.quickest_ms / default, "<= 1.05"),
        Figure("threads of what is chosen / cores", chosen.threads / cores),
        Figure("fp32 / int8, the fastest of each", _fastest(outcomes, "fp32") / _fastest(outcomes, "int8")),
        Figure("ways that answer the golden pictures / all that were tried", len(quickest) / len(outcomes)),
        Figure("to measure with the default settings, s", seconds["int8"], "<= 15"),
        Figure("to measure both precisions, s", sum(seconds.values())),
    ]
    report(
        "accelerator",
        figures,
        {"chosen": chosen.model_dump(), "outcomes": [outcome.model_dump() for outcome in outcomes]},
    )


def _fastest(outcomes: list[Outcome], precision: Precision) -> float:
    return min(one.quickest_ms for one in outcomes if one.precision == precision and one.quickest_ms)


if __name__ == "__main__":
    main()
