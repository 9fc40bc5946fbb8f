"""New classes: taught one a lesson and never again, asked about after every lesson."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.evaluate import metrics
from edgecl.evaluate.protocol import Result, Setting, taught
from edgecl.evaluate.streams import Progress, Stream, class_stream
from edgecl.heads import fit_of
from edgecl.types import LinearHead


@dataclass(frozen=True)
class NewClasses(Result):
    """Result of the new-classes protocol; accuracies in [0, 1].

    `forgetting` is Chaudhry's: the answer is chosen among all classes taught so far, so it also counts what a class
    loses to new classes that look like it, which no learner can avoid. `forgetting_among_earlier` chooses among the
    classes taught up to the one in question: what is left is damage to what was known. `seconds_learning_*` are of
    choosing what to keep and fitting the head, embeddings aside.
    """

    classes: int
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
    """Teach the classes one after the other, and test on all classes taught so far.

    Args:
        setting: what is taught, and how.
        backbone: makes the embeddings.
        progress: called with images embedded and images in all.
        on_lesson: called with lessons taught and lessons in all.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/*.
        ConfigRefused: no such head.
    """
    fit = fit_of(setting.head)
    stream = class_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    lessons = len(stream.names)
    accuracy, among_earlier = np.zeros((lessons, lessons)), np.zeros((lessons, lessons))
    seconds = []
    examples = 0
    for lesson, now in enumerate(taught(stream, backbone, setting.keep, fit, lessons)):
        accuracy[lesson], among_earlier[lesson] = _accuracies(now.head, stream, lesson + 1)
        seconds.append(now.seconds)
        examples = len(now.view)
        if on_lesson is not None:
            on_lesson(lesson + 1, lessons)
    sizes = np.bincount(stream.test.labels, minlength=lessons)
    latent_bytes = int(np.prod(backbone.manifest.latent_shape))
    return NewClasses(
        **vars(Result.heading("nc", setting, backbone)),
        classes=lessons,
        final_accuracy=float((accuracy[-1] * sizes).sum() / sizes.sum()),
        average_accuracy=metrics.average_accuracy(accuracy),
        forgetting=metrics.forgetting(accuracy),
        forgetting_among_earlier=metrics.forgetting(among_earlier),
        per_class={name: float(accuracy[-1, k]) for k, name in enumerate(stream.names)},
        seconds_learning_median=float(np.median(seconds)),
        seconds_learning_p95=float(np.quantile(seconds, 0.95)),
        bytes_memory=examples * (latent_bytes + stream.train.vectors.itemsize * backbone.dimension),
    )


def _accuracies(head: LinearHead, stream: Stream, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy of each class (lessons,), choosing among all `classes`, and among the class and earlier ones."""
    asked = stream.test.labels < classes
    labels = stream.test.labels[asked]
    logits = head.logits(stream.test.vectors[asked])  # columns in the order of teaching: class ids are lesson numbers
    earlier = np.where(np.arange(classes) <= labels[:, None], logits, -np.inf)
    sizes = np.bincount(labels, minlength=len(stream.names))
    among_all, among_earlier = (
        np.bincount(labels[scores.argmax(axis=1) == labels], minlength=len(sizes)) / np.maximum(sizes, 1)
        for scores in (logits, earlier)
    )
    return among_all, among_earlier
