"""The report of a consolidation: for machines (JSON), for people (Markdown) and at a glance (PNG)."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecl.workstation.acceptance import Judged
from edgecl.workstation.attempt import Attempt, Tried
from edgecl.workstation.audit import LayerAudit
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.training import Epoch, Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORST = 10  # classes named in words
LABEL_LENGTH = 22  # letters of a class's name on an axis
BEFORE, AFTER, PENALTY = "#8a8f98", "#0b6e4f", "#c1440e"


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that was measured of one candidate.

    Attributes:
        made: the attempt.
        recipe: by which it was trained.
        plan: how it was trained.
        parent: number of the release that was trained further, None outside a home.
        examples: in the memory.
        seconds: that it took, all in all.
        peak_rss_mb: most memory the process held, MB.
    """

    made: Attempt
    recipe: Recipe
    plan: Plan
    parent: int | None
    examples: int
    seconds: float
    peak_rss_mb: float

    def record(self) -> dict[str, Any]:
        """What `edgecl consolidate --json` prints, as far as it is known here."""
        judged = self.made.chosen.judged
        return {
            "recipe": self.recipe.name,
            "penalty": self.recipe.penalty,
            "strength": self.made.trained.strength,
            "mode": self.recipe.mode if self.recipe.penalty else None,
            "seed": self.plan.seed,
            "accuracy_before": judged.accuracy_before,
            "accuracy_after": judged.accuracy_after,
            "per_class": judged.per_class(),
            "accepted": self.made.chosen.verdict.accepted,
            "reason": self.made.chosen.verdict.reason,
            "share": self.made.chosen.share,
            "tried": [
                {
                    "share": one.share,
                    "accuracy_after": one.judged.accuracy_after,
                    "accepted": one.verdict.accepted,
                    "reason": one.verdict.reason,
                }
                for one in self.made.tried
            ],
            "parent": self.parent,
            "seconds": round(self.seconds, 2),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "audit": [asdict(layer) for layer in self.made.trained.audit],
            "epochs": [asdict(epoch) for epoch in self.made.trained.epochs],
            "examples": self.examples,
            "views": len(judged.expected),
            "parity": {precision: dict(figures) for precision, figures in self.made.chosen.candidate.parity.items()},
            "latency": dict(self.made.chosen.candidate.latency),
            "bar": asdict(self.made.bar),
            "plan": asdict(self.plan),
        }

    def files(self) -> dict[str, bytes]:
        """acceptance.json, report.md and report.png."""
        confusion = {
            name: _confusions(self.made.chosen.judged, getattr(self.made.chosen.judged, name))
            for name in ("before", "after")
        }
        record = self.record() | {"confusion": confusion}
        return {
            "acceptance.json": (json.dumps(record, indent=1, allow_nan=False) + "\n").encode("utf-8"),
            "report.md": self.text().encode("utf-8"),
            "report.png": self.picture(),
        }

    def text(self) -> str:
        """The report in words, as Markdown."""
        judged, trained, plan = self.made.chosen.judged, self.made.trained, self.plan
        penalty = "none"
        if trained.strength is not None:
            penalty = f"{self.recipe.penalty}, strength {trained.strength:g}, mode {self.recipe.mode}"
        lines = [
            f"# {'Accepted' if self.made.chosen.verdict.accepted else 'Refused'}: {self.made.chosen.verdict.reason}",
            "",
            "| | |",
            "|---|---|",
            f"| recipe | {self.recipe.name}; penalty: {penalty} |",
            f"| training | {len(trained.epochs)} of {plan.epochs} epochs at rate {plan.rate:g}, seed {plan.seed} |",
            f"| of the way that was trained | {_tried(self.made.tried)} |",
            f"| memory | {self.examples} examples of {len(judged.names)} classes, {len(judged.expected)} held out |",
            f"| accuracy, held out | {judged.accuracy_before:.4f} before, {judged.accuracy_after:.4f} after |",
            *(
                f"| {precision} graph | least cosine to the network {figures['cosine_min']:.4f}, "
                f"{self.made.chosen.candidate.latency[precision]:.2f} × the time of the current one |"
                for precision, figures in self.made.chosen.candidate.parity.items()
            ),
            f"| cost | {self.seconds:.0f} s, at most {self.peak_rss_mb:.0f} MB |",
            "",
            "![per class, confusion, gradients, training](report.png)",
            "",
            f"## The {WORST} classes that changed least for the better",
            "",
            "| class | views held out | before | after | fall that is believed, points |",
            "|---|--:|--:|--:|--:|",
            *(
                f"| {name.replace('|', '&#124;')} | {figures['views']} | {figures['before']:.2f} | "
                f"{figures['after']:.2f} | {100 * figures['fall'] + 0.0:+.1f} |"
                for name, figures in sorted(judged.per_class().items(), key=lambda item: -item[1]["fall"])[:WORST]
            ),
            "",
            "## Where the gradient of each layer came from, after the last step",
            "",
            "| layer | cross-entropy | penalty |",
            "|---|--:|--:|",
            *(
                f"| {layer.layer} | {layer.cross_entropy:.3g} | {layer.penalty:.3g} |"
                for layer in self.made.trained.audit
            ),
        ]
        return "\n".join(lines) + "\n"

    def picture(self) -> bytes:
        """The report as one PNG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 10), dpi=100, layout="constrained")
        (classes, confusion), (gradients, training) = figure.subplots(2, 2)
        draw_classes(classes, self.made.chosen.judged)
        _draw_confusion(confusion, self.made.chosen.judged)
        draw_audit(gradients, self.made.trained.audit)
        _draw_training(training, self.made.trained.epochs)
        figure.suptitle(f"{self.recipe.name}: {'accepted' if self.made.chosen.verdict.accepted else 'refused'}")
        return png(figure)


def png(figure: Any) -> bytes:
    """A Matplotlib figure as a PNG file that holds no time and no version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a class's name may be in any script, the font is in few
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_classes(axes: Axes, judged: Judged) -> None:
    """Accuracy of each class before and after, the classes in the order of the latter."""
    before, after = judged.accuracies(judged.before), judged.accuracies(judged.after)
    order = np.lexsort((before, after))
    places = np.arange(len(order))
    axes.vlines(places, before[order], after[order], color=BEFORE, linewidth=1)
    axes.plot(places, before[order], "o", color=BEFORE, markersize=4, label=f"before, mean {before.mean():.3f}")
    axes.plot(places, after[order], "o", color=AFTER, markersize=4, label=f"after, mean {after.mean():.3f}")
    axes.set(title="held-out views, by class", ylabel="accuracy", ylim=(-0.03, 1.03), xlabel="classes")
    if len(order) <= 20:
        names = [judged.names[int(judged.judged[k])] for k in order]
        shown = [_shortened(name) for name in names]
        axes.set_xticks(places, shown, rotation=45, ha="right", fontsize=8, parse_math=False)
    axes.legend(loc="lower right")


def _draw_confusion(axes: Axes, judged: Judged) -> None:
    """Which class is taken for which after; how many views were wrong before and after is in the title."""
    size = len(judged.names)
    counts = np.zeros((size, size))
    np.add.at(counts, (judged.expected, judged.after), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Greens", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.figure.colorbar(image, ax=axes, label="share of the class's views")
    wrong = [int((answers != judged.expected).sum()) for answers in (judged.before, judged.after)]
    axes.set(
        title=f"confusion after ({wrong[0]} wrong views before, {wrong[1]} after)", xlabel="answer", ylabel="class"
    )


def draw_audit(axes: Axes, audit: list[LayerAudit]) -> None:
    """Gradient norm of each layer by source, on a logarithmic axis; a norm of exactly 0 has no bar but a mark."""
    places = np.arange(len(audit))
    for offset, name, colour in ((-0.2, "cross_entropy", AFTER), (0.2, "penalty", PENALTY)):
        norms = np.array([getattr(layer, name) for layer in audit])
        axes.bar(places + offset, norms, 0.4, color=colour, label=name.replace("_", "-"))
        for place in places[norms == 0]:
            axes.annotate("0", (place + offset, 0.01), xycoords=("data", "axes fraction"), ha="center", color=colour)
    if any(layer.cross_entropy or layer.penalty for layer in audit):
        axes.set_yscale("log")
    axes.set_xticks(places, [layer.layer for layer in audit], rotation=90, fontsize=7)
    axes.set(title="gradient of each layer, by where it comes from", ylabel="L2 norm")
    axes.legend(loc="upper left")


def _draw_training(axes: Axes, epochs: list[Epoch]) -> None:
    numbers = [epoch.number for epoch in epochs]
    axes.plot(numbers, [epoch.loss for epoch in epochs], "o-", color=BEFORE, label="cross-entropy, smoothed")
    axes.plot(numbers, [epoch.held_out_loss for epoch in epochs], "o-", color=AFTER, label="cross-entropy, held out")
    axes.plot(numbers, [epoch.penalty for epoch in epochs], "o-", color=PENALTY, label="penalty")
    axes.set(title="training", xlabel="epoch", ylabel="loss")
    axes.legend(loc="upper right")


def _tried(tried: Sequence[Tried]) -> str:
    """`100 % refused, 75 % accepted`."""
    return ", ".join(f"{100 * one.share:.0f} % {'accepted' if one.verdict.accepted else 'refused'}" for one in tried)


def _shortened(name: str) -> str:
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"


def _confusions(judged: Judged, answers: NDArray[np.int64]) -> list[tuple[str, str, int]]:
    """(class, answer, views) of every pair that occurs, right ones too."""
    pairs, counts = np.unique(np.stack([judged.expected, answers]), axis=1, return_counts=True)
    return [
        (judged.names[k], judged.names[answer], int(count)) for (k, answer), count in zip(pairs.T, counts, strict=True)
    ]
