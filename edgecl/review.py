"""Frames whose answer is uncertain, kept until a person has said what they show."""

from __future__ import annotations

from edgecl.images import encode_jpeg
from edgecl.learner import Learner, LessonReport
from edgecl.memory.reviews import ReviewFrame
from edgecl.types import Frame, Prediction, Sight

PROBABILITY_MAX = 0.6  # below, an answer is worth a person's look
UNKNOWN_RANGE = (0.25, 0.85)  # and so is a picture that is neither clearly known nor clearly unknown


def uncertain(prediction: Prediction) -> bool:
    """Whether a person should look; never while nothing was taught, for then there is nothing to be unsure between."""
    low, high = UNKNOWN_RANGE
    return bool(prediction.top) and (
        prediction.probability < PROBABILITY_MAX or low <= prediction.unknown_score <= high
    )


def note(learner: Learner, frame: Frame, sight: Sight, prediction: Prediction) -> int | None:
    """Keep the frame for review if the answer for it is uncertain. Returns its number, or None.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    if not uncertain(prediction):
        return None
    memory, backbone = learner.settings.memory, learner.backbone
    return learner.store.reviews.add(
        ReviewFrame(
            0,
            backbone.latent(sight.activation),
            backbone.trunk_digest,
            encode_jpeg(frame.image, memory.thumbnail_px) if memory.thumbnails else None,
            prediction.top[0][0],
            prediction.probability,
            prediction.unknown_score,
            frame.taken_at,
            frame.camera,
        ),
        memory.review,
    )


def teach(learner: Learner, review_id: int, label: str) -> LessonReport:
    """Teach a frame that was kept for review.

    Raises:
        ItemUnknown: it is not kept any more.
        BackboneMismatch: it was kept with another trunk; it stays.
        LabelRefused, NothingKept: see Learner.teach; the frame stays for review.
    """
    found = learner.store.reviews.get(review_id)
    burst = learner.burst()
    burst.add_kept(found)
    report = learner.teach(label, burst, "camera")
    learner.store.reviews.take(review_id)
    return report
