"""From one release to another while frames are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from edgecl.errors import EdgeclError, ReleaseBusy, ReleaseRefused
from edgecl.releases import transitions
from edgecl.releases.swap import Swap, Switched, tidy
from edgecl.releases.watch import Watch


class Changeover:
    """At most one swap at a time. Everything is called by the thread that owns the learner, and nothing waits.

    Attributes:
        rests: whether it waits where it is.
    """

    def __init__(self, watch: Watch, changed: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._watch, self._changed, self._tell = watch, changed, tell
        self.rests = False
        self._swap: Swap | None = None
        self._done: Future[Switched] = Future()

    @property
    def progress(self) -> tuple[int, str, int, int] | None:
        """Number of the release that is being installed, how far it is, examples embedded and in all; or None."""
        swap = self._swap
        return None if swap is None else (swap.number, swap.stage, swap.done, swap.total)

    def begin(self, number: int, files: Mapping[str, bytes]) -> Future[Switched]:
        """Begin to change to the verified candidate `number`.

        Raises:
            ReleaseBusy: another one is being changed to.
            ReleaseError, BackboneMismatch: see `Swap`.
        """
        self._require_none()
        self._swap, self._done = Swap(self._watch.learner, number, files), Future()
        self._changed()
        return self._done

    def roll_back(self, reason: str) -> int:
        """Go back to the release before; returns the number of the one that runs then.

        Raises:
            ReleaseBusy: one is being installed.
            ReleaseError: there is none before.
        """
        self._require_none()
        journal = transitions.roll_back(self._watch.learner.store.home, reason)
        self._watch.look()
        self._tell(f"release {journal.active} runs again: {reason}")
        return journal.active

    def tick(self) -> None:
        """Take a step."""
        swap, before = self._swap, self.progress
        if swap is None or self.rests:
            return
        try:
            if swap.step():
                self._finish(swap)
        except EdgeclError as error:
            self._swap = None
            swap.cancel()
            if isinstance(error, ReleaseRefused):
                transitions.note(self._watch.learner.store.home, swap.number, str(error))
            self._tell(str(error))
            self._done.set_exception(error)
        if self.progress != before:
            self._changed()

    def close(self) -> None:
        """Leave off; what runs is as it was."""
        if self._swap is not None:
            self._swap.cancel()
            self._swap = None
            self._done.cancel()

    def _finish(self, swap: Swap) -> None:
        switched = swap.switch()
        self._swap = None
        tidy(self._watch.learner)
        self._watch.look()
        self._tell(f"release {switched.number} runs, in trial")  # whoever hears of it finds the state as it is told
        self._done.set_result(switched)

    def _require_none(self) -> None:
        if self._swap is not None:
            raise ReleaseBusy(
                f"found release {self._swap.number} being installed, expected none; wait until it is done"
            )
