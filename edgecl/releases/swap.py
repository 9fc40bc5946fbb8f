"""From a candidate to the active release while predictions go on: the side of the thread that owns the learner.

Embeddings and heads are kept under the digest of their tail, so both releases lie side by side in the memory until the
one moment in which the journal, the link and the learner change over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecl.errors import ReleaseError, ReleaseRefused, StoreBusy, StoreUnwritable
from edgecl.kept_heads import keep_head
from edgecl.learner import Learner
from edgecl.releases import slots, transitions
from edgecl.releases.journal import Trial
from edgecl.releases.migration import Chunk, Failed, Fitted, Migration, Opened
from edgecl.unknown import mean_accuracy

Stage = Literal["opening", "embedding", "learning", "ready", "done", "cancelled"]


@dataclass(frozen=True)
class Switched:
    """What a switch did.

    Attributes:
        number: of the release that runs now.
        previous: of the one before.
        accuracy_before, accuracy_after: held out, on this device's memory, mean over classes; None where nothing can
            be held out.
        latency_ratio: a picture through the new backbone against the old one.
        embedded: examples that were embedded for it.
        switch_ms: the moment of changing over.
        seconds: from the beginning.
    """

    number: int
    previous: int
    accuracy_before: float | None
    accuracy_after: float | None
    latency_ratio: float
    embedded: int
    switch_ms: float
    seconds: float


class Swap:
    """One swap. The owner calls `step` between two frames until it returns True, then `switch`.

    Attributes:
        number: of the candidate.
        stage: how far it is.
        done: examples embedded so far.
        total: examples that lacked an embedding when it began.
    """

    def __init__(
        self,
        learner: Learner,
        number: int,
        files: Mapping[str, bytes],
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 0.0,
    ) -> None:
        """Begin with the verified candidate `number` of the learner's home.

        Args:
            learner: which owns a writable store.
            number: of the candidate.
            files: that were verified, by name. They are what is tried; the folder is switched to if it still holds
                them.
            clock: s, monotonic.
            wait_s: how long `step` may wait for the worker; for callers that have no frames to answer.

        Raises:
            BackboneMismatch: the memory was made by another trunk than the one that runs.
            ReleaseError: it is no candidate of that home.
        """
        if learner.mismatch is not None:
            raise learner.mismatch
        home = learner.store.home
        transitions.require_candidate(home, slots.read_journal(home), number)
        self.number = number
        self.stage: Stage = "opening"
        self.done = self.total = 0
        self._learner, self._clock, self._wait_s = learner, clock, wait_s
        self._home: Path = home
        self._files = files
        self._begun = clock()
        self._opened: Opened | None = None
        self._fitted: Fitted | None = None
        self._accuracy: tuple[float | None, float | None] = (None, None)
        self._migration = Migration(files, self._home, learner.backbone, learner.settings)

    def step(self) -> bool:
        """Take in a little of what the worker made; a few milliseconds. Returns whether `switch` may be called.

        Raises:
            ReleaseRefused: the candidate may not run here, with the reason; the swap is over, nothing has changed.
            StoreUnwritable: the disk refuses; likewise.
        """
        self._require_open()
        try:
            return self._step()
        except Exception:
            self.cancel()
            raise

    def switch(self) -> Switched:
        """Change over: journal, link, and the learner's backbone, view and head in one go.

        Raises:
            ReleaseError: `step` has not returned True, or something was taught since.
            StoreUnwritable: the disk refuses; the release before runs on.
        """
        self._require_open()
        opened, fitted = self._opened, self._fitted
        if self.stage != "ready" or opened is None or fitted is None or not self._is_current(fitted):
            raise ReleaseError(f"found release {self.number} not ready, expected step() to have returned True just now")
        begun = time.perf_counter()
        before, after = self._accuracy
        known = () if fitted.recogniser is None else tuple(fitted.recogniser.head.class_ids.tolist())
        trial = Trial(accuracy=after, class_ids=known, frame_ms=opened.latency.old_ms)
        journal = transitions.switch(self._home, self.number, self._files, "switched to", trial)
        self._learner.adopt(opened.backbone, fitted.view, fitted.recogniser)
        switch_ms = 1000.0 * (time.perf_counter() - begun)
        self.stage = "done"
        self._migration.stop()
        return Switched(
            self.number,
            journal.current.previous or 0,
            before,
            after,
            opened.latency.ratio,
            self.done,
            switch_ms,
            self._clock() - self._begun,
        )

    def cancel(self) -> None:
        """Leave off. What was embedded stays, keyed by a tail that nothing runs, and is used if it is tried again."""
        if self.stage not in ("done", "cancelled"):
            self.stage = "cancelled"
            self._migration.stop()

    def _step(self) -> bool:
        if self.stage == "ready" and self._fitted is not None:
            if self._is_current(self._fitted):
                return True
            self.stage = "embedding"
            self._migration.again()
        made = self._migration.take(self._wait_s)
        if isinstance(made, Failed):
            raise made.error
        if isinstance(made, Opened):
            self._open(made)
        elif isinstance(made, Chunk):
            self._learner.store.put_vectors(self._tail, made.ids, made.vectors)
            self.done += len(made.ids)
            self.stage = "learning" if self.done >= self.total else "embedding"
        elif isinstance(made, Fitted):
            return self._take_head(made)
        return False

    def _open(self, opened: Opened) -> None:
        most = self._learner.settings.release.latency_ratio_max
        if not opened.latency.ratio <= most:
            raise ReleaseRefused(
                f"found release {self.number} {opened.latency.ratio:.2f} times as slow as the one that runs, expected "
                f"at most {most:g}; consolidate anew, or set release.latency_ratio_max"
            )
        self._opened, self.total = opened, opened.missing
        self.stage = "embedding" if opened.missing else "learning"

    def _take_head(self, fitted: Fitted) -> bool:
        if not self._is_current(fitted):  # taught meanwhile
            self._migration.again()
            self.stage = "embedding"
            return False
        self._accuracy = self._compared(fitted)
        self._fitted, self.stage = fitted, "ready"
        if fitted.recogniser is not None:  # so that a start after the switch need not fit
            keep_head(self._learner.store, fitted.recogniser, fitted.view.revision)
        return True

    def _compared(self, fitted: Fitted) -> tuple[float | None, float | None]:
        """Held-out accuracy with the present tail and with the new one, over the same classes."""
        present, new = self._learner.recogniser, fitted.recogniser
        if present is None or new is None:
            return None, None
        known = present.head.class_ids.tolist()
        before, after = mean_accuracy(present.held_out, known), mean_accuracy(new.held_out, known)
        most = self._learner.settings.release.accuracy_drop_max
        if before is not None and after is not None and before - after > most:
            raise ReleaseRefused(
                f"found {100 * after:.1f} % of this device's own held-out examples recognised with release "
                f"{self.number}, {100 * before:.1f} % with the one that runs, expected a drop of at most "
                f"{100 * most:g} points; consolidate with this device's memory, or set release.accuracy_drop_max"
            )
        return before, after

    def _is_current(self, fitted: Fitted) -> bool:
        return fitted.view.revision == self._learner.store.revision

    @property
    def _tail(self) -> str:
        if self._opened is None:
            raise ReleaseError("found a swap that has not opened its candidate, expected step() to have done so")
        return self._opened.backbone.tail_digest

    def _require_open(self) -> None:
        if self.stage in ("done", "cancelled"):
            raise ReleaseError(f"found the swap to release {self.number} {self.stage}, expected a new one")


def tidy(learner: Learner) -> None:
    """Delete releases that need not be kept any more, and what the memory holds of their tails. Never needed."""
    for tail in transitions.retire(learner.store.home, learner.settings.release.keep):
        if learner.store.writable:
            try:
                learner.store.drop_tail(tail)
            except (StoreUnwritable, StoreBusy):  # it takes room, and does no harm
                return
