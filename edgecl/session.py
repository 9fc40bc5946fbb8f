"""Someone before a camera: frames come in, keys are pressed, classes are taught. Knows no terminal and no camera."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import EdgeclError, FrameUnusable
from edgecl.gate import FrameGate
from edgecl.learner import Learner, LessonReport
from edgecl.lesson import Burst
from edgecl.types import Frame, Prediction, Sight, check_label

LESSON_S = 3.0  # after a key was pressed
HELD_S = 1.0  # after a held key was repeated
LABEL_CHARACTERS_MAX = 40
ENTER, ESCAPE, BACKSPACE = "\r", "\x1b", "\x7f"


@dataclass(frozen=True)
class Glance:
    """What was made of the newest frame.

    Attributes:
        prediction: smoothed.
        refused: why the frame gate would not let it into the memory, or None.
        fps: frames looked at in a second, lately.
    """

    prediction: Prediction
    refused: str | None
    fps: float


@dataclass(frozen=True)
class _Given:
    """The frames of the last lesson and the class that has them; None while no class does."""

    label: str | None
    burst: Burst


class Session:
    """The state of one demonstration.

    Attributes:
        learner: what is taught.
        glance: the newest frame's answer, None before the first.
        burst: the lesson that is being given, or None.
        label: its class.
        typed: the name that is being typed, or None.
        message: what happened last, in words.
        report: of the last lesson.
        over: whether someone asked to leave.
    """

    def __init__(self, learner: Learner, see: Callable[[NDArray[np.uint8]], Sight] | None = None) -> None:
        """Nothing is taught before a key is pressed.

        Args:
            learner: what is taught.
            see: a picture, uint8 (H, W, 3) BGR → what the backbone makes of it; the learner's own without.
        """
        self.learner = learner
        self._see = see or (lambda image: self.learner.backbone.see(image))
        self.glance: Glance | None = None
        self.burst: Burst | None = None
        self.label = ""
        self.typed: str | None = None
        self.message = "press n to teach the first class" if not learner.names else "press a number to teach"
        self.report: LessonReport | None = None
        self.over = False
        self._correcting = False
        self._last: _Given | None = None
        self._until = 0.0  # s, monotonic, of the lesson
        # How often a frame may enter the memory does not matter for a look at it.
        self._gate = FrameGate(learner.settings.gate.model_copy(update={"rate_max_hz": 1000.0}))
        self._times: deque[float] = deque(maxlen=15)

    @property
    def names(self) -> list[str]:
        """The classes in the order of their keys, the first nine with one."""
        return list(self.learner.names.values())

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each class."""
        counts = self.learner.store.counts()
        return {name: counts[number] for number, name in self.learner.names.items()}

    @property
    def correcting(self) -> bool:
        """Whether the next class that is named gets the last lesson."""
        return self._correcting

    @property
    def idle(self) -> bool:
        """Whether neither a lesson is given nor a name typed."""
        return self.burst is None and self.typed is None

    def left_s(self, monotonic: float) -> float:
        """How long the lesson still takes."""
        return max(self._until - monotonic, 0.0) if self.burst is not None else 0.0

    def look(self, frame: Frame) -> None:
        """Answer for a frame, and take it into the lesson if there is one; ends the lesson when its time is over."""
        self._times.append(frame.monotonic)
        lasted = self._times[-1] - self._times[0]
        fps = (len(self._times) - 1) / lasted if lasted > 0 else 0.0
        refused = self._gate.check(frame).reason
        sight = None
        try:
            sight = self._see(frame.image)
            self.glance = Glance(self.learner.answer(frame, sight, smooth=True), refused, fps)
        except FrameUnusable as error:
            self.message = str(error)
        if self.burst is not None:
            self.burst.add(frame, sight)
            if frame.monotonic >= self._until:
                self._learn(self.burst)

    def press(self, key: str, monotonic: float) -> None:
        """Take a key, at `monotonic` s."""
        if self.typed is not None:
            self._type(key, monotonic)
        elif key in ("q", "Q", "\x03", "\x04"):
            self.over = True
        elif key.isascii() and key.isdigit() and key != "0":
            if int(key) > len(self.names):
                self.message = f"there is no class {key} yet; press n for a new one"
            else:
                self._choose(self.names[int(key) - 1], monotonic)
        elif key == ESCAPE:
            self._cancel()
        elif key in ("n", "u", "c") and self.burst is not None:
            self.message = f"the lesson about {self.label!r} is not over yet; Esc ends it"
        elif key == "n":
            self.typed = ""
        elif key == "u":
            self._undo()
        elif key == "c":
            self._correcting = self._last is not None and not self._correcting
            self.message = (
                "what was it really? press its number, or n for a new class"
                if self._correcting
                else "there is no lesson of this session to correct"
            )

    def _type(self, key: str, monotonic: float) -> None:
        typed = self.typed or ""
        if key in (ENTER, "\n"):
            self.typed = None
            try:
                self._choose(check_label(typed), monotonic)
            except EdgeclError as error:
                self.message = str(error)
        elif key == ESCAPE or key == "\x03":
            self._cancel()
        elif key in (BACKSPACE, "\b"):
            self.typed = typed[:-1]
        elif key.isprintable() and len(typed) < LABEL_CHARACTERS_MAX:
            self.typed = typed + key

    def _cancel(self) -> None:
        self.typed, self.burst, self._correcting = None, None, False
        self.message = "cancelled, nothing was changed"

    def _choose(self, label: str, monotonic: float) -> None:
        if self._correcting:
            self._correct(label)
        elif self.burst is not None and label == self.label:
            self._until = max(self._until, monotonic + HELD_S)
        elif self.burst is None:
            self.burst, self.label, self._until = self.learner.burst(), label, monotonic + LESSON_S
            self.message = f"show {label!r} from all sides"

    def _learn(self, burst: Burst) -> bool:
        self.burst, self.report, self._last = None, None, None
        try:
            self.report = self.learner.teach(self.label, burst, "camera")
        except EdgeclError as error:  # the person sees it, and goes on
            self.message = str(error)
            return False
        self._last = _Given(self.label, burst)
        self.message = f"learned {self.label!r}"
        return True

    def _undo(self) -> bool:
        self._correcting = False
        try:
            lesson = self.learner.undo()
        except EdgeclError as error:
            self.message = str(error)
            return False
        self.message = f"undid the lesson about {lesson.label!r}"
        self.report = self._last = None
        return True

    def _correct(self, label: str) -> None:
        """Take the last lesson back and give its frames to `label`; where that fails, they can be given again."""
        given, self._correcting = self._last, False
        if given is None or label == given.label:
            self.message = f"it was taught as {label!r} already"
            return
        if given.label is not None and not self._undo():
            return
        self.label = label
        if not self._learn(given.burst):
            self._last = _Given(None, given.burst)
            self.message += "; press c to give the frames to another class"
