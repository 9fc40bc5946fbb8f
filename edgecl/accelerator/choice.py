"""Which of what was measured is taken: decided here, without trying anything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edgecl.manifest import Precision
from edgecl.runtime import PROVIDERS, Provider

THREAD_WORTH = 1.05  # so much faster is a further thread, or the core goes to the camera and the page
PLAINNESS_WORTH = 1.10  # so much faster is what is less plain, or exact: another provider than the CPU, fp32 than int8
_PLAINEST: tuple[Precision, ...] = ("int8", "fp32")

Milliseconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Outcome(BaseModel):
    """What came of one way to run the graphs.

    Attributes:
        precision: of both graphs.
        provider: that computes them.
        threads: it had.
        median_ms: from a picture of a camera to its embedding.
        quickest_ms: of all times, which a busy machine leaves nearly as it is; it decides.
        fault: why it is of no use, in words; None where it answered as the machine that exported the backbone.
        may_pass: whether the fault may be one of that moment alone: no memory to be had, a machine that was busy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Precision
    provider: Provider
    threads: Annotated[int, Field(ge=1, le=1024)]
    median_ms: Milliseconds | None = None
    quickest_ms: Milliseconds | None = None
    fault: str | None = None
    may_pass: bool = False


def choose(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The fastest of those without a fault, unless a plainer one is nearly as fast; None where all have one."""
    usable = [(outcome.quickest_ms, outcome) for outcome in outcomes if outcome.quickest_ms is not None]
    best = [_fewest_threads(list(group)) for _, group in groupby(sorted(usable, key=_plainness), key=_plainness)]
    if not best:
        return None
    bar = PLAINNESS_WORTH * min(ms for ms, _ in best)
    return next(outcome for ms, outcome in best if ms <= bar)


def _plainness(found: tuple[float, Outcome]) -> tuple[int, int]:
    outcome = found[1]
    return _PLAINEST.index(outcome.precision), list(PROVIDERS).index(outcome.provider)


def _fewest_threads(group: Sequence[tuple[float, Outcome]]) -> tuple[float, Outcome]:
    bar = THREAD_WORTH * min(ms for ms, _ in group)
    return min((found for found in group if found[0] <= bar), key=lambda found: found[1].threads)
