"""README's table of figures, made of what the benchmarks measured last."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from support.record import RESULTS

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- /figures -->)", re.DOTALL)
FORGETTING = "0.01, [missed](docs/decisions/0005-two-numbers-for-forgetting.md)"
INSTALLED = "25 MB; 450 MB, [missed with pip](docs/decisions/0021-what-a-device-installs.md)"
GROWTH = "1 ×, [missed](docs/decisions/0006-a-lesson-costs-classes-times-examples.md)"


@dataclass(frozen=True)
class Row:
    """One line: what was measured, by which script, its figures by name, how they are written, and the goal."""

    what: str
    script: str
    figures: tuple[str, ...]
    form: str
    goal: str = ""

    def line(self) -> str:
        """The line with the figures of the last run."""
        found = json.loads((RESULTS / f"{self.script}.json").read_text("utf-8"))["figures"]
        values = {figure["name"]: figure["value"] for figure in found}
        shown = self.form.format(*(values[name] for name in self.figures))
        return f"| {self.what} | {shown} | {self.goal} | `{self.script}.py` |"


OVER = "{} of 5 choices of unseen classes: {}"
ROWS = (
    Row(
        "81 kinds of groceries, one a lesson, 20 examples kept of each: final accuracy, int8 / fp32",
        "new_classes",
        ("grocery int8, final accuracy", "grocery fp32, final accuracy"),
        "{:.3f} / {:.3f}",
        "0.755",
    ),
    Row(
        "the same, offline logistic regression with all data at once",
        "new_classes",
        ("grocery, offline logistic regression, all data at once",),
        "{:.3f}",
    ),
    Row(
        "the same, best less worst of 5 orders of teaching",
        "new_classes",
        ("grocery fp32, max − min over 5 orders",),
        "{:.4f}",
        "0.003",
    ),
    Row(
        "the same, forgetting, choosing among all classes (worst of 5 orders) / among those known when taught",
        "new_classes",
        (
            "grocery fp32, forgetting",
            "grocery fp32, forgetting, worst of 5 orders",
            "grocery fp32, forgetting among earlier classes",
        ),
        "{:.3f} ({:.3f}) / {:.3f}",
        FORGETTING,
    ),
    Row(
        "99 objects of COIL-100: final accuracy, int8 / fp32",
        "new_classes",
        ("coil100 int8, final accuracy", "coil100 fp32, final accuracy"),
        "{:.4f} / {:.4f}",
        "0.983 in fp32",
    ),
    Row(
        "unknown of another kind: AUROC (worst of 5 choices of what is known)",
        "open_set",
        ("far unknown, AUROC", OVER.format("worst", "auroc_far")),
        "{:.4f} ({:.4f})",
        "0.999",
    ),
    Row(
        "the same, share taken for known where 95 % of the known are: FPR",
        "open_set",
        ("far unknown, FPR at 95 % TPR", OVER.format("worst", "fpr95_far")),
        "{:.4f} ({:.4f})",
        "0.01",
    ),
    Row(
        "unknown, but alike (21 kinds never taught): AUROC (mean, worst)",
        "open_set",
        ("near unknown, AUROC", OVER.format("mean", "auroc_near"), OVER.format("worst", "auroc_near")),
        "{:.3f} ({:.3f}, {:.3f})",
        "0.74",
    ),
    Row(
        "calibration error (ECE) of accepted answers (mean, worst)",
        "open_set",
        ("calibration error of accepted answers", OVER.format("mean", "ece"), OVER.format("worst", "ece")),
        "{:.3f} ({:.3f}, {:.3f})",
        "0.05",
    ),
    Row(
        "frame to prediction against the bare int8 network, one thread",
        "speed",
        ("frame to prediction / bare network, int8, one thread",),
        "{:.2f} ×",
        "1.25 ×",
    ),
    Row(
        "a lesson of 30 frames with 100 classes known: first answer, all learned",
        "speed",
        ("lesson with 100 classes known, first answer, ms", "lesson with 100 classes known, all learned, ms"),
        "{:.0f} ms, {:.0f} ms",
        "150 ms, 2,000 ms",
    ),
    Row(
        "the same with 1,000 classes known: growth of the time against that of the examples",
        "speed",
        ("growth of the time from 100 to 1,000 classes / growth of the examples",),
        "{:.1f} ×",
        GROWTH,
    ),
    Row(
        "memory at its peak with 100 × 20 examples, a lesson included",
        "speed",
        ("peak memory with 100 × 20 examples, a lesson included, MB",),
        "{:.0f} MB",
        "220 MB",
    ),
    Row("start to first prediction", "speed", ("start to first prediction, s",), "{:.1f} s", "2.5 s"),
    Row(
        "81 groceries, then one consolidation from that memory alone: final accuracy, mean of 3 seeds (before)",
        "consolidation",
        ("grocery int8, default recipe (ar1), final accuracy", "grocery int8, frozen, final accuracy"),
        "{:.3f} ({:.3f})",
        "0.800",
    ),
    Row(
        "the same, as far as it was accepted: final accuracy, mean of 3 seeds",
        "consolidation",
        ("ar1, final accuracy of what was accepted, mean",),
        "{:.3f}",
    ),
    Row(
        "the same: time on two cores, memory at its peak",
        "consolidation",
        ("minutes of one consolidation, alone on this machine", "MB at most"),
        "{:.1f} minutes, {:.0f} MB",
        "8 minutes, 2,000 MB",
    ),
    Row(
        "30 kinds that a second consolidation is not shown: points lost with the default recipe, with none",
        "forgetting",
        ("lost by the default recipe, points", "lost by naive, points"),
        "{:.1f}, {:.1f}",
        "at most half",
    ),
    Row(
        "groceries in 10 lessons: edgecl with consolidations until one is refused (with one) / all data kept and "
        "trained on each time / the best published strategy that keeps nothing",
        "strategies",
        (
            "grocery, edgecl, consolidated, final accuracy",
            "grocery, edgecl, consolidated once, final accuracy",
            "grocery, cumulative, final accuracy",
            "grocery, best strategy that keeps nothing, final accuracy",
        ),
        "{:.3f} ({:.3f}) / {:.3f} / {:.3f}",
        "within 0.01 / above",
    ),
    Row(
        "the same with COIL-100",
        "strategies",
        (
            "coil100, edgecl, consolidated, final accuracy",
            "coil100, edgecl, consolidated once, final accuracy",
            "coil100, cumulative, final accuracy",
            "coil100, best strategy that keeps nothing, final accuracy",
        ),
        "{:.3f} ({:.3f}) / {:.3f} / {:.3f}",
        "within 0.01 / above",
    ),
    Row(
        "a new release: 3,000 examples embedded anew on one core, the switch, frame age (p99) meanwhile against before",
        "swap",
        (
            "examples embedded and committed in a second, one core",
            "the switch itself, ms",
            "p99 age of an answer during the swap / before and after it",
        ),
        "{:.0f} a second, {:.0f} ms, {:.1f} ×",
        "150 a second, 50 ms, 2 ×",
    ),
    Row(
        "the daemon at 640 × 480 and 30 frames a second: of one core beyond the network alone, age of answers (p95)",
        "daemon",
        ("beyond the network alone, share of one core", "age of an answer, p95, ms"),
        "{:.2f}, {:.0f} ms",
        "0.45, 60 ms",
    ),
    Row(
        "the same with a network ten times as slow: age (p99)",
        "daemon",
        ("network ten times as slow: age, p99, ms",),
        "{:.0f} ms",
        "500 ms",
    ),
    Row(
        "its API while 15 frames a second are answered and a fit goes on: state, predict (p99)",
        "daemon",
        (
            "state, p99 while 15 frames a second are answered and a fit goes on, ms",
            "predict, likewise, ms",
        ),
        "{:.0f} ms, {:.0f} ms",
        "50 ms",
    ),
    Row(
        "frames it answers with 5 viewers against none",
        "daemon",
        ("frames in a second with 5 viewers / without",),
        "{:.2f} ×",
        "0.9 ×",
    ),
    Row(
        "its memory with 100 × 20 examples (its peak), growth in 10 minutes of mixed load (in the 3 minutes before)",
        "daemon",
        (
            "memory of the daemon with 100 × 20 examples, after some lessons, MB",
            "the highest it ever was, two fits and a lesson at once, MB",
            "growth meanwhile, MB",
            "growth in the first 3 minutes of mixed load, while rings of moments and newcomers fill, MB",
        ),
        "{:.0f} MB ({:.0f}), {:.1f} MB ({:.0f})",
        "260 MB, 5 MB",
    ),
    Row(
        "a camera that speaks RTSP is unplugged, or silent, for up to 100 s: told after, well again after (worst of 3)",
        "faults",
        (
            "unplugged: told after, worst of 3, s",
            "silent: told after, worst of 3, s",
            "unplugged: well again after, worst, s",
            "silent: well again after, worst, s",
        ),
        "{:.1f} s, {:.1f} s; {:.1f} s, {:.1f} s",
        "5 s; 10 s",
    ),
    Row(
        "the page: until it can be used, loaded for it, from letting go of the button to the name on the screen",
        "page",
        (
            "until the page can be used, nothing cached, worst of six loads, s",
            "loaded for it, pictures aside, kB",
            "from letting go to its name shown, worst of five lessons, s",
        ),
        "{:.1f} s, {:.0f} kB, {:.1f} s",
        "1 s, 200 kB, 1 s",
    ),
    Row(
        "the daemon from its start to the first answer: read from the disk (worst of 5), in memory already (median)",
        "start",
        (
            "from its start to the first answer, all read from the disk, worst, s",
            "from its start to the first answer, median, s",
        ),
        "{:.1f} s, {:.1f} s",
        "3 s",
    ),
    Row(
        "the wheel with the backbone in it; Python packages of a device, installed (with pip)",
        "install_size",
        (
            "the wheel with the backbone in it, MB",
            "installed size of the base environment, MB",
            "the same with the pip that venv adds, MB",
        ),
        "{:.1f} MB; {:.1f} MB ({:.1f})",
        INSTALLED,
    ),
    Row(
        "100 pictures with arm64's wheels, emulated, against x86: same labels, least cosine of embeddings",
        "arm64",
        ("pictures of 100 with the same label as on x86", "least cosine between both embeddings of a picture"),
        "{:.0f}, {:.6f}",
        "100, 0.999",
    ),
    Row(
        "to find out what the graphs run fastest on; what is chosen against a thread for every core",
        "accelerator",
        (
            "to measure with the default settings, s",
            "what is chosen / the CPU with a thread for every core, int8",
        ),
        "{:.1f} s, {:.2f} ×",
        "15 s, 1.05 ×",
    ),
)


def table() -> str:
    """The table, between README's marks."""
    return "\n".join(["| | measured | goal | script |", "|---|---|---|---|", *(row.line() for row in ROWS)]) + "\n"


def main() -> None:
    """Put the table into README."""
    README.write_text(BLOCK.sub(lambda found: table(), README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
