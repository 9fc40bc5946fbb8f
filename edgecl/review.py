"""Frames whose answer is uncertain, kept until a person has said what they show."""

from __future__ import annotations

from edgecl.learner import Learner, LessonReport
from edgecl.lesson import Burst, Candidate, candidate_of
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
    return keep(learner, candidate_of(learner.backbone, learner.settings.memory, frame, sight), prediction)


def keep(learner: Learner, candidate: Candidate, prediction: Prediction) -> int | None:
    """Keep a frame for review, of whose answer a person shall be the judge.

    Returns:
        Its number, None where the settings keep none.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    if not learner.settings.memory.review:
        return None
    frame = ReviewFrame(
        0,
        candidate.latent,
        learner.backbone.trunk_digest,
        candidate.thumbnail,
        prediction.top[0][0] if prediction.top else None,
        prediction.probability,
        prediction.unknown_score,
        candidate.taken_at,
        candidate.camera,
    )
    return learner.store.reviews.add(frame, learner.settings.memory.review)


def burst_of(learner: Learner, review_id: int) -> Burst:
    """A lesson of one frame that was kept for review; it stays there.

    Raises:
        ItemUnknown: it is not kept any more.
        BackboneMismatch: it was kept with another trunk.
    """
    burst = learner.burst()
    burst.add_kept(learner.store.reviews.get(review_id))
    return burst


def teach(learner: Learner, review_id: int, label: str) -> LessonReport:
    """Teach a frame that was kept for review.

    Raises:
        ItemUnknown: it is not kept any more.
        BackboneMismatch: it was kept with another trunk; it stays.
        LabelRefused, NothingKept: see Learner.teach; the frame stays for review.
    """
    report = learner.teach(label, burst_of(learner, review_id), "camera")
    learner.store.reviews.take(review_id)
    return report
