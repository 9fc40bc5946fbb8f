"""Chooses two constants on development data alone: training pictures of the two sets, and far unknowns of other kinds.

No test picture is opened. Of every known class one half is taught and the half most unlike it is asked, which is how
a device's tomorrow differs from its today; further classes, left out, are the near unknowns. The near-duplicate cosine
is the lowest that costs at most a tenth of a point. The slack on distances is the one with the best near AUROC among
those that, with the next smaller and the next larger one, have a far AUROC of at least 0.999 on both sets; why the
neighbours have to hold is told in docs/decisions/0003.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.record import Figure, backbone_home, data, report

from edgecl import unknown
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings, MemorySettings
from edgecl.evaluate import metrics
from edgecl.evaluate.streams import embed_files
from edgecl.heads import softmax
from edgecl.images import images_below
from edgecl.memory.replay import select
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser

SLACKS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
COSINES = (0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0)
CHOICES = range(5)
LEFT_OUT = 0.26  # of the classes: 21 of 81
KEEP = 20
FAR_NEEDED = 0.999
COST_ALLOWED = 0.001


@dataclass(frozen=True)
class Development:
    """Taught pictures, pictures of the same classes unlike them, of classes left out, and of nothing of the kind."""

    taught: MemoryView
    asked: MemoryView
    near: NDArray[np.float32]
    far: NDArray[np.float32]


def developments(everything: MemoryView, far: NDArray[np.float32]) -> Iterator[Development]:
    """Five choices of the classes left out, and both halves of the others."""
    for seed in CHOICES:
        classes = np.random.default_rng(1000 + seed).permutation(np.unique(everything.class_ids))
        left_out = np.isin(everything.class_ids, classes[: round(LEFT_OUT * len(classes))])
        known = everything.without(left_out)
        for half in unknown.unlike_halves(known):
            yield Development(known.select(half), known.without(half), everything.vectors[left_out], far)


def taught(view: MemoryView, cosine: float) -> MemoryView:
    """What the memory would have kept of the view."""
    nothing, kept = view.without(np.ones(len(view), bool)), []
    for class_id in np.unique(view.class_ids):
        rows = np.flatnonzero(view.class_ids == class_id)
        chosen = select(nothing, None, view.vectors[rows], per_class=KEEP, total=10**6, redundant_cosine=cosine)
        kept.extend(rows[list(chosen.kept)])
    return view.select(np.isin(np.arange(len(view)), kept))


def rejection(development: Development, cosine: float) -> dict[float, tuple[float, float]]:
    """Slack → (far AUROC, near AUROC)."""
    found = {}
    usual = unknown.DISTANCE_SLACK
    memory = taught(development.taught, cosine)
    try:
        for slack in SLACKS:
            unknown.DISTANCE_SLACK = slack
            recogniser = Recogniser.fit(memory, "softmax")
            known, near, far = (
                recogniser.rejector.scores(vectors, recogniser.head.logits(vectors)).astype(np.float64)
                for vectors in (development.asked.vectors, development.near, development.far)
            )
            found[slack] = metrics.auroc(known, far), metrics.auroc(known, near)
    finally:
        unknown.DISTANCE_SLACK = usual
    return found


def accuracy(development: Development, cosine: float) -> tuple[float, int]:
    """Share of right answers about the unlike half, and the number of examples kept."""
    memory = taught(development.taught, cosine)
    head = softmax.fit(memory)
    answers = head.class_ids[head.logits(development.asked.vectors).argmax(axis=1)]
    return float((answers == development.asked.class_ids).mean()), len(memory)


def _costs_little(table: dict[float, list[float]], cosine: float) -> bool:
    return table[cosine][0] >= max(share for share, _ in table.values()) - COST_ALLOWED


def _means(found: list[dict[float, tuple[float, float]]]) -> dict[float, list[float]]:
    return {slack: np.mean([one[slack] for one in found], axis=0).tolist() for slack in SLACKS}


def pictures(folder: Path, backbone: Backbone, cache: Path) -> MemoryView:
    """The training pictures of a set, by class."""
    paths = images_below(folder / "train")
    names = sorted({path.parent.name for path in paths})
    class_ids = np.asarray([names.index(path.parent.name) for path in paths], np.int64)
    vectors = embed_files(paths, backbone, kept=True, cache=cache)
    rows = np.arange(len(paths))
    return MemoryView(
        vectors, class_ids, rows, rows, dict(enumerate(names)), backbone.tail_digest, 0, backbone.manifest.spread
    )


def main() -> None:
    """Measure, choose by the rules, and report what the code uses beside it."""
    from edgecl.releases import current

    backbone = Backbone(current(backbone_home()), BackboneSettings())
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        sets = {name: pictures(data(name), backbone, cache) for name in ("grocery", "coil100")}
        photographs = embed_files(images_below(data("imagenet200")), backbone, kept=False, cache=cache)
    cases = {}
    for name, everything in sets.items():
        others = [view.vectors for key, view in sets.items() if key != name]
        cases[name] = list(developments(everything, np.concatenate([photographs, *others])))
    accuracies = {
        name: {c: np.mean([accuracy(case, c) for case in found], axis=0).tolist() for c in COSINES}
        for name, found in cases.items()
    }
    cosine = min(c for c in COSINES if all(_costs_little(table, c) for table in accuracies.values()))
    rejections = {name: _means([rejection(case, cosine) for case in found]) for name, found in cases.items()}
    holds = [all(table[s][0] >= FAR_NEEDED for table in rejections.values()) for s in SLACKS]
    able = [SLACKS[i] for i in range(1, len(SLACKS) - 1) if all(holds[i - 1 : i + 2])]
    slack = max(able, key=lambda s: np.mean([table[s][1] for table in rejections.values()]))
    report(
        "constants",
        [
            Figure("slack on distances: chosen here", slack),
            Figure("slack on distances: in the code", unknown.DISTANCE_SLACK),
            Figure("near-duplicate cosine: chosen here", cosine),
            Figure("near-duplicate cosine: in the code", MemorySettings().redundant_cosine),
        ],
        {"slack: [far AUROC, near AUROC]": rejections, "cosine: [accuracy, examples kept]": accuracies},
    )


if __name__ == "__main__":
    main()
