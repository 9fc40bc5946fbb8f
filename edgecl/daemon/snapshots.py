"""What the owner shows to all others: values that never change, replaced whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from edgecl.backbone import Backbone
from edgecl.board import Readings
from edgecl.daemon.hold import Count
from edgecl.effort import Effort
from edgecl.errors import BackboneMismatch
from edgecl.overview import ClassSummary
from edgecl.recognition import Recogniser
from edgecl.runtime import Execution
from edgecl.types import Frame, Prediction


@dataclass(frozen=True, eq=False)
class Live:
    """What was made of a camera's newest frame.

    Attributes:
        camera: its name.
        number: of the frames looked at through it, rising by one.
        frame: as it came, whole.
        prediction: smoothed; None where there is none, see `trouble`.
        refused: why the frame gate would not let it into the memory, or None.
        trouble: why there is no answer, in words, or None.
        fps: frames looked at in a second, lately.
        age_s: from the camera's read to the answer.
        seconds: that the look took.
        hold: the lesson that is being given on it, or None.
    """

    camera: str
    number: int
    frame: Frame
    prediction: Prediction | None
    refused: str | None
    trouble: str | None
    fps: float
    age_s: float
    seconds: float
    hold: Count | None


@dataclass(frozen=True, eq=False)
class Answerer:
    """What answers at this moment; any thread may ask it, and whatever is learned meanwhile makes no difference to it.

    Attributes:
        backbone: makes the embeddings.
        recogniser: fitted to those of its tail; None while nothing was taught.
        names: class id → name.
        mismatch: why nothing can be answered, or None.
    """

    backbone: Backbone
    recogniser: Recogniser | None
    names: Mapping[int, str]
    mismatch: BackboneMismatch | None

    def predict(self, frame: Frame) -> Prediction:
        """Answer for a picture that no camera gave.

        Raises:
            FrameUnusable: the network's numbers are not finite.
            BackboneMismatch: see `Learner.mismatch`.
        """
        if self.mismatch is not None:
            raise self.mismatch
        sight = self.backbone.see(frame.image)
        if self.recogniser is None:
            return Prediction(None, 0.0, (), 1.0, frame.camera, frame.taken_at, time.monotonic() - frame.monotonic)
        scores = self.recogniser.scores(sight.embedding)
        return scores.prediction(self.names, frame.camera, frame.taken_at, time.monotonic() - frame.monotonic)


@dataclass(frozen=True, eq=False)
class State:
    """What is known, and what is going on.

    Attributes:
        number: rises with every change of what is said here.
        revision: of the memory.
        classes: by rising id.
        covers: class id → the example whose picture stands for the class.
        learning: whether something was changed that is not learned yet.
        holds: by camera, the lesson that is being given.
        regions: by camera, the corners of the part that counts; none where the whole picture does.
        lessons: taught since the daemon began, undone ones too.
        reviews: frames that wait for a person.
        newcomers: things that nobody taught and that keep coming back.
        release: number of the one that runs; None where its journal cannot be read.
        execution: how it runs now.
        swap: number of the release that is being installed, how far it is, examples embedded and in all; or None.
        answerer: for pictures that no camera gave.
        news: what happened lately, (s UTC since the epoch, words), oldest first.
        effort: how much is done at a time.
        board: what it said of itself lately.
    """

    number: int
    revision: int
    classes: tuple[ClassSummary, ...]
    covers: Mapping[int, int]
    learning: bool
    holds: Mapping[str, Count]
    regions: Mapping[str, tuple[tuple[float, float], ...]]
    lessons: int
    reviews: int
    newcomers: int
    release: int | None
    execution: Execution
    swap: tuple[int, str, int, int] | None
    answerer: Answerer
    news: tuple[tuple[float, str], ...]
    effort: Effort
    board: Readings
