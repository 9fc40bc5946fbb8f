"""What the owner shows to all others: values that never change, replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecl.daemon.hold import Count
from edgecl.overview import ClassSummary
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
        precision: in which it runs.
        swap: number of the release that is being installed, how far it is, examples embedded and in all; or None.
        mismatch: why nothing can be learned or answered, or None.
        news: what happened lately, (s UTC since the epoch, words), oldest first.
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
    precision: str
    swap: tuple[int, str, int, int] | None
    mismatch: str | None
    news: tuple[tuple[float, str], ...]
