"""May a release in trial stay? Decided from numbers alone; who counts them and who acts is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecl.config import ReleaseSettings
from edgecl.releases.journal import Trial

GAP_S_MAX = 5.0  # a longer pause between two frames does not count as time in which frames were answered
HEALTHY_FRAMES = 30  # after so many a process that has just started is healthy


@dataclass(frozen=True)
class Seen:
    """What a process saw of a release in trial.

    Attributes:
        finite: whether the network's numbers were, so far.
        frame_ms: median of the last frames from picture to embedding, None while there are too few.
        accuracy: held out on the device's own memory, mean over the classes known at the switch, None if unknown.
    """

    finite: bool = True
    frame_ms: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What becomes of a release, and why."""

    state: Literal["good", "rolled-back"]
    reason: str


def judge(trial: Trial, seen: Seen, settings: ReleaseSettings) -> Verdict | None:
    """The end of the trial, or None while it goes on. What speaks against the release comes first."""
    reason = _against(trial, seen, settings)
    if reason is not None:
        return Verdict("rolled-back", reason)
    if trial.seconds >= 60.0 * settings.trial_minutes and trial.frames >= settings.trial_frames:
        return Verdict("good", f"answered {trial.frames} frames in {trial.seconds / 60.0:.0f} minutes")
    return None


def judge_start(trial: Trial, settings: ReleaseSettings) -> Verdict | None:
    """Whether a process that is about to start should rather start with the release before."""
    if trial.starts < settings.starts_max:
        return None
    return Verdict("rolled-back", f"{trial.starts} starts, and none of them answered {HEALTHY_FRAMES} frames")


def is_slow(trial: Trial, frame_ms: float | None, settings: ReleaseSettings) -> bool:
    """Whether frames take so much longer than with the release before that it is worth to compare the two here."""
    return frame_ms is not None and trial.frame_ms > 0.0 and frame_ms > settings.slow_ratio_max * trial.frame_ms


def is_worse(trial: Trial, accuracy: float | None, settings: ReleaseSettings, before: float | None = None) -> bool:
    """Whether it recognises so much less than at the switch, or than `before`, that it would be let go of."""
    held_against = trial.accuracy if before is None else before
    return held_against is not None and accuracy is not None and held_against - accuracy > settings.accuracy_drop_max


def _against(trial: Trial, seen: Seen, settings: ReleaseSettings) -> str | None:
    if not seen.finite:
        return "the network's numbers were not finite"
    if is_slow(trial, seen.frame_ms, settings):
        return f"a frame took {seen.frame_ms:.1f} ms, {trial.frame_ms:.1f} ms with the release before"
    if trial.accuracy is not None and seen.accuracy is not None and is_worse(trial, seen.accuracy, settings):
        return (
            f"{100 * seen.accuracy:.1f} % of this device's held-out examples recognised, "
            f"{100 * trial.accuracy:.1f} % at the switch"
        )
    return None
