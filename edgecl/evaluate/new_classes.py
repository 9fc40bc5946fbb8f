"""New classes: taught once and never again, one or several a lesson, asked about after every lesson."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecl.backbone import Backbone
from edgecl.evaluate.answers import Answers
from edgecl.evaluate.protocol import Result, Setting, lessons_of, taught
from edgecl.evaluate.streams import Progress, class_stream
from edgecl.heads import fit_of


@dataclass(frozen=True)
class NewClasses(Result):
    """Result of the new-classes protocol; accuracies in [0, 1].

    `forgetting` is Chaudhry's: the answer is chosen among all classes taught so far, so it also counts what a class
    loses to new classes that look like it, which no learner can avoid. `forgetting_among_earlier` chooses among the
    classes taught up to the one in question: what is left is damage to what was known. Where a lesson has several
    classes, both are of lessons, by the mean over a lesson's classes.

    `seconds_learning_*` are of a lesson: of choosing what to keep and fitting the head, or of training, embeddings
    aside. `bytes_memory` is what is kept from lesson to lesson beside the network and its head.
    """

    classes: int
    lessons: int
    final_accuracy: float
    average_accuracy: float
    forgetting: float
    forgetting_among_earlier: float
    per_class: dict[str, float]
    seconds_learning_median: float
    seconds_learning_p95: float
    bytes_memory: int


def new_classes(
    setting: Setting,
    backbone: Backbone,
    progress: Progress | None = None,
    on_lesson: Callable[[int, int], None] | None = None,
) -> NewClasses:
    """Teach the classes lesson after lesson, and test on all classes taught so far.

    Args:
        setting: what is taught, and how.
        backbone: makes the embeddings.
        progress: called with images embedded and images in all.
        on_lesson: called with lessons taught and lessons in all.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/*, or has fewer classes than lessons.
        ConfigRefused: no such head.
    """
    fit = fit_of(setting.head)
    stream = class_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    lessons = lessons_of(len(stream.names), setting.lessons)
    answers = Answers(stream.test.labels, lessons)
    seconds = []
    examples = 0
    for now in taught(stream, backbone, setting.keep, fit, lessons):
        # The columns of the logits are in the order of teaching: so are class ids.
        answers.add(now.head.logits(stream.test.vectors[answers.asked]))
        seconds.append(now.seconds)
        examples = len(now.view)
        if on_lesson is not None:
            on_lesson(len(seconds), len(lessons))
    latent_bytes = int(np.prod(backbone.manifest.latent_shape))
    return NewClasses(
        **vars(Result.heading("nc", setting, backbone)),
        **learning(answers, stream.names, seconds),
        bytes_memory=examples * (latent_bytes + stream.train.vectors.itemsize * backbone.dimension),
    )


def learning(answers: Answers, names: Sequence[str], seconds: Sequence[float]) -> dict[str, Any]:
    """The fields of `NewClasses` that come of what was answered, and of the time each lesson took."""
    return {
        "classes": len(names),
        "lessons": len(seconds),
        **answers.figures(names),
        "seconds_learning_median": float(np.median(seconds)),
        "seconds_learning_p95": float(np.quantile(seconds, 0.95)),
    }
