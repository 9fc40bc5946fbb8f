"""New classes, then consolidations from what the memory kept of them: what the slow half adds to the fast one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecl.backbone import Backbone
from edgecl.evaluate.new_classes import NewClasses, new_classes
from edgecl.evaluate.protocol import Setting, kept_of
from edgecl.evaluate.streams import Latents, LatentStream, Progress, class_stream, latent_stream
from edgecl.heads import Fit, fit_of
from edgecl.manifest import Precision
from edgecl.process import peak_rss_mb

if TYPE_CHECKING:
    from edgecl.workstation.attempt import Attempt
    from edgecl.workstation.material import Material
    from edgecl.workstation.parent import Parent
    from edgecl.workstation.recipes import Recipe


@dataclass(frozen=True)
class Round:
    """One consolidation.

    Attributes:
        held_out_before, held_out_after: mean accuracy over classes on the views of the memory that were held out, with
            the tail that was trained further and with the whole of what was trained.
        share: of the way from the one to the other that was accepted; 0 where none was.
        reason: by which figure that was accepted, or the whole refused.
        final_accuracy_released: on the test pictures, with the tail that runs after it.
        seconds: from the memory to the decision.
    """

    held_out_before: float
    held_out_after: float
    share: float
    reason: str
    final_accuracy_released: float
    seconds: float


@dataclass(frozen=True)
class Consolidated(NewClasses):
    """Result of new classes with consolidations at the end; every field before these is of the head alone.

    Attributes:
        recipe: by which the tail was trained.
        final_accuracy_consolidated: on the test pictures, of the usual head fitted anew to the memory as the tail after
            the first consolidation embeds it, accepted or not.
        per_class_consolidated: the same of each class.
        held_out_before, held_out_after, reason: of the first consolidation, see `Round`.
        final_accuracy_released: on the test pictures, with the tail that runs at the end: what was accepted, the whole
            of what was trained or a share of it, or the one of before.
        share_released: of the first consolidation; 0 where nothing was accepted.
        accepted: whether the first was.
        rounds: one after the other, each from what the one before became; only the last may have been refused.
        seconds_consolidating: all of them.
        peak_rss_mb: most memory that the process held, MB; it holds the test pictures' latents, too.
    """

    recipe: str
    final_accuracy_consolidated: float
    per_class_consolidated: dict[str, float]
    held_out_before: float
    held_out_after: float
    final_accuracy_released: float
    share_released: float
    accepted: bool
    reason: str
    rounds: list[Round]
    seconds_consolidating: float
    peak_rss_mb: float


def new_classes_consolidated(
    recipe: str,
    seed: int,
    setting: Setting,
    backbone: Backbone,
    folder: Path,
    progress: Progress | None = None,
    on_lesson: Callable[[int, int], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    times: int = 1,
) -> Consolidated:
    """Teach the classes lesson after lesson, consolidate from what was kept, and test again.

    Args:
        recipe: by which to train the tail.
        seed: of the first training; each further one has the next.
        setting: what is taught, and how.
        backbone: of the release in `folder`.
        folder: the release whose tail is trained.
        progress: called with images embedded and images in all.
        on_lesson: called with lessons taught and lessons in all.
        on_step: called with training steps done and in all.
        times: most consolidations, each from what the one before became, until one is refused.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/*, or has fewer classes than lessons.
        ConfigRefused: no such head.
        ConsolidationRefused: no such recipe, or the training diverged.
        ExtraMissing: PyTorch is not installed.
    """
    from edgecl.workstation.parent import Parent  # here, for a device that evaluates its head has no PyTorch
    from edgecl.workstation.recipes import recipe_of

    by = recipe_of(recipe)
    before = new_classes(setting, backbone, progress, on_lesson)
    stream = class_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    latents = latent_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    kept = np.concatenate([kept_of(label, stream, setting.keep) for label in range(len(stream.names))])
    memory, asked = _material(latents, latents.train.select(kept)), _material(latents, latents.test)
    precision, fit = backbone.precision, fit_of(setting.head)
    rounds, wholly_right, released = list[Round](), np.zeros(0, bool), before.final_accuracy
    for made in _attempts(Parent.of(folder), memory, by, seed, times, precision, fit, on_step):
        if not rounds:
            wholly_right = made.tried[0].answers(memory, asked, precision, fit) == asked.class_ids
        if made.chosen.verdict.accepted:
            released = float((made.chosen.answers(memory, asked, precision, fit) == asked.class_ids).mean())
        rounds.append(_round(made, released))
    first = rounds[0]
    return Consolidated(
        **vars(before),
        recipe=by.name,
        final_accuracy_consolidated=float(wholly_right.mean()),
        per_class_consolidated={
            name: float(wholly_right[asked.class_ids == label].mean()) for label, name in enumerate(latents.names)
        },
        held_out_before=first.held_out_before,
        held_out_after=first.held_out_after,
        final_accuracy_released=released,
        share_released=first.share,
        accepted=first.share > 0.0,
        reason=first.reason,
        rounds=rounds,
        seconds_consolidating=sum(one.seconds for one in rounds),
        peak_rss_mb=peak_rss_mb(),
    )


def _attempts(
    parent: Parent,
    memory: Material,
    recipe: Recipe,
    seed: int,
    times: int,
    precision: Precision,
    fit: Fit,
    on_step: Callable[[int, int], None] | None,
) -> Iterator[Attempt]:
    """At most `times` consolidations, each from what the one before became, until one is refused."""
    from edgecl.workstation.attempt import attempt
    from edgecl.workstation.package import write_whole
    from edgecl.workstation.parent import Parent
    from edgecl.workstation.training import Plan

    with tempfile.TemporaryDirectory() as place:
        for number in range(times):
            made = attempt(parent, memory, recipe, Plan(seed=seed + number), precision, fit, step=on_step)
            yield made
            if not made.chosen.verdict.accepted:
                return
            parent = Parent.of(write_whole(made, Path(place, str(number))))


def _round(made: Attempt, released: float) -> Round:
    judged, verdict = made.tried[0].judged, made.chosen.verdict
    return Round(
        judged.accuracy_before,
        judged.accuracy_after,
        made.chosen.share if verdict.accepted else 0.0,
        verdict.reason,
        released,
        made.seconds,
    )


def _material(stream: LatentStream, latents: Latents) -> Material:
    from edgecl.workstation.material import Material

    zero_points = latents.zero_points.astype(np.int64)
    names = dict(enumerate(stream.names))
    return Material(latents.codes, latents.scales, zero_points, latents.labels, latents.labels, names)
