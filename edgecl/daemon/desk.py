"""What the owner of the learner does, without its thread: looks at frames, and lets all else be done in between."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgecl import review
from edgecl.accelerator.report import runs_text
from edgecl.board import Readings
from edgecl.daemon.changeover import Changeover
from edgecl.daemon.moments import Moments
from edgecl.daemon.newcomers import STRANGE, Newcomers
from edgecl.daemon.numbers import Numbers
from edgecl.daemon.shelf import Shelf
from edgecl.daemon.snapshots import Answerer, Live, State
from edgecl.daemon.teaching import Teaching
from edgecl.effort import FULL, Effort
from edgecl.errors import CameraUnavailable, EdgeclError, StoreError
from edgecl.gate import FrameGate
from edgecl.insight import Reason, reason
from edgecl.learner import Learner, LessonReport
from edgecl.lesson import Candidate, candidate_of
from edgecl.memory.forgetting import ForgetProof
from edgecl.overview import ClassSummary, class_summaries
from edgecl.recognition import Recogniser
from edgecl.region import Region
from edgecl.releases.watch import Watch
from edgecl.types import Embedding, Frame, Prediction, Sight

log = logging.getLogger(__name__)

ASKS_EVERY_S = 30.0  # of one camera: a person looks at some frames, not at all of them
NEWS = 20  # messages kept for who comes later
FPS_OF = 30  # frames
DOUBTS = 2  # moments in a row that are uncertain before one is kept for review
FLIPS, FLIPS_OF = 3, 8  # so many changes of the answer in so many moments are uncertain, too


@dataclass
class Eye:
    """What is remembered of one camera between two frames."""

    region: Region
    gate: FrameGate
    times: deque[float] = field(default_factory=lambda: deque(maxlen=FPS_OF))
    labels: deque[str | None] = field(default_factory=lambda: deque(maxlen=FLIPS_OF))
    embeddings: deque[Embedding] = field(default_factory=lambda: deque(maxlen=FPS_OF))
    doubts: int = 0
    asks_again: float = 0.0  # s, monotonic

    def fps(self, now: float) -> float:
        """Frames looked at in a second, lately."""
        self.times.append(now)
        lasted = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / lasted if lasted > 0 else 0.0

    def doubtful(self, prediction: Prediction) -> bool:
        """Whether the answer of this moment is one that a person should look at; once for each doubt."""
        self.labels.append(prediction.label)
        flips = sum(before != after for before, after in itertools.pairwise(self.labels))
        self.doubts = self.doubts + 1 if review.uncertain(prediction) else 0
        if flips >= FLIPS:
            self.labels.clear()
            return True
        return self.doubts == DOUBTS


class Desk:
    """One learner at work. Everything here is called by one thread, and nothing waits.

    Attributes:
        learner: learns when `tick` is called, not at once.
        teaching: lessons.
        shelf: what the memory holds.
        releases: from one to another.
        moments: the last frames of each camera.
        newcomers: things that nobody taught.
        live: by camera, what was made of its newest frame.
        effort: how much is done at a time.
        state: all else that there is to know.
    """

    def __init__(
        self, watch: Watch, wake: Callable[[], None], numbers: Numbers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take over the learner of `watch`.

        Args:
            watch: over a learner that does not learn at once.
            wake: called on another thread when `tick` has something to do.
            numbers: that an earlier desk went up to.
            clock: s, monotonic.
        """
        self.learner: Learner = watch.learner
        self._watch, self._clock, self._numbers = watch, clock, numbers
        self._eyes: dict[str, Eye] = {}
        self._news: deque[tuple[float, str]] = deque(maxlen=NEWS)
        self._tail, self._recogniser = self.learner.backbone.tail_digest, self.learner.recogniser
        self._execution = self.learner.backbone.execution
        self._classes: tuple[ClassSummary, ...] = ()
        self._covers: Mapping[int, int] = {}
        self._classes_of: tuple[int, Recogniser | None] | None = None
        self.live: Mapping[str, Live] = {}
        self.teaching = Teaching(self.learner, wake, self._changed, self.tell, numbers, clock)
        self.shelf = Shelf(self.learner, self._changed)
        self.releases = Changeover(watch, self._changed, self.tell)
        self.moments, self.newcomers = Moments(numbers), Newcomers(numbers)
        self.effort, self._readings = FULL, Readings()
        self.state: State = self._look_around()

    # Cameras

    def use(self, regions: Mapping[str, Region]) -> None:
        """Look through these cameras, at the part of their pictures that counts, and through no others."""
        if {name: eye.region for name, eye in self._eyes.items()} == dict(regions):
            return
        for name in self._eyes.keys() - regions.keys():
            self.leave(name)
        for name, region in regions.items():
            if name not in self._eyes or self._eyes[name].region != region:
                # How often a frame may enter the memory does not matter for a look at it.
                gate = FrameGate(self.learner.settings.gate.model_copy(update={"rate_max_hz": 1000.0}))
                self._eyes[name] = Eye(region, gate)
        self._changed()

    def leave(self, name: str) -> None:
        """Look through a camera no more: a lesson on it ends, and what was seen there is forgotten."""
        self.teaching.leave(name)
        self.moments.forget(name)
        self._eyes.pop(name, None)
        self.live = {other: live for other, live in self.live.items() if other != name}

    def require_camera(self, name: str) -> None:
        """Whether there is such a camera.

        Raises:
            CameraUnavailable: there is not.
        """
        if name not in self._eyes:
            there = ", ".join(self._eyes) or "none"
            raise CameraUnavailable(f"found no camera {name!r}, expected one of: {there}; name one of these")

    def set_effort(self, effort: Effort, readings: Readings) -> None:
        """Do so much, for what was read of the board."""
        self.effort, self._readings = effort, readings
        self.teaching.rests = None if effort.learns else effort.reason
        self.releases.rests = not effort.learns
        self._changed()

    # Frames

    def look(self, frame: Frame) -> Live | None:
        """Answer for a frame, and take it into the lesson that is given on its camera; None where nobody looks."""
        eye = self._eyes.get(frame.camera)
        if eye is None:
            return None
        begun = self._clock()
        part = replace(frame, image=eye.region.cut(frame.image))
        refused, sight, prediction, trouble = eye.gate.check(part).reason, None, None, None
        try:
            sight = self._watch.see(part.image)
            prediction = self.learner.answer(part, sight, smooth=True)
        except EdgeclError as error:  # numbers that are not finite, or a memory of another trunk: said, not raised
            trouble = str(error)
        count = self.teaching.look(part, sight)
        if sight is not None and prediction is not None:
            eye.embeddings.append(sight.embedding)
            if refused is None and count is None and self.moments.is_due(frame.camera, begun):
                self._remember(eye, part, sight, prediction, begun)
        now = self._clock()
        live = Live(
            camera=frame.camera,
            number=self._numbers.next(f"frame of {frame.camera}"),
            frame=frame,
            prediction=prediction,
            refused=refused,
            trouble=trouble,
            fps=eye.fps(frame.monotonic),
            age_s=now - frame.monotonic,
            seconds=now - begun,
            hold=count,
        )
        self.live = {**self.live, frame.camera: live}
        return live

    def why(self, camera: str) -> Reason | None:
        """Why the camera is answered as it is; None where there is nothing to say.

        The answer is one of some frames together: what is explained is the newest of these that says the same alone.

        Raises:
            CameraUnavailable: there is no such camera.
        """
        self.require_camera(camera)
        recogniser, live = self.learner.recogniser, self.live.get(camera)
        if recogniser is None or live is None or live.prediction is None:
            return None
        seen = [one for one in reversed(self._eyes[camera].embeddings) if one.tail == recogniser.head.tail]
        if not seen:
            return None
        names, answer = self.learner.names, live.prediction.label
        alone = (one for one in seen if recogniser.scores(one).prediction(names).label == answer)
        return reason(self.learner.view, recogniser, next(alone, seen[0]).vector)

    def keep_for_review(self, frame: Frame) -> int | None:
        """Let a frame that no camera of ours gave wait for a person; gives its number there, see `review.keep`.

        Raises:
            FrameUnusable: the network's numbers are not finite.
            BackboneMismatch: see `Learner.mismatch`.
            StoreUnwritable: the disk refuses.
        """
        sight = self._watch.see(frame.image)
        prediction = self.learner.answer(frame, sight, smooth=False)
        candidate = candidate_of(self.learner.backbone, self.learner.settings.memory, frame, sight)
        number = review.keep(self.learner, candidate, prediction)
        self._changed()
        return number

    def name_newcomer(self, number: int, label: str) -> Future[LessonReport]:
        """Say what a new thing is: all that was seen of it is the lesson.

        Raises:
            ItemUnknown: there is none of this number.
            NothingKept, LabelRefused, StoreUnwritable: see `Learner.teach`; it still waits.
        """
        report = self.teaching.teach_seen(label, list(self.newcomers.find(number).candidates))
        self.dismiss_newcomer(number)
        return report

    def dismiss_newcomer(self, number: int) -> None:
        """Ask about a new thing no more.

        Raises:
            ItemUnknown: there is none of this number.
        """
        self.newcomers.drop(number)
        self._changed()

    def _remember(self, eye: Eye, part: Frame, sight: Sight, prediction: Prediction, now: float) -> None:
        """Keep a good frame for a moment; one that nobody taught, or is sure about, for longer."""
        candidate = candidate_of(self.learner.backbone, self.learner.settings.memory, part, sight)
        self.moments.keep(part.camera, candidate, prediction, now)
        knows = self.learner.recogniser is not None  # while nothing was taught, all there is would be new
        if knows and prediction.unknown_score >= STRANGE and self.newcomers.see(candidate, now):
            self._changed()
        if eye.doubtful(prediction) and now >= eye.asks_again and self.learner.settings.memory.review:
            eye.asks_again = now + ASKS_EVERY_S
            self._ask_later(candidate, prediction)

    def _ask_no_more(self) -> None:
        """Of new things, drop those that were taught by other means than their name here; all, if nothing is known."""
        recogniser = self._recogniser
        if recogniser is None:
            self.newcomers.forget()
            self._changed()
            return
        if recogniser.head.tail != self._tail:
            return

        def known(vector: NDArray[np.float32]) -> bool:
            return recogniser.scores(Embedding(vector, self._tail)).unknown < STRANGE

        if self.newcomers.keep_unknown(known):
            self._changed()

    def _ask_later(self, candidate: Candidate, prediction: Prediction) -> None:
        try:
            review.keep(self.learner, candidate, prediction)
        except StoreError as error:  # a frame less to review
            self.tell(f"an uncertain frame could not be kept: {error}")
        self._changed()

    # What goes on by itself

    def tick(self) -> None:
        """Do what is due: end lessons, learn, take a step towards another release."""
        self.teaching.tick()
        self.releases.tick()
        for text in self._watch.news():
            self.tell(text)
        execution = self.learner.backbone.execution
        if execution != self._execution:
            self._execution = execution
            self.tell(f"the network runs on {runs_text(execution)} now")
        if self.learner.backbone.tail_digest != self._tail:  # what was seen was embedded by another
            self._tail = self.learner.backbone.tail_digest
            self._let_go()
        if self.learner.recogniser is not self._recogniser:
            self._recogniser = self.learner.recogniser
            self._ask_no_more()

    def forget(self, label: str) -> ForgetProof:
        """Delete a class for good, and with it all that was seen lately: it may show the same.

        Raises:
            ClassUnknown: there is none of this name.
        """
        proof = self.shelf.forget(label)
        self._let_go()
        return proof

    @property
    def busy(self) -> bool:
        """Whether `tick` has to be called soon, also while no frame comes."""
        return bool(self.teaching.counts) or self.releases.progress is not None

    def tell(self, text: str) -> None:
        """Let whoever looks on know."""
        log.info("%s", text)
        self._news.append((time.time(), text))
        self._changed()

    def close(self) -> None:
        """Commit the lessons that are being given, and end what works beside."""
        self.releases.close()
        self.teaching.close()

    # Inside

    def _let_go(self) -> None:
        self.moments.forget()
        self.newcomers.forget()
        for eye in self._eyes.values():
            eye.embeddings.clear()
        self._changed()

    def _changed(self) -> None:
        self.state = self._look_around()

    def _look_around(self) -> State:
        of = self.learner.store.revision, self.learner.recogniser
        if self._classes_of is None or self._classes_of[0] != of[0] or self._classes_of[1] is not of[1]:
            self._classes, self._classes_of = tuple(class_summaries(self.learner)), of
            self._covers = self._find_covers()
        return State(
            number=self._numbers.next("state"),
            revision=of[0],
            classes=self._classes,
            covers=self._covers,
            learning=self.learner.due,
            holds=self.teaching.counts,
            regions={name: eye.region.corners for name, eye in self._eyes.items()},
            lessons=self.teaching.lessons,
            reviews=len(self.learner.store.reviews),
            newcomers=len(self.newcomers.asking()),
            release=self._watch.active,
            execution=self.learner.backbone.execution,
            swap=self.releases.progress,
            answerer=Answerer(
                self.learner.backbone, self.learner.recogniser, self.learner.names, self.learner.mismatch
            ),
            news=tuple(self._news),
            effort=self.effort,
            board=self._readings,
        )

    def _find_covers(self) -> Mapping[int, int]:
        """Class id → the example that is most like all its others."""
        if self.learner.mismatch is not None:
            return {}
        view, covers = self.learner.view, {}
        for class_id in np.unique(view.class_ids):
            rows = np.flatnonzero(view.class_ids == class_id)
            likeness = view.vectors[rows] @ view.vectors[rows].mean(axis=0)
            covers[int(class_id)] = int(view.example_ids[rows[int(likeness.argmax())]])
        return covers
