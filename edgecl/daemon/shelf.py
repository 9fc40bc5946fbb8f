"""What the memory holds, for who asks: read and put in order by the thread that owns it."""

from __future__ import annotations

from collections.abc import Callable

from edgecl.errors import ItemUnknown
from edgecl.learner import Learner
from edgecl.lesson import Candidate
from edgecl.memory.forgetting import ForgetProof
from edgecl.memory.reviews import ReviewFrame
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser
from edgecl.types import Example, Lesson


class Shelf:
    """One learner's memory. Changes are committed when a call returns, and learned a moment later."""

    def __init__(self, learner: Learner, changed: Callable[[], None]) -> None:
        """Show the memory of `learner`; `changed` is called after every change."""
        self._learner, self._changed = learner, changed

    # To look at

    def lessons(self, limit: int | None = None, after: float = 0.0) -> tuple[Lesson, ...]:
        """The newest lessons given after `after`, s UTC since the epoch, newest first."""
        return self._learner.store.history(limit, after)

    def examples(self, label: str) -> list[Example]:
        """What is kept of a class.

        Raises:
            ClassUnknown: there is none of this name.
        """
        store = self._learner.store
        return list(store.examples(store.class_id(label)))

    def example_picture(self, number: int) -> bytes:
        """An example's picture, a JPEG.

        Raises:
            ItemUnknown: there is none.
        """
        found = next(self._learner.store.examples(ids=[number]), None)
        if found is None or found.thumbnail is None:
            raise ItemUnknown(f"found no picture of example {number}, expected one that is kept; list the examples")
        return found.thumbnail

    def reviews(self) -> list[ReviewFrame]:
        """The frames that wait for a person, oldest first."""
        return list(self._learner.store.reviews)

    def review_picture(self, number: int) -> bytes:
        """The picture of a frame that waits, a JPEG.

        Raises:
            ItemUnknown: there is none.
        """
        found = self._learner.store.reviews.get(number).thumbnail
        if found is None:
            raise ItemUnknown(f"found no picture of review frame {number}, expected one; pictures are switched off")
        return found

    def learned(self) -> tuple[MemoryView, Recogniser | None]:
        """The memory as the head sees it, and what answers; both may be handed to another thread.

        Raises:
            BackboneMismatch: the memory was made by another trunk.
        """
        return self._learner.view, self._learner.recogniser

    # To change

    def undo(self, lesson: int | None = None) -> Lesson:
        """Take back the newest lesson, whatever it was about.

        Raises:
            NothingToUndo: no lesson is left, or the newest is not the `lesson` that was meant.
        """
        return self._noted(self._learner.undo(lesson))

    def rename(self, label: str, new: str) -> Lesson:
        """Give a class another name.

        Raises:
            ClassUnknown, LabelRefused: see `Learner.rename`.
        """
        return self._noted(self._learner.rename(label, new))

    def merge(self, label: str, into: str) -> Lesson:
        """Let a class count as another.

        Raises:
            ClassUnknown, LabelRefused: see `Learner.merge`.
        """
        return self._noted(self._learner.merge(label, into))

    def correct(self, example: int, label: str) -> Lesson:
        """Count an example as another class.

        Raises:
            ItemUnknown, LabelRefused: see `Learner.correct`.
        """
        return self._noted(self._learner.correct(example, label))

    def drop(self, example: int) -> Lesson:
        """Take an example out.

        Raises:
            ItemUnknown: there is none of this number.
        """
        return self._noted(self._learner.drop(example))

    def deny(self, label: str, candidate: Candidate) -> Lesson:
        """Say that a frame is not of a class, whatever else it shows.

        Raises:
            ClassUnknown: there is none of this name.
        """
        burst = self._learner.burst()
        burst.take([candidate])
        return self._noted(self._learner.deny(label, burst, "camera"))

    def forget(self, label: str) -> ForgetProof:
        """Delete a class for good.

        Raises:
            ClassUnknown: there is none of this name.
        """
        proof = self._learner.forget(label)
        self._changed()
        return proof

    def drop_review(self, number: int) -> None:
        """Let a frame wait no more.

        Raises:
            ItemUnknown: it does not wait.
        """
        self._learner.store.reviews.take(number)
        self._changed()

    def _noted(self, lesson: Lesson) -> Lesson:
        self._changed()
        return lesson
