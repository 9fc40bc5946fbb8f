"""The learner: predict, teach, undo, correct, rename, merge, forget, rebuild. No threads, no sockets.

It owns the store. What is taught is committed first and learned afterwards: a lesson is never lost, and the head can
always be made again from the memory. Whoever answers frames meanwhile learns elsewhere: see `learns_at_once`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import Settings
from edgecl.embedding import embed_anew, whole_view
from edgecl.errors import BackboneMismatch, NothingKept, StoreBusy, StoreUnwritable
from edgecl.gate import FrameGate
from edgecl.kept_heads import keep_head, kept_head
from edgecl.lesson import Burst
from edgecl.memory.forgetting import ForgetProof
from edgecl.memory.lessons import LessonDraft
from edgecl.memory.replay import Selection, select
from edgecl.memory.store import Store
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser
from edgecl.smoothing import Smoother
from edgecl.types import Frame, Lesson, Prediction, Sight, check_label

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LessonReport:
    """What a lesson did.

    Attributes:
        lesson: as the memory recorded it.
        accuracy: of the class on its left-out half, None where it has a single example.
        others_before, others_after: mean accuracy of the other classes on theirs, None where there are none.
        first_ms: from the last frame until the class is first answered, ms.
        full_ms: from the last frame until everything is learned and calibrated, ms.
        waits: why it is kept but not learned yet, None where it is learned.
    """

    lesson: Lesson
    accuracy: float | None
    others_before: float | None
    others_after: float | None
    first_ms: float
    full_ms: float
    waits: str | None = None


class Learner:
    """One owner of one memory.

    Attributes:
        store: the memory.
        backbone: makes the embeddings.
        settings: of this home.
        recogniser: what has been learned, None while nothing was taught. Replaced whole, never changed.
        learns_at_once: whether a change is learned before the call that makes it returns. If not, `due` is set and the
            head of before goes on answering, without classes that are gone; whoever owns the learner fits a head to
            `view`, on a thread of its own if it likes, and hands it to `take_up`.
        due: whether something was changed that is not learned yet.
        mismatch: set while the memory's examples were made by another trunk. Nothing can be learned or answered then,
            but what was taught can still be listed, renamed, undone and forgotten.
    """

    def __init__(self, store: Store, backbone: Backbone, settings: Settings, learns_at_once: bool = True) -> None:
        """Take up where the memory left off; learn again only what its last fitted head lacks."""
        self.store = store
        self.backbone = backbone
        self.settings = settings
        self.learns_at_once = learns_at_once
        self.due = False
        self.names = store.classes()
        self.mismatch = self._find_mismatch()
        self._view: MemoryView | None = None
        self._stale: MemoryView | None = None  # the last view, whose statistics the next one starts from
        self._smoothers: dict[str, Smoother] = {}
        self.recogniser = kept_head(store, backbone, settings.head.name, self.names)
        if self.recogniser is None:
            self.relearn()

    # Predicting

    def predict(self, frame: Frame, smooth: bool = False) -> Prediction:
        """Look at the frame, and answer.

        Raises:
            FrameUnusable: the network's numbers are not finite.
            BackboneMismatch: see `mismatch`.
        """
        return self.answer(frame, self.backbone.see(frame.image), smooth)

    def answer(self, frame: Frame, sight: Sight, smooth: bool = False) -> Prediction:
        """Say what is in the picture; with `smooth`, in the light of the camera's last frames.

        Raises:
            BackboneMismatch: see `mismatch`.
        """
        self._require_match()
        if self.recogniser is None:
            return Prediction(None, 0.0, (), 1.0, frame.camera, frame.taken_at, time.monotonic() - frame.monotonic)
        scores = self.recogniser.scores(sight.embedding)
        if smooth:
            smoother = self._smoothers.setdefault(frame.camera, Smoother(self.settings.stream.smoothing_s))
            scores = smoother.update(scores, frame.monotonic, frame.taken_at)
        age = time.monotonic() - frame.monotonic
        return scores.prediction(self.names, frame.camera, frame.taken_at, age)

    # Teaching

    def burst(self) -> Burst:
        """Begin a lesson. Nothing is written before `teach`."""
        return Burst(self.backbone, FrameGate(self.settings.gate), self.settings.memory)

    def teach(self, label: str, burst: Burst, origin: str) -> LessonReport:
        """Commit the lesson, answer at once, then learn it fully.

        Raises:
            NothingKept: no frame showed anything new; nothing was changed.
            LabelRefused: the label cannot be one.
            StoreUnwritable: the disk refuses; nothing was changed.
        """
        begun = time.perf_counter()
        lesson = self.commit(label, burst, origin)
        first_ms = (time.perf_counter() - begun) * 1000.0
        before = self.recogniser
        self.relearn()
        full_ms = (time.perf_counter() - begun) * 1000.0
        return self.report(lesson, before, first_ms, full_ms)

    def commit(self, label: str, burst: Burst, origin: str) -> Lesson:
        """Write the lesson and answer for its class at once; `relearn` has to follow.

        Raises:
            NothingKept, LabelRefused, StoreUnwritable: as `teach`.
        """
        label = check_label(label)
        burst.follow(self.backbone)
        chosen = self._select(label, burst.vectors())
        if not chosen.kept:
            raise NothingKept(_nothing_kept(label, burst))
        draft = self._draft(label, burst, origin, chosen)
        lesson = self.store.teach(draft, self.settings.memory.undoable_lessons)
        self._memory_changed()
        if self.recogniser is not None and lesson.class_id not in self.recogniser.head.class_ids:
            self.recogniser = self.recogniser.with_new_class(self.view, lesson.class_id)
        return lesson

    def report(self, lesson: Lesson, before: Recogniser | None, first_ms: float, full_ms: float) -> LessonReport:
        """What the lesson did, once it is learned.

        Args:
            lesson: as the memory recorded it.
            before: what answered before it was learned.
            first_ms: see `LessonReport`.
            full_ms: see `LessonReport`.
        """
        after = self.recogniser
        known_before = before.held_out.mean_of_others(lesson.class_id) if before is not None else None
        if after is None:
            return LessonReport(lesson, None, known_before, None, first_ms, full_ms)
        accuracy, others = after.held_out.of(lesson.class_id), after.held_out.mean_of_others(lesson.class_id)
        return LessonReport(lesson, accuracy, known_before, others, first_ms, full_ms)

    # Changing what was taught

    def undo(self, lesson: int | None = None) -> Lesson:
        """Take back the newest lesson, whatever it was about.

        Raises:
            NothingToUndo: no lesson is left, or the newest is not the `lesson` that was meant.
        """
        return self._changed(lambda: self.store.undo(lesson))

    def correct(self, example_id: int, label: str) -> Lesson:
        """Count one example as `label` from now on.

        Raises:
            ItemUnknown, LabelRefused: see Store.correct.
        """
        return self._changed(lambda: self.store.correct(example_id, label))

    def drop(self, example_id: int) -> Lesson:
        """Take one example out of the memory.

        Raises:
            ItemUnknown: see Store.drop.
        """
        return self._changed(lambda: self.store.drop(example_id))

    def deny(self, label: str, burst: Burst, origin: str) -> Lesson:
        """Say that the frames of `burst` are not of a class, whatever else they show.

        Raises:
            ClassUnknown, NothingKept: see Store.deny.
        """
        burst.follow(self.backbone)
        everything = Selection(tuple(range(len(burst.candidates))), ())
        draft = self._draft(check_label(label), burst, origin, everything)
        return self._changed(lambda: self.store.deny(draft))

    def rename(self, name: str, new: str) -> Lesson:
        """Give a class another name.

        Raises:
            ClassUnknown, LabelRefused: see Store.rename.
        """
        return self._changed(lambda: self.store.rename(name, new))

    def merge(self, source: str, target: str) -> Lesson:
        """Let one class count as another.

        Raises:
            ClassUnknown, LabelRefused: see Store.merge.
        """
        return self._changed(lambda: self.store.merge(source, target))

    def forget(self, name: str) -> ForgetProof:
        """Delete a class for good.

        Raises:
            ClassUnknown: there is none of this name.
        """
        proof = self.store.forget(name)
        self._memory_changed()
        self.recogniser = None  # it was learned with what is to be forgotten
        self.relearn()
        return proof

    # Learning

    @property
    def view(self) -> MemoryView:
        """The memory as the heads see it, with every example embedded by this tail.

        Raises:
            BackboneMismatch: see `mismatch`.
        """
        self._require_match()
        if self._view is None:
            view = whole_view(self.store, self.backbone, self._stale)
            self._view = replace(view, known_stats=view.stats_since(self._stale))
            self._stale = None
        return self._view

    def relearn(self) -> None:
        """Fit the head to the memory as it is now, calibrate it, keep it; or see to it that someone else does."""
        for smoother in self._smoothers.values():
            smoother.reset()
        if self.mismatch is not None:
            self.recogniser = None
            return
        if self.learns_at_once:
            self.take_up(self.view, Recogniser.fit(self.view, self.settings.head.name))
            return
        self.due = True
        if self.recogniser is not None:
            self.recogniser = self.recogniser.only(self.names)

    def take_up(self, view: MemoryView, recogniser: Recogniser | None) -> bool:
        """Answer with what was fitted to `view` from now on, and keep it; not if anything has changed since.

        Args:
            view: as `view` was when the fit began.
            recogniser: fitted to it.
        """
        if view is not self._view:
            return False
        for smoother in self._smoothers.values():  # what was answered before this was known has no say any more
            smoother.reset()
        self.due = False
        self.names = view.names  # of the same moment as the head, also where another process teaches meanwhile
        self.recogniser = recogniser
        if recogniser is not None and self.store.writable:
            try:  # what was taught is on disk already
                keep_head(self.store, recogniser, view.revision)
            except (StoreUnwritable, StoreBusy) as error:
                log.warning("the head could not be kept, so the next start learns it again: %s", error)
        return True

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Embed every example anew and learn from nothing else: what the memory holds is all there is."""
        self._require_match()
        embed_anew(self.store, self.backbone, progress)
        self._view = self._stale = self.recogniser = None
        self.relearn()

    def adopt(self, backbone: Backbone, view: MemoryView | None = None, recogniser: Recogniser | None = None) -> None:
        """Answer with another tail from the next frame on; nobody sees a head with embeddings of another tail.

        Args:
            backbone: of the same trunk.
            view: the memory embedded by it, at the revision that it has now; None to embed and learn what lacks first.
            recogniser: fitted to that view.

        Raises:
            StoreUnwritable: without a view: the disk refuses; what runs is as it was.
        """
        if view is None:
            view, recogniser = self._learned_with(backbone)
        for smoother in self._smoothers.values():
            smoother.reset()
        self.backbone, self._view, self._stale, self.recogniser = backbone, view, None, recogniser
        self.due = False
        self.names = view.names if view is not None else self.names
        self.mismatch = self._find_mismatch()

    # Inside

    def _learned_with(self, backbone: Backbone) -> tuple[MemoryView | None, Recogniser | None]:
        """What a learner with `backbone` would start with."""
        other = Learner(self.store, backbone, self.settings)
        return other._view, other.recogniser

    def _draft(self, label: str, burst: Burst, origin: str, chosen: Selection) -> LessonDraft:
        kept = list(chosen.kept)
        return LessonDraft(
            label,
            origin,
            [burst.candidates[index].example(self.backbone.trunk_digest) for index in kept],
            burst.vectors()[kept],
            self.backbone.tail_digest,
            seen=burst.seen,
            redundant=burst.seen - burst.rejected - len(kept),
            rejected=burst.rejected,
            reasons=burst.reasons,
            taken_at=time.time(),
            displaced=chosen.displaced,
        )

    def _select(self, label: str, vectors: NDArray[np.float32]) -> Selection:
        memory = self.settings.memory
        return select(
            self.view,
            next((class_id for class_id, name in self.names.items() if name == label), None),
            vectors,
            per_class=memory.per_class,
            total=memory.total,
            redundant_cosine=memory.redundant_cosine,
        )

    def _changed(self, change: Callable[[], Lesson]) -> Lesson:
        lesson = change()
        self._memory_changed()
        self.relearn()
        return lesson

    def _memory_changed(self) -> None:
        self._stale, self._view = self._view or self._stale, None
        self.names = self.store.classes()
        self.mismatch = self._find_mismatch()

    def _find_mismatch(self) -> BackboneMismatch | None:
        found, expected = self.store.trunk(), self.backbone.trunk_digest
        if found in (None, expected):
            return None
        return BackboneMismatch(
            f"found a memory made by trunk {found:.12}…, expected {expected:.12}…; if it was put back just "
            "now, start anew; else use the backbone and precision it was taught with, or forget all classes (edgecl "
            "forget LABEL) and teach them anew"
        )

    def _require_match(self) -> None:
        if self.mismatch is not None:
            raise self.mismatch


def _nothing_kept(label: str, burst: Burst) -> str:
    refused = ", ".join(f"{count} {reason}" for reason, count in burst.reasons.most_common())
    redundant = burst.seen - burst.rejected
    found = [f"{burst.seen} frames"]
    if refused:
        found.append(f"refused: {refused}")
    if redundant:
        found.append(f"{redundant} like what is known already")
    remedy = "show the thing closer, sharper or from another side" if burst.seen else "check the source"
    return f"found no new view of {label!r} ({'; '.join(found)}), expected at least one; nothing was changed, {remedy}"
