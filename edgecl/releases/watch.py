"""What a process that answers frames does for a release in trial: counts, measures, and lets go of it in time.

Any such process does it, also one that only reads the memory: the journal has a lock of its own.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import ReleaseSettings
from edgecl.embedding import whole_view
from edgecl.errors import BackboneError, NotFinite, ReleaseError, StoreBusy, StoreError, StoreUnwritable
from edgecl.learner import Learner
from edgecl.manifest import read_manifest
from edgecl.recognition import Recogniser
from edgecl.releases import journal as journals
from edgecl.releases import slots, transitions, trial
from edgecl.releases.journal import Journal
from edgecl.releases.latency import Latency, compare_latency
from edgecl.releases.swap import tidy
from edgecl.releases.trial import Seen, Verdict
from edgecl.types import Sight
from edgecl.unknown import mean_accuracy

FLUSH_S = 30.0  # between two looks at the journal: a card is not written to with every frame
FRAMES_JUDGED = 60  # of which the median says how long a frame takes
log = logging.getLogger(__name__)


def begin(home: Path, settings: ReleaseSettings) -> None:
    """Count the start of a long-running process towards the trial.

    Too many that came to nothing end the trial, before anything of the release is loaded.
    """
    with _harmless():
        found = journals.read(home)
        if found is None or found.trial is None:
            return
        with slots.changing(home, wait=False) as before:
            if before.trial is None:
                return
            verdict = trial.judge_start(before.trial, settings)
            if verdict is None:
                started = before.trial.model_copy(update={"starts": before.trial.starts + 1})
                slots.write_journal(home, before.progressed(started))
        if verdict is not None:
            transitions.roll_back(home, verdict.reason, before.active, wait=False)


class Watch:
    """The eyes of one process.

    Attributes:
        learner: which answers. Its backbone may be another one after `see`.
    """

    def __init__(
        self,
        learner: Learner,
        clock: Callable[[], float] = time.monotonic,
        compare: Callable[[Backbone, Backbone], Latency] = compare_latency,
    ) -> None:
        """Look into the journal of the learner's home for the first time.

        Args:
            learner: over the memory of the home whose release runs.
            clock: s, monotonic.
            compare: measures two backbones in turns.
        """
        self.learner = learner
        self._news: list[str] = []
        self._home, self._settings = learner.store.home, learner.settings.release
        self._clock, self._compare = clock, compare
        self._journal: Journal | None = None
        self._seconds, self._frames, self._healthy = 0.0, 0, False
        self._times: deque[float] = deque(maxlen=FRAMES_JUDGED)
        self._last_frame: float | None = None
        self._judged: Recogniser | None = None
        self._blameless: Recogniser | None = None  # the last whose memory, not whose tail, was found to blame
        self._finite, self._failed = True, False
        self._owed: tuple[int, str] | None = None  # a release that was let go of, and why, where it is not written yet
        self.look()

    def see(self, image: NDArray[np.uint8]) -> Sight:
        """One picture, uint8 (H, W, 3) BGR, through the learner's backbone; counted while that is in trial.

        A release whose numbers are not finite is rolled back, and the picture is seen by the one before.

        Raises:
            FrameUnusable: no picture, or numbers that are not finite where there is no release to go back to.
        """
        begun = time.perf_counter()
        try:
            sight = self.learner.backbone.see(image)
        except NotFinite:
            self._finite = False
            if not self._end():
                raise
            return self.learner.backbone.see(image)
        self._count(1000.0 * (time.perf_counter() - begun))
        return sight

    def news(self) -> list[str]:
        """What became of the trial since this was asked last, in words."""
        told, self._news = self._news, []
        return told

    def close(self, sound: bool = True) -> None:
        """Keep what was counted; `sound` if the process ends because someone asked it to."""
        self._healthy |= sound
        self.look()

    def _count(self, ms: float) -> None:
        now = self._clock()
        if self._journal is None or self._journal.trial is None:
            if now - self._looked_at >= FLUSH_S:
                self.look()
            return
        if self._last_frame is not None:
            self._seconds += min(now - self._last_frame, trial.GAP_S_MAX)
        self._last_frame = now
        self._frames += 1
        self._times.append(ms)
        became_healthy = self._frames == trial.HEALTHY_FRAMES and not self._healthy
        self._healthy |= became_healthy
        if became_healthy or now - self._looked_at >= FLUSH_S or self._end_is_near():
            self.look()

    def _end_is_near(self) -> bool:
        """Whether what was counted here may decide the trial, for better or worse."""
        if self._failed:
            return False
        known = self._journal.trial if self._journal is not None else None
        if known is None or self.learner.recogniser is not self._judged:
            return True
        return trial.judge(self._so_far(known), Seen(), self._settings) is not None

    def _so_far(self, known: journals.Trial) -> journals.Trial:
        """`known`, of the journal, with what was counted here since."""
        return known.model_copy(
            update={
                "seconds": known.seconds + self._seconds,
                "frames": known.frames + self._frames,
                "starts": 0 if self._healthy else known.starts,
            }
        )

    @property
    def active(self) -> int | None:
        """Number of the release that the journal named at the last look; None where it could not be read."""
        return None if self._journal is None else self._journal.active

    def look(self) -> None:
        """Keep what was counted, follow what others decided, and decide."""
        self._looked_at = self._clock()
        self._failed = True  # until it is kept; then what may end the trial is looked at only every `FLUSH_S`
        with _harmless():
            self._keep()
            self._failed = False
        self._follow()
        self._judged = self.learner.recogniser
        self._end()

    def _keep(self) -> None:
        """Add what was counted since the last look to what is in the journal by now."""
        counted_for = self._journal.active if self._journal is not None else None
        found = journals.read(self._home)
        if self._owed is not None and found is not None and found.active == self._owed[0]:
            number, reason = self._owed
            found = transitions.roll_back(self._home, reason, number, wait=False)
        self._owed, self._journal = None, found
        if self._journal is not None and self._is_news(self._journal, counted_for):
            with slots.changing(self._home, wait=False) as now:
                self._journal = now
                if now.trial is not None and self._is_news(now, counted_for):
                    self._journal = slots.write_journal(self._home, now.progressed(self._so_far(now.trial)))
        self._seconds, self._frames = 0.0, 0

    def _is_news(self, found: Journal, counted_for: int | None) -> bool:
        """Whether what was counted for one release changes what the journal says of its trial."""
        if found.trial is None or found.active != counted_for:
            return False
        return self._so_far(found.trial) != found.trial

    def _end(self) -> bool:
        """Decide on the trial; returns whether another release answers from now on."""
        if self._journal is None or self._journal.trial is None:
            return False
        verdict = trial.judge(self._journal.trial, self._seen(), self._settings)
        if verdict is None:
            return False
        number = self._journal.active
        with _harmless():
            self._journal = self._carry_out(verdict, self._journal)
            self._news.append(f"release {number} is {verdict.state}: {verdict.reason}")
        return self._follow()

    def _carry_out(self, verdict: Verdict, journal: Journal) -> Journal:
        number = journal.active
        if verdict.state == "rolled-back":
            try:
                return transitions.roll_back(self._home, verdict.reason, number, wait=False)
            except (StoreUnwritable, StoreBusy) as error:  # it answers no more all the same, and is noted later
                log.warning("release %d is let go of, but that could not be written: %s", number, error)
                after = journal.rolled_back(time.time(), verdict.reason, transitions.way_back(self._home, journal))
                self._owed = number, verdict.reason
                return after
        with slots.changing(self._home, wait=False) as now:
            if now.trial is None or now.active != number:
                return now
            after = slots.write_journal(self._home, now.good(time.time(), verdict.reason))
        tidy(self.learner)
        return after

    def _seen(self) -> Seen:
        return Seen(self._finite, self._slow_ms(), self._accuracy())

    def _accuracy(self) -> float | None:
        """Held out, over the classes known at the switch; None where the memory is to blame for what it lost.

        A backup that was put back, or look-alikes that were taught, make the release before answer no better.
        """
        recogniser, running = self.learner.recogniser, self._journal
        if recogniser is None or recogniser is self._blameless or running is None or running.trial is None:
            return None
        known = running.trial.class_ids
        accuracy = mean_accuracy(recogniser.held_out, known)
        if not trial.is_worse(running.trial, accuracy, self._settings):
            return accuracy
        before = self._accuracy_before(known)
        if before is None or trial.is_worse(running.trial, accuracy, self._settings, before):
            return accuracy
        self._blameless = recogniser  # a head is not fitted again to find the same
        return None

    def _accuracy_before(self, known: Sequence[int]) -> float | None:
        """The same of the release before, with the memory as it is now; None where it cannot be told."""
        number = None if self._journal is None else transitions.way_back(self._home, self._journal)
        if number is None:
            return None
        try:
            backbone = Backbone(slots.release_folder(self._home, number), self.learner.settings.backbone)
            view = whole_view(self.learner.store, backbone)
            fitted = Recogniser.fit(view, self.learner.settings.head.name)
        except (BackboneError, StoreError) as error:
            log.warning("release %d cannot be compared with: %s", number, error)
            return None
        return None if fitted is None else mean_accuracy(fitted.held_out, known)

    def _slow_ms(self) -> float | None:
        """Median of the last frames, where the release is to blame for it: a busy machine slows both alike."""
        if self._journal is None or self._journal.trial is None or len(self._times) < FRAMES_JUDGED:
            return None
        median = statistics.median(self._times)
        previous = self._journal.current.previous
        if previous is None or not trial.is_slow(self._journal.trial, median, self._settings):
            return None
        self._times.clear()  # asked again only after as many frames
        try:
            before = Backbone(slots.release_folder(self._home, previous), self.learner.backbone.execution)
            latency = self._compare(self.learner.backbone, before)
        except BackboneError as error:  # nothing to compare with, nothing to go back to
            log.warning("release %d cannot be compared with: %s", previous, error)
            return None
        return median if latency.ratio > self._settings.slow_ratio_max else None

    def _follow(self) -> bool:
        """Let the learner answer with the release that is active by now; returns whether that is another one."""
        if self._journal is None:
            return False
        folder, settings = slots.release_folder(self._home, self._journal.active), self.learner.settings.backbone
        try:
            graphs = read_manifest(folder).graphs.get(settings.settled_precision)
            if graphs is None or graphs.tail.sha256 == self.learner.backbone.tail_digest:
                return False
            backbone = Backbone(folder, settings)
            if backbone.trunk_digest != self.learner.backbone.trunk_digest:
                return False  # exported anew: the process has to start again to take that up
            self.learner.adopt(backbone)
        except (BackboneError, StoreBusy, StoreUnwritable) as error:
            log.warning("release %d cannot be taken up: %s", self._journal.active, error)
            return False
        self._times.clear()
        self._finite, self._last_frame = True, None
        self._news.append(f"release {self._journal.active} answers now")
        return True


@contextlib.contextmanager
def watching(learner: Learner, clock: Callable[[], float] = time.monotonic) -> Iterator[Watch]:
    """A watch for as long as the block lasts. A process that is asked to end ends soundly; one that breaks does not."""
    watch = Watch(learner, clock)
    try:
        yield watch
    except Exception:
        watch.close(sound=False)
        raise
    except BaseException:
        watch.close()
        raise
    watch.close()


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """Trials are kept where that can be done; answering goes on where it cannot."""
    try:
        yield
    except (ReleaseError, StoreUnwritable, StoreBusy, BackboneError) as error:
        log.warning("the trial could not be kept: %s", error)
