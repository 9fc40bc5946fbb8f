"""Measures once while a daemon runs, when nobody waits for it; what comes of it counts from the next start on."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgecl.accelerator.execution import execution_of, is_open, measure
from edgecl.accelerator.measuring import PROBE
from edgecl.accelerator.remembered import recall
from edgecl.accelerator.report import outcomes_text, runs_text
from edgecl.config import BackboneSettings
from edgecl.errors import EdgeclError

AFTER_S = 120.0  # whoever has just begun wants to see something
LOOK_S = 5.0
log = logging.getLogger(__name__)


@contextlib.contextmanager
def measuring(
    home: Path,
    asked: BackboneSettings,
    at_leisure: Callable[[], bool],
    after_s: float = AFTER_S,
    probe: Sequence[str] = PROBE,
) -> Iterator[None]:
    """Do so on a thread of its own for as long as the block lasts, if anything is left open and not known.

    What fell out for a reason that may pass is not known yet: it is tried again, by a few starts at the most.

    Args:
        home: the folder.
        asked: the settings as they were written.
        at_leisure: whether this is a moment for it.
        after_s: how long to wait for the first such moment.
        probe: see `measured`.
    """
    stopped = threading.Event()

    known = recall(home, asked)

    def work() -> None:
        wait_s, attempt = after_s, 1 if known is None else known.attempts + 1
        while not stopped.wait(wait_s):
            wait_s = LOOK_S
            if at_leisure() and _measure(home, asked, _Interrupted(stopped, at_leisure), probe, attempt):
                return

    if (known is not None and known.is_settled) or not is_open(home, asked):
        yield
        return
    thread = threading.Thread(target=work, name="edgecl-accelerator", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class _Interrupted(threading.Event):
    """Set once the daemon is to end, or something else goes on; looked at while a probe runs."""

    def __init__(self, stopped: threading.Event, at_leisure: Callable[[], bool]) -> None:
        super().__init__()
        self._stopped, self._at_leisure = stopped, at_leisure

    def is_set(self) -> bool:
        """Whether to leave off; once so, it stays so."""
        if self._stopped.is_set() or not self._at_leisure():
            self.set()
        return super().is_set()


def _measure(home: Path, asked: BackboneSettings, stopped: threading.Event, probe: Sequence[str], attempt: int) -> bool:
    """Returns whether that was it; else it was left off, and comes another time."""
    log.info("measuring what the graphs run fastest on")
    try:
        found = measure(home, asked, stopped=stopped, probe=probe, attempt=attempt)
    except EdgeclError as error:
        log.warning("what the graphs run fastest on is not known: %s", error)
        return True
    if found is None:
        return False
    runs = runs_text(execution_of(home, asked))
    log.info("measured: %s; from the next start on %s", outcomes_text(found.outcomes), runs)
    return True
