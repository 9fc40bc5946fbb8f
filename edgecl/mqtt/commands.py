"""What may be asked for by MQTT: one class a request, with the fields of its JSON and what the daemon is asked then."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from edgecl.daemon.daemon import Daemon
from edgecl.daemon.desk import Desk
from edgecl.daemon.hold import LONGEST_S
from edgecl.daemon.owner import SLOW, ended, given_up
from edgecl.errors import CameraStalled, FrameUnusable, ImageRefused, InputRefused, NoAnswer
from edgecl.images import decode_image
from edgecl.learner import LessonReport
from edgecl.records import of_lesson, of_prediction, of_proof, of_report
from edgecl.types import Frame

PATIENCE_S = 60.0

Record = Mapping[str, Any]
Result = TypeVar("Result")
Text = Annotated[str, Field(max_length=1000)]


@dataclass(frozen=True)
class Lasting:
    """What is answered later: a lesson, once it was given and learned."""

    hold: int
    report: Future[LessonReport]
    patience_s: float

    def is_over(self, daemon: Daemon) -> bool:
        """Whether `record` has an answer.

        Raises:
            LessonOver: somebody else ended it, and kept nothing; of that the report says nothing.
        """
        if not self.report.done() and self.hold not in [count.hold for count in daemon.state.holds.values()]:
            asked(daemon, lambda desk: desk.teaching.ended(self.hold))
        return self.report.done()

    def record(self) -> Record:
        """The answer, of one that is done.

        Raises:
            EdgeclError: it failed.
        """
        return of_report(result_of(self.report, 0.0))


class Request(BaseModel):
    """Any request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def do(self, daemon: Daemon) -> Record | Lasting:
        """Do it; gives the `result`.

        Raises:
            EdgeclError: it cannot be done.
        """
        raise NotImplementedError


class Teach(Request):
    """Hold a lesson before a camera."""

    camera: Text
    label: Text
    seconds: Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)] = 3.0

    def do(self, daemon: Daemon) -> Lasting:
        """Begin; it ends by itself."""

        def begin(desk: Desk) -> Lasting:
            desk.require_camera(self.camera)
            hold = desk.teaching.begin(self.camera, self.label, "mqtt", self.seconds).hold
            return Lasting(hold, desk.teaching.ended(hold), self.seconds + PATIENCE_S)

        return asked(daemon, begin)


class Undo(Request):
    """Take back the newest lesson; only if it is this one, where one is named."""

    lesson: int | None = None

    def do(self, daemon: Daemon) -> Record:
        """Gives the lesson."""
        return of_lesson(asked(daemon, lambda desk: desk.shelf.undo(self.lesson)))


class Forget(Request):
    """Delete a class for good."""

    label: Text

    def do(self, daemon: Daemon) -> Record:
        """Gives the proof."""
        return of_proof(asked(daemon, lambda desk: desk.forget(self.label)))


class Rename(Request):
    """Give a class another name."""

    label: Text
    new: Text

    def do(self, daemon: Daemon) -> Record:
        """Gives the lesson."""
        return of_lesson(asked(daemon, lambda desk: desk.shelf.rename(self.label, self.new)))


class Rollback(Request):
    """Go back to the release before."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "asked for by MQTT"

    def do(self, daemon: Daemon) -> Record:
        """Gives the release that runs then."""
        return {"active_now": asked(daemon, lambda desk: desk.releases.roll_back(self.reason))}


class Classify(Request):
    """Say what a camera shows, or what a picture does."""

    camera: Text | None = None
    image: str | None = None  # base64

    def do(self, daemon: Daemon) -> Record:
        """Gives the prediction."""
        if (self.camera is None) == (self.image is None):
            raise InputRefused("found none or both of camera and image, expected one of them")
        return self._seen(daemon, self.camera) if self.camera is not None else self._sent(daemon, self.image or "")

    def _seen(self, daemon: Daemon, camera: str) -> Record:
        trouble, live = daemon.camera(camera).trouble, daemon.live.get(camera)
        if trouble is not None or live is None:
            raise CameraStalled(f"found no picture of {camera}, expected one: {trouble or 'none came yet'}")
        if live.prediction is None:
            raise FrameUnusable(live.trouble or f"found no answer for {camera}, expected one; ask again")
        return of_prediction(live.frame, live.prediction)

    def _sent(self, daemon: Daemon, image: str) -> Record:
        try:
            data = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ImageRefused(f"found {image[:30]!r} for the image, expected a JPEG in base64: {error}") from error
        frame = Frame(decode_image(data, "the image"), time.time(), time.monotonic(), "mqtt")
        return of_prediction(frame, daemon.state.answerer.predict(frame))


REQUESTS: dict[str, type[Request]] = {
    "teach": Teach,
    "undo": Undo,
    "forget": Forget,
    "classify": Classify,
    "rollback": Rollback,
    "rename": Rename,
}


def asked(daemon: Daemon, command: Callable[[Desk], Result]) -> Result:
    """What the owner of the memory answers.

    Raises:
        EdgeclError: what the command raises.
    """
    future = daemon.ask(command)
    try:
        return result_of(future, PATIENCE_S)
    except NoAnswer as error:
        raise given_up(future) from error


def result_of(future: Future[Result], patience_s: float) -> Result:
    """What comes of it.

    Raises:
        EdgeclError: what it raises.
        NoAnswer: nothing came in time.
        DaemonEnded: nothing will come.
    """
    try:
        return future.result(patience_s)
    except OutOfTime as error:
        raise NoAnswer(SLOW) from error
    except CancelledError as error:
        raise ended() from error
