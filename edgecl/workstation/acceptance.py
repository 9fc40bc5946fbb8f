"""The decision on a candidate: is it measured better on what it was not trained on? Nothing is read or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.manifest import Precision
from edgecl.workstation.parity import LIMITS

EXACT = 1e-9  # shares that are equal may differ by rounding


@dataclass(frozen=True)
class Bar:
    """What a candidate has to clear, beside the limits between graph and network that every export has to.

    Attributes:
        gain_min: least rise of the mean accuracy on held-out views, in [0, 1].
        class_fall_max: most that any class may be believed to have fallen, in [0, 1].
        unchanged_views: a class has few views held out, and one of five is 20 points. Until its own views say otherwise
            it is taken not to have changed: that counts like so many views, and what they say like as many as they are.
            0 believes what is measured.
        latency_max: most time of the tail, in times of the current one's.
    """

    gain_min: float = 0.005
    class_fall_max: float = 0.03
    unchanged_views: int = 80
    latency_max: float = 1.25


@dataclass(frozen=True, eq=False)
class Judged:
    """Held-out views, answered before and after, each by a head fitted to the examples that are not held out.

    Attributes:
        names: of the classes, in the order of their numbers.
        expected: int64 (n,), class number of each view.
        before: int64 (n,), what was answered with the tail of the current release.
        after: int64 (n,), with that of the candidate.
        unchanged_views: see `Bar`.
    """

    names: Sequence[str]
    expected: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    unchanged_views: int = Bar.unchanged_views

    @property
    def judged(self) -> NDArray[np.int64]:
        """Numbers of the classes that have views, rising."""
        return np.unique(self.expected)

    def accuracies(self, answers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of right `answers` of each judged class."""
        return np.array([(answers[self.expected == k] == k).mean() for k in self.judged])

    @property
    def accuracy_before(self) -> float:
        """Mean over classes, in [0, 1]."""
        return float(self.accuracies(self.before).mean())

    @property
    def accuracy_after(self) -> float:
        """Mean over classes, in [0, 1]."""
        return float(self.accuracies(self.after).mean())

    @property
    def views(self) -> NDArray[np.int64]:
        """How many each judged class has."""
        return np.array([(self.expected == k).sum() for k in self.judged])

    def falls(self) -> NDArray[np.float64]:
        """By how much each judged class is believed to have fallen, in [-1, 1]; negative where it rose."""
        change = self.accuracies(self.after) - self.accuracies(self.before)
        result: NDArray[np.float64] = -self.views * change / (self.views + self.unchanged_views)
        return result

    def seen_of(self, place: int) -> str:
        """What was measured of the judged class at `place`, in words."""
        before, after = (100 * self.accuracies(answers)[place] for answers in (self.before, self.after))
        name, views = self.names[int(self.judged[place])], self.views[place]
        return f"class {name!r} fell from {before:.0f} % to {after:.0f} % of its {views} held-out views"

    def per_class(self) -> dict[str, dict[str, float]]:
        """Of each judged class: accuracy before and after, the fall that is believed, and the number of views."""
        columns = (self.accuracies(self.before), self.accuracies(self.after), self.falls())
        return {
            self.names[k]: {
                "before": float(before),
                "after": float(after),
                "fall": float(fall),
                "views": int((self.expected == k).sum()),
            }
            for k, before, after, fall in zip(self.judged, *columns, strict=True)
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate becomes a release, and the figure that decided."""

    accepted: bool
    reason: str


def decide(
    judged: Judged,
    parity: Mapping[Precision, Mapping[str, float]],
    latency: Mapping[Precision, float],
    bar: Bar,
) -> Verdict:
    """Accept the candidate, or name the first figure that forbids it.

    Args:
        judged: the held-out views.
        parity: by precision, how the graphs compare with the network; see `Candidate`.
        latency: by precision, time over that of the parent.
        bar: what is asked for.
    """
    gain = judged.accuracy_after - judged.accuracy_before
    refusals = [*_of_graphs(parity), *_of_time(latency, bar), *_of_classes(judged, gain, bar)]
    if refusals:
        return Verdict(False, refusals[0])
    falls = judged.falls()
    worst = int(falls.argmax())
    return Verdict(
        True,
        f"mean accuracy on held-out views rose by {100 * gain:.1f} points, from {_percent(judged.accuracy_before)} to "
        f"{_percent(judged.accuracy_after)}, and no class is believed to have fallen by more than "
        f"{100 * bar.class_fall_max:g}" + (f" (most: {judged.seen_of(worst)})" if falls[worst] > EXACT else ""),
    )


def _of_graphs(parity: Mapping[Precision, Mapping[str, float]]) -> list[str]:
    refusals = []
    for precision, figures in parity.items():
        for limit in LIMITS[precision]:
            found = figures.get(limit.figure)
            if found is not None and not (limit.most is None or found <= limit.most):
                refusals.append(
                    f"found {limit.figure} {found:.2g} of the {precision} graph, expected at most {limit.most}"
                )
            if found is not None and not (limit.least is None or found >= limit.least):
                refusals.append(
                    f"found {limit.figure} {found:.4f} of the {precision} graph, expected at least {limit.least}"
                )
    return refusals


def _of_time(latency: Mapping[Precision, float], bar: Bar) -> list[str]:
    return [
        f"found the {precision} tail {ratio:.2f} times as slow as the current one, expected at most {bar.latency_max}"
        for precision, ratio in latency.items()
        if not ratio <= bar.latency_max
    ]


def _of_classes(judged: Judged, gain: float, bar: Bar) -> list[str]:
    refusals = []
    if not gain >= bar.gain_min - EXACT:
        refusals.append(
            f"mean accuracy on held-out views changed by {100 * gain:+.1f} points, from "
            f"{_percent(judged.accuracy_before)} to {_percent(judged.accuracy_after)}, expected a rise of at least "
            f"{100 * bar.gain_min:g}"
        )
    falls = judged.falls()
    worst = int(falls.argmax())
    if not falls[worst] <= bar.class_fall_max + EXACT:
        refusals.append(
            f"{judged.seen_of(worst)}, which is believed to be {100 * falls[worst]:.1f} points, expected at most "
            f"{100 * bar.class_fall_max:g}"
        )
    return refusals


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
