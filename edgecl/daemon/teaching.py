"""Lessons: given before a camera while someone holds, or with pictures that are there; committed, learned, reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from edgecl import review
from edgecl.daemon.fitting import Fitting
from edgecl.daemon.hold import Count, Hold
from edgecl.daemon.numbers import Numbers
from edgecl.errors import EdgeclError, LessonBusy, LessonOver
from edgecl.learner import Learner, LessonReport
from edgecl.lesson import Burst, Candidate
from edgecl.recognition import Recogniser
from edgecl.types import Frame, Lesson, Sight, check_label

REPORTS_KEPT = 20  # of lessons that ended by themselves, for who asks later


@dataclass(frozen=True)
class _Taught:
    """A lesson that is committed and not learned yet."""

    lesson: Lesson
    before: Recogniser | None
    begun: float
    first_ms: float
    report: Future[LessonReport]


class Teaching:
    """All lessons of one learner. Everything is called by the thread that owns it, and nothing waits.

    Attributes:
        lessons: committed so far.
        rests: why nothing is learned now, None where all is.
    """

    def __init__(
        self,
        learner: Learner,
        wake: Callable[[], None],
        changed: Callable[[], None],
        tell: Callable[[str], None],
        numbers: Numbers,
        clock: Callable[[], float],
    ) -> None:
        """Teach nothing yet.

        Args:
            learner: which does not learn at once.
            wake: called on another thread when something was learned.
            changed: called after every change.
            tell: told what happened while nobody waited for it.
            numbers: of the lessons being given.
            clock: s, monotonic.
        """
        self._learner, self._changed, self._tell, self._numbers, self._clock = learner, changed, tell, numbers, clock
        self.lessons = 0
        self.rests: str | None = None
        self._fitting = Fitting(learner.settings.head.name, wake)
        self._holds: dict[int, Hold] = {}
        self._ended: dict[int, Future[LessonReport]] = {}
        self._taught: list[_Taught] = []

    # Before a camera

    def begin(self, camera: str, label: str, origin: str, seconds: float | None) -> Count:
        """Begin a lesson on a camera.

        Args:
            camera: its name.
            label: what is taught.
            origin: see `Lesson`.
            seconds: after which it ends by itself; None where whoever began it keeps saying that they still hold.

        Raises:
            LessonBusy: one is given on it already.
            LabelRefused, BackboneMismatch: see `Learner.teach`.
        """
        label, other = check_label(label), self.on(camera)
        if other is not None:
            raise LessonBusy(
                f"found a lesson about {other.label!r} being given on {camera}, expected none; wait until it is over"
            )
        view = self._learner.view
        class_id = next((number for number, name in self._learner.names.items() if name == label), None)
        known = view.vectors[view.class_ids == class_id]
        cosine, now, number = (
            self._learner.settings.memory.redundant_cosine,
            self._clock(),
            self._numbers.next("lesson being given"),
        )
        hold = Hold(number, camera, label, origin, self._learner.burst(), known, cosine, now, seconds)
        self._holds[number], self._ended[number] = hold, Future()
        self._changed()
        return hold.count(now)

    def beat(self, number: int) -> Count:
        """Whoever gives the lesson still holds.

        Raises:
            LessonOver: it has ended.
        """
        hold, now = self._find(number), self._clock()
        hold.beat(now)
        return hold.count(now)

    def end(self, number: int) -> Future[LessonReport]:
        """End a lesson, and learn it; of one that ended by itself, the report.

        Raises:
            LessonOver: there is none of this number.
        """
        if number in self._holds:
            self._end(self._holds[number])
        return self.ended(number)

    def ended(self, number: int) -> Future[LessonReport]:
        """The report of a lesson, given once it has ended and is learned.

        Raises:
            LessonOver: there is none of this number.
        """
        if number not in self._ended:
            raise LessonOver(f"found no lesson {number}, expected one that was begun lately; begin another")
        return self._ended[number]

    def cancel(self, number: int) -> None:
        """End a lesson, and keep nothing of it.

        Raises:
            LessonOver: there is none of this number.
        """
        del self._holds[self._find(number).number]
        self._changed()
        self._ended.pop(number).set_exception(LessonOver(f"found lesson {number} cancelled; nothing of it was kept"))

    def on(self, camera: str) -> Hold | None:
        """The lesson that is being given on a camera."""
        return next((hold for hold in self._holds.values() if hold.camera == camera), None)

    def look(self, frame: Frame, sight: Sight | None) -> Count | None:
        """Take a frame into the lesson that is given on its camera."""
        hold = self.on(frame.camera)
        if hold is None:
            return None
        hold.look(frame, sight)
        return hold.count(self._clock())

    def leave(self, camera: str) -> None:
        """The camera is gone: a lesson on it ends."""
        hold = self.on(camera)
        if hold is not None:
            self._end(hold)

    # With pictures that are there

    def burst(self) -> Burst:
        """Begin a lesson whose frames come from elsewhere; nothing is written before `teach`."""
        return self._learner.burst()

    def teach(self, label: str, burst: Burst, origin: str) -> Future[LessonReport]:
        """Commit a lesson, and learn it.

        Raises:
            NothingKept, LabelRefused, StoreUnwritable: see `Learner.teach`.
        """
        before, begun = self._learner.recogniser, time.perf_counter()
        lesson = self._learner.commit(label, burst, origin)
        first_ms = 1000.0 * (time.perf_counter() - begun)
        self.lessons += 1
        report: Future[LessonReport] = Future()
        self._taught.append(_Taught(lesson, before, begun, first_ms, report))
        self._learner.relearn()
        self._changed()
        return report

    def teach_seen(self, label: str, candidates: list[Candidate]) -> Future[LessonReport]:
        """Teach frames that were looked at before.

        Raises:
            NothingKept, LabelRefused, StoreUnwritable: see `Learner.teach`.
        """
        burst = self.burst()
        burst.take(candidates)
        return self.teach(label, burst, "camera")

    def teach_review(self, number: int, label: str) -> Future[LessonReport]:
        """Teach a frame that waits for a person.

        Raises:
            ItemUnknown, BackboneMismatch, LabelRefused, NothingKept: see `review.teach`; the frame stays.
        """
        report = self.teach(label, review.burst_of(self._learner, number), "camera")
        self._learner.store.reviews.take(number)
        self._changed()
        return report

    # What goes on by itself

    @property
    def counts(self) -> Mapping[str, Count]:
        """By camera, the lesson that is being given."""
        now = self._clock()
        return {hold.camera: hold.count(now) for hold in self._holds.values()}

    @property
    def learning_since(self) -> float | None:
        """When the fit that goes on began, s, monotonic; None while there is none."""
        return self._fitting.since

    def tick(self) -> None:
        """End lessons whose time is over, and learn what is due."""
        now = self._clock()
        for hold in [hold for hold in self._holds.values() if hold.is_over(now)]:
            self._end(hold)
        made = self._fitting.take()
        if made is not None:
            if made.error is not None:
                raise made.error
            if self._learner.take_up(made.view, made.recogniser):
                self._report()
        if self._taught and not self._learner.due:  # with another release came another head, which knows them already
            self._report()
        if self._fitting.since is None and self._learner.mismatch is None:
            if self.rests is not None:
                self._put_off(self.rests)
            elif self._learner.due:
                self._fitting.begin(self._learner.view)

    def close(self) -> None:
        """Commit what is being given, and end the worker; what is not learned yet is learned by the next start."""
        for hold in list(self._holds.values()):
            self._end(hold)
        self._fitting.close()
        for taught in self._taught:
            taught.report.cancel()

    # Inside

    def _end(self, hold: Hold) -> None:
        del self._holds[hold.number]
        ended = self._ended[hold.number]
        try:
            _pass_on(self.teach(hold.label, hold.burst, hold.origin), ended)
        except EdgeclError as error:  # whoever held may be gone
            self._tell(str(error))
            ended.set_exception(error)
        for number in sorted(self._ended.keys() - self._holds.keys())[:-REPORTS_KEPT]:
            del self._ended[number]
        self._changed()

    def _report(self) -> None:
        learned, self._taught = self._taught, []
        self._changed()  # whoever hears of it finds the state as it is told
        for taught in learned:
            full_ms = 1000.0 * (time.perf_counter() - taught.begun)
            taught.report.set_result(self._learner.report(taught.lesson, taught.before, taught.first_ms, full_ms))

    def _put_off(self, reason: str) -> None:
        """Whoever waits is told that it is kept, and learned later."""
        kept, self._taught = self._taught, []
        for taught in kept:
            past_ms = 1000.0 * (time.perf_counter() - taught.begun)
            report = LessonReport(taught.lesson, None, None, None, taught.first_ms, past_ms, reason)
            taught.report.set_result(report)

    def _find(self, number: int) -> Hold:
        if number not in self._holds:
            raise LessonOver(f"found no lesson {number} being given, expected one that is not over; begin another")
        return self._holds[number]


def _pass_on(source: Future[Any], target: Future[Any]) -> None:
    """Let `target` become what `source` becomes."""

    def done(made: Future[Any]) -> None:
        if made.cancelled():
            target.cancel()
        elif (error := made.exception()) is not None:
            target.set_exception(error)
        else:
            target.set_result(made.result())

    source.add_done_callback(done)
