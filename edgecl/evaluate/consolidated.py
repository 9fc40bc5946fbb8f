"""New classes, then one consolidation from what the memory kept of them: what the slow half adds to the fast one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecl.backbone import Backbone
from edgecl.evaluate.new_classes import NewClasses, new_classes
from edgecl.evaluate.protocol import Setting, kept_of
from edgecl.evaluate.streams import Latents, LatentStream, Progress, class_stream, latent_stream
from edgecl.heads import fit_of
from edgecl.process import peak_rss_mb

if TYPE_CHECKING:
    from edgecl.workstation.material import Material


@dataclass(frozen=True)
class Consolidated(NewClasses):
    """Result of new classes with a consolidation at the end; every field before these is of the head alone.

    Attributes:
        recipe: by which the tail was trained.
        final_accuracy_consolidated: on the test pictures, of the usual head fitted anew to the memory as the trained
            tail embeds it.
        per_class_consolidated: the same of each class.
        held_out_before, held_out_after: mean accuracy over classes on the views of the memory that were held out.
        final_accuracy_released: on the test pictures, after what would have been released: the whole of what was
            trained, a share of it, or nothing.
        share_released: that share; 0 where nothing was accepted.
        reason: by which figure that was accepted, or the whole refused.
        seconds_consolidating: from the memory to the decision.
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
) -> Consolidated:
    """Teach the classes lesson after lesson, consolidate once from what was kept, and test again.

    Args:
        recipe: by which to train the tail.
        seed: of the training.
        setting: what is taught, and how.
        backbone: of the release in `folder`.
        folder: the release whose tail is trained.
        progress: called with images embedded and images in all.
        on_lesson: called with lessons taught and lessons in all.
        on_step: called with training steps done and in all.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/*, or has fewer classes than lessons.
        ConfigRefused: no such head.
        ConsolidationRefused: no such recipe, or the training diverged.
        ExtraMissing: PyTorch is not installed.
    """
    from edgecl.workstation.attempt import attempt  # here, for a device that evaluates its head has no PyTorch
    from edgecl.workstation.parent import Parent
    from edgecl.workstation.recipes import recipe_of
    from edgecl.workstation.training import Plan

    by = recipe_of(recipe)
    before = new_classes(setting, backbone, progress, on_lesson)
    stream = class_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    latents = latent_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    rows = np.concatenate([kept_of(label, stream, setting.keep) for label in range(len(stream.names))])
    memory, fit = _material(latents, latents.train.select(rows)), fit_of(setting.head)
    made = attempt(Parent.of(folder), memory, by, Plan(seed=seed), backbone.precision, fit, step=on_step)
    asked, whole, chosen = _material(latents, latents.test), made.tried[0], made.chosen
    right = whole.answers(memory, asked, backbone.precision, fit) == latents.test.labels
    released = before.final_accuracy
    if chosen.verdict.accepted:
        answers = chosen.answers(memory, asked, backbone.precision, fit)
        released = float((answers == latents.test.labels).mean())
    return Consolidated(
        **vars(before),
        recipe=by.name,
        final_accuracy_consolidated=float(right.mean()),
        per_class_consolidated={
            name: float(right[latents.test.labels == label].mean()) for label, name in enumerate(latents.names)
        },
        held_out_before=whole.judged.accuracy_before,
        held_out_after=whole.judged.accuracy_after,
        final_accuracy_released=released,
        share_released=chosen.share if chosen.verdict.accepted else 0.0,
        accepted=chosen.verdict.accepted,
        reason=chosen.verdict.reason,
        seconds_consolidating=made.seconds,
        peak_rss_mb=peak_rss_mb(),
    )


def _material(stream: LatentStream, latents: Latents) -> Material:
    from edgecl.workstation.material import Material

    zero_points = latents.zero_points.astype(np.int64)
    names = dict(enumerate(stream.names))
    return Material(latents.codes, latents.scales, zero_points, latents.labels, latents.labels, names)
