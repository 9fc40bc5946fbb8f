"""Which camera frames deserve an embedding, and why the others do not. Pure: no clock, no camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.config import GateSettings
from edgecl.types import Frame

_SIDE_PX = 160  # longest side of the copy that is measured: sensor noise averages out, blur that matters stays
_BLACK, _WHITE = 16, 250  # grey levels at which a sensor shows nothing any more
_JITTER = 0.95  # share of the interval that is enough: a 30 Hz camera would otherwise often miss 10 Hz by a hair
_MOTION_WITHIN_S = 0.5  # between frames further apart a change is no sign of haste
_PEAK_HALVES_S = 1.0  # so fast the sharpest frame is forgotten, since another scene may hold less detail


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one frame.

    Attributes:
        accepted: whether it deserves an embedding.
        reason: why not: "too soon", "too dark", "too bright", "blurred", "unchanged" or "moving"; None if accepted.
    """

    accepted: bool
    reason: str | None = None


class FrameGate:
    """Judges the frames of one camera in the order in which they come; several cameras need a gate each.

    Rate, change and loss of sharpness are judged against earlier frames of the same `Frame.camera`. A still image has
    an address of its own, so nothing comes before it and only its light and sharpness count.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._seen: _Seen | None = None

    def check(self, frame: Frame) -> Verdict:
        """Judge `frame` and remember it."""
        before = self._before(frame)
        accepted = before.accepted if before is not None else None
        if accepted is not None and _elapsed(accepted, frame) * self._settings.rate_max_hz < _JITTER:
            return Verdict(False, "too soon")
        grey = _small_grey(frame.image)
        detail = sharpness(grey)
        peak, gap_s, change = detail, 0.0, None
        if before is not None and before.grey.shape == grey.shape:
            gap_s = _elapsed(before.frame, frame)
            peak = max(peak, before.peak * 0.5 ** (gap_s / _PEAK_HALVES_S))
            change = float(cv2.mean(cv2.absdiff(grey, before.grey))[0])
        reason = self._light(grey) or self._detail(detail, peak) or self._motion(change, gap_s)
        moment = _Moment(frame.taken_at, frame.monotonic)
        self._seen = _Seen(frame.camera, moment, moment if reason is None else accepted, grey, peak)
        return Verdict(reason is None, reason)

    def _before(self, frame: Frame) -> _Seen | None:
        seen = self._seen
        if seen is None or seen.camera != frame.camera or _elapsed(seen.frame, frame) < 0:
            return None
        return seen

    def _light(self, grey: NDArray[np.uint8]) -> str | None:
        if np.count_nonzero(grey < _BLACK) > self._settings.dark_max * grey.size:
            return "too dark"
        return "too bright" if np.count_nonzero(grey > _WHITE) > self._settings.bright_max * grey.size else None

    def _detail(self, detail: float, peak: float) -> str | None:
        return "blurred" if detail < max(self._settings.blur_min, self._settings.blur_drop * peak) else None

    def _motion(self, change: float | None, gap_s: float) -> str | None:
        """`change`: mean since the last frame, grey levels; None where there is none to compare with."""
        if change is None:
            return None
        if change == 0:  # even a still scene shows the sensor's noise; this is the same picture again
            return "unchanged"
        return "moving" if change > self._settings.motion_max and gap_s < _MOTION_WITHIN_S else None


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian, grey levels²."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


@dataclass(frozen=True)
class _Moment:
    taken_at: float
    monotonic: float


@dataclass(frozen=True)
class _Seen:
    """The last frame that was measured: `frame` its time, `accepted` the time of the last that was accepted."""

    camera: str
    frame: _Moment
    accepted: _Moment | None
    grey: NDArray[np.uint8]
    peak: float


def _elapsed(since: _Moment, frame: Frame) -> float:
    """Seconds as the frames were taken: a recording is read faster or slower. As they came, if a clock was set back."""
    taken_s = frame.taken_at - since.taken_at
    return taken_s if taken_s > 0 else frame.monotonic - since.monotonic


def _small_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = _SIDE_PX / max(height, width)
    small: cv2.typing.MatLike = image
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
