"""Evaluation protocols: what is taught in which order, and what is asked afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import MemorySettings
from edgecl.errors import InputRefused
from edgecl.evaluate import metrics
from edgecl.evaluate.streams import Progress, Stream, class_stream, embed_files
from edgecl.heads import fit_of
from edgecl.images import images_below
from edgecl.memory.replay import select
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser
from edgecl.types import LinearHead, softmax

NO_TOTAL = 1_000_000  # examples: the cap on the whole memory is not what these protocols measure
REDUNDANT_COSINE = MemorySettings().redundant_cosine


@dataclass(frozen=True)
class NewClasses:
    """Result of the new-classes protocol; accuracies in [0, 1].

    `forgetting` is Chaudhry's: the answer is chosen among all classes taught so far, so it also counts what a class
    loses to new classes that look like it, which no learner can avoid. `forgetting_among_earlier` chooses among the
    classes taught up to the one in question: what is left is damage to what was known.
    """

    protocol: str
    method: str
    stream: str
    seed: int
    classes: int
    examples_kept_per_class: int
    final_accuracy: float
    average_accuracy: float
    forgetting: float
    forgetting_among_earlier: float
    per_class: dict[str, float]
    seconds_learning_median: float
    seconds_learning_p95: float
    bytes_memory: int
    embedding: str
    precision: str


@dataclass(frozen=True)
class OpenSet:
    """Result of the open-set protocol; shares and accuracies in [0, 1].

    `far` are images of nothing that was taught, `near` the test images of classes that were left out.
    """

    protocol: str
    method: str
    stream: str
    seed: int
    known_classes: int
    unseen_classes: int
    auroc_far: float
    fpr95_far: float
    auroc_near: float
    fpr95_near: float
    ece: float
    accuracy_known: float
    accuracy_accepted: float
    accepted_known: float
    accepted_near: float
    accepted_far: float
    embedding: str
    precision: str


def new_classes(
    folder: Path,
    backbone: Backbone,
    *,
    keep: int,
    order_seed: int,
    head: str,
    cache: Path | None = None,
    progress: Progress | None = None,
    on_lesson: Callable[[int, int], None] | None = None,
) -> NewClasses:
    """Teach the classes one after the other, `keep` examples each, and test on all classes taught so far.

    Raises:
        InputRefused: `folder` is not laid out as train/CLASS/*, test/CLASS/*.
        ConfigRefused: no such head.
    """
    stream = class_stream(folder, backbone, order_seed, cache, progress)
    fit = fit_of(head)
    lessons = len(stream.names)
    accuracy, among_earlier = np.zeros((lessons, lessons)), np.zeros((lessons, lessons))
    seconds = []
    view = _empty(stream, backbone)
    learned: LinearHead | None = None
    for lesson in range(lessons):
        begun = time.perf_counter()
        view = _teach(view, stream, lesson, keep)
        learned = fit(view, learned)
        seconds.append(time.perf_counter() - begun)
        accuracy[lesson], among_earlier[lesson] = _accuracies(learned, stream, lesson + 1)
        if on_lesson is not None:
            on_lesson(lesson + 1, lessons)
    sizes = np.bincount(stream.test.labels, minlength=lessons)
    latent_bytes = int(np.prod(backbone.manifest.latent_shape))
    return NewClasses(
        protocol="nc",
        method=head,
        stream=folder.name,
        seed=order_seed,
        classes=lessons,
        examples_kept_per_class=keep,
        final_accuracy=float((accuracy[-1] * sizes).sum() / sizes.sum()),
        average_accuracy=metrics.average_accuracy(accuracy),
        forgetting=metrics.forgetting(accuracy),
        forgetting_among_earlier=metrics.forgetting(among_earlier),
        per_class={name: float(accuracy[-1, k]) for k, name in enumerate(stream.names)},
        seconds_learning_median=float(np.median(seconds)),
        seconds_learning_p95=float(np.quantile(seconds, 0.95)),
        bytes_memory=len(view) * (latent_bytes + view.vectors.itemsize * backbone.dimension),
        embedding=backbone.tail_digest,
        precision=backbone.precision,
    )


def open_set(
    folder: Path,
    unknown: Path,
    backbone: Backbone,
    *,
    unseen_classes: int,
    keep: int,
    order_seed: int,
    head: str,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> OpenSet:
    """Teach all classes but the last `unseen_classes` of the order, then ask about known, near and far pictures.

    Raises:
        InputRefused: `folder` is not laid out as train/CLASS/*, test/CLASS/* or has too few classes, or `unknown` holds
            no images.
    """
    stream = class_stream(folder, backbone, order_seed, cache, progress)
    far = embed_files(images_below(unknown), backbone, kept=False, cache=cache, progress=progress)
    known_classes = len(stream.names) - unseen_classes
    if known_classes < 1:
        raise InputRefused(
            f"found {len(stream.names)} classes in {folder}, expected more than the {unseen_classes} unseen"
        )
    view = _empty(stream, backbone)
    for lesson in range(known_classes):
        view = _teach(view, stream, lesson, keep)
    recogniser = Recogniser.fit(view, head)
    assert recogniser is not None  # noqa: S101  # at least one class was taught
    is_known = stream.test.labels < known_classes
    right, confidence, strangeness = _answers(recogniser, stream.test.vectors[is_known], stream.test.labels[is_known])
    near = _answers(recogniser, stream.test.vectors[~is_known], None)[2]
    distant = _answers(recogniser, far, None)[2]
    accepted = strangeness <= 0.5
    return OpenSet(
        protocol="openset",
        method=head,
        stream=folder.name,
        seed=order_seed,
        known_classes=known_classes,
        unseen_classes=unseen_classes,
        auroc_far=metrics.auroc(strangeness, distant),
        fpr95_far=metrics.fpr_at_95_tpr(strangeness, distant),
        auroc_near=metrics.auroc(strangeness, near),
        fpr95_near=metrics.fpr_at_95_tpr(strangeness, near),
        ece=metrics.expected_calibration_error(confidence[accepted], right[accepted]),
        accuracy_known=float(right.mean()),
        accuracy_accepted=float(right[accepted].mean()) if accepted.any() else 0.0,
        accepted_known=float(accepted.mean()),
        accepted_near=float((near <= 0.5).mean()),
        accepted_far=float((distant <= 0.5).mean()),
        embedding=backbone.tail_digest,
        precision=backbone.precision,
    )


def _empty(stream: Stream, backbone: Backbone) -> MemoryView:
    none = np.zeros(0, np.int64)
    names = dict(enumerate(stream.names))
    vectors = np.zeros((0, backbone.dimension), np.float32)
    return MemoryView(vectors, none, none, none, names, backbone.tail_digest, 0, backbone.manifest.spread)


def _teach(view: MemoryView, stream: Stream, lesson: int, keep: int) -> MemoryView:
    """The memory after one lesson; what it keeps is chosen as on the device."""
    rows = np.flatnonzero(stream.train.labels == lesson)
    vectors = stream.train.vectors[rows]
    chosen = select(view, None, vectors, per_class=keep, total=NO_TOTAL, redundant_cosine=REDUNDANT_COSINE)
    kept = list(chosen.kept)
    taught = replace(
        view,
        vectors=np.concatenate([view.vectors, vectors[kept]]),
        class_ids=np.concatenate([view.class_ids, np.full(len(kept), lesson)]),
        example_ids=np.concatenate([view.example_ids, rows[kept] + 1 + view.example_ids.max(initial=0)]),
        lesson_ids=np.concatenate([view.lesson_ids, np.full(len(kept), lesson)]),
        revision=view.revision + 1,
        known_stats=None,
    )
    return replace(taught, known_stats=taught.stats_since(view if len(view) else None))


def _accuracies(head: LinearHead, stream: Stream, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy of each class (lessons,), choosing among all `classes`, and among the class and earlier ones."""
    asked = stream.test.labels < classes
    labels = stream.test.labels[asked]
    logits = head.logits(stream.test.vectors[asked])  # columns in the order of teaching: class ids are lesson numbers
    own = logits[np.arange(len(labels)), labels]
    best_so_far = np.maximum.accumulate(logits, axis=1)
    size = np.maximum(np.bincount(labels, minlength=len(stream.names)), 1)
    rivals = (best_so_far[:, -1], best_so_far[np.arange(len(labels)), labels])
    among_all, among_earlier = (np.bincount(labels[own >= best], minlength=len(stream.names)) / size for best in rivals)
    return among_all, among_earlier


def _answers(
    recogniser: Recogniser, vectors: NDArray[np.float32], labels: NDArray[np.int64] | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Whether the top answer is right, its probability, and the unknown score; each (N,)."""
    head = recogniser.head
    logits = head.logits(vectors)
    probabilities = softmax(logits / np.float32(head.temperature))
    answers = head.class_ids[logits.argmax(axis=1)]
    right = answers == labels if labels is not None else np.zeros(len(vectors), bool)
    strangeness = recogniser.rejector.scores(vectors, logits).astype(np.float64)
    return right, probabilities.max(axis=1).astype(np.float64), strangeness
