"""Learning on a thread of its own, so that frames are answered meanwhile."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser

END_S = 5.0  # for the fit that it is at; the memory has all that a later one needs
GIVES_WAY = 5  # steps of priority below the thread that answers frames


@dataclass(frozen=True)
class Fit:
    """What was learned from a view; `error` where that failed."""

    view: MemoryView
    recogniser: Recogniser | None
    error: Exception | None = None


class Fitting:
    """The worker. One fit at a time; `take` what came of it before the next `begin`.

    Attributes:
        since: s, monotonic, of the fit that it is at; None while there is none.
    """

    def __init__(self, head: str, wake: Callable[[], None]) -> None:
        """Start it.

        Args:
            head: the file in `heads/` that learns.
            wake: called, on the worker's thread, when a fit is done.
        """
        self._head, self._wake = head, wake
        self._asked: queue.SimpleQueue[MemoryView | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Fit] = queue.SimpleQueue()
        self.since: float | None = None
        self._thread = threading.Thread(target=self._work, name="edgecl-fit", daemon=True)
        self._thread.start()

    def begin(self, view: MemoryView) -> None:
        """Learn from `view`."""
        self.since = time.monotonic()
        self._asked.put(view)

    def take(self) -> Fit | None:
        """What the last fit gave, once; None while it goes on, or where none was asked for."""
        with contextlib.suppress(queue.Empty):
            made = self._made.get_nowait()
            self.since = None
            return made
        return None

    def close(self) -> None:
        """End the thread; a fit that takes longer comes to nothing."""
        self._asked.put(None)
        self._thread.join(END_S)

    def _work(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # of this thread alone, where the system has such a thing
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVES_WAY)
        while (view := self._asked.get()) is not None:
            try:
                made = Fit(view, Recogniser.fit(view, self._head))
            except Exception as error:  # handed to the owner, which raises it
                made = Fit(view, None, error)
            self._made.put(made)
            self._wake()
