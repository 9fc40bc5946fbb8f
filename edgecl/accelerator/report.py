"""What was measured, in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from edgecl.accelerator.choice import Outcome
from edgecl.runtime import ON_CORES, Execution


def runs_text(execution: Execution) -> str:
    """On what the graphs run: `cpu with 2 threads`."""
    if execution.provider not in ON_CORES:
        return execution.provider
    threads = "a thread for every core" if execution.threads == 0 else _threads(execution.threads)
    return f"{execution.provider} with {threads}"


def running_text(running: Execution | None, starting: Execution) -> str:
    """On what the graphs run: those of a running daemon, and of what starts next where that is another thing."""
    now, then = (f"{one.precision} on {runs_text(one)}" for one in (running or starting, starting))
    return now if now == then else f"{now} (from the next start on: {then})"


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """Every way to run the graphs with its time, or why it is of no use."""
    both = len({outcome.precision for outcome in outcomes}) > 1
    parts = []
    for (precision, provider), group in groupby(outcomes, key=lambda outcome: (outcome.precision, outcome.provider)):
        told = ", ".join(dict.fromkeys(_outcome(outcome) for outcome in group))
        parts.append(f"{precision} on {provider} {told}" if both else f"{provider} {told}")
    return "; ".join(parts)


def _outcome(outcome: Outcome) -> str:
    if outcome.median_ms is None:
        return f"is of no use ({outcome.fault})"
    with_threads = f" with {_threads(outcome.threads)}" if outcome.provider in ON_CORES else ""
    return f"{outcome.median_ms:.1f} ms{with_threads}"


def _threads(number: int) -> str:
    return f"{number} thread" if number == 1 else f"{number} threads"
