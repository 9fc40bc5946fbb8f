"""Open set: some classes are taught; asked is about those, about like ones that were left out, and about anything."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.evaluate import metrics
from edgecl.evaluate.protocol import Result, Setting, lessons_of, taught
from edgecl.evaluate.streams import Progress, class_stream, embed_files
from edgecl.heads import fit_of
from edgecl.images import images_below
from edgecl.recognition import Recogniser
from edgecl.unknown import UNKNOWN


@dataclass(frozen=True)
class OpenSet(Result):
    """Result of the open-set protocol; shares and accuracies in [0, 1].

    `far` are images of nothing that was taught, `near` the test images of classes that were left out.
    """

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


def open_set(
    setting: Setting, unknown: Path, unseen_classes: int, backbone: Backbone, progress: Progress | None = None
) -> OpenSet:
    """Teach all classes but the last `unseen_classes` of the order one after the other, then ask.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/* or has too few classes, or `unknown`
            holds no images.
        ConfigRefused: no such head.
    """
    fit = fit_of(setting.head)
    distant = images_below(unknown)
    stream = class_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress, unseen_classes + 1)
    far = embed_files(distant, backbone, kept=False, cache=setting.cache, progress=progress)
    known_classes = len(stream.names) - unseen_classes
    (last,) = deque(taught(stream, backbone, setting.keep, fit, lessons_of(known_classes, None)), maxlen=1)
    recogniser = Recogniser.of(last.view, last.head, fit)
    is_known = stream.test.labels < known_classes
    known = _Answers.of(recogniser, stream.test.vectors[is_known])
    right = known.labels == stream.test.labels[is_known]
    near = _Answers.of(recogniser, stream.test.vectors[~is_known])
    other = _Answers.of(recogniser, far)
    return OpenSet(
        **vars(Result.heading("openset", setting, backbone)),
        known_classes=known_classes,
        unseen_classes=unseen_classes,
        auroc_far=metrics.auroc(known.unknown, other.unknown),
        fpr95_far=metrics.fpr_at_95_tpr(known.unknown, other.unknown),
        auroc_near=metrics.auroc(known.unknown, near.unknown),
        fpr95_near=metrics.fpr_at_95_tpr(known.unknown, near.unknown),
        ece=metrics.expected_calibration_error(known.confidence[known.accepted], right[known.accepted]),
        accuracy_known=float(right.mean()),
        accuracy_accepted=float(right[known.accepted].mean()) if known.accepted.any() else 0.0,
        accepted_known=float(known.accepted.mean()),
        accepted_near=float(near.accepted.mean()),
        accepted_far=float(other.accepted.mean()),
    )


@dataclass(frozen=True)
class _Answers:
    """Top answers (N,): class ids, their probabilities, and the unknown scores."""

    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    unknown: NDArray[np.float64]

    @classmethod
    def of(cls, recogniser: Recogniser, vectors: NDArray[np.float32]) -> _Answers:
        head = recogniser.head
        logits = head.logits(vectors)
        return cls(
            head.class_ids[logits.argmax(axis=1)],
            head.probabilities(vectors).max(axis=1).astype(np.float64),
            recogniser.rejector.scores(vectors, logits).astype(np.float64),
        )

    @property
    def accepted(self) -> NDArray[np.bool_]:
        return self.unknown <= UNKNOWN
