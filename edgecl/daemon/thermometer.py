"""Looks at the board now and then, on a thread of its own: its commands may take their time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgecl.board import Board, Readings
from edgecl.config import HeatSettings
from edgecl.effort import FULL, Effort, Governor

WORTH_TELLING_C = 2.0  # a change that is shown


class Thermometer:
    """What was read last, and the effort that follows from it.

    Attributes:
        readings: of the board.
        effort: at which all is done.
    """

    def __init__(
        self, settings: HeatSettings, changed: Callable[[Effort, Readings], None], board: Board | None = None
    ) -> None:
        """Read once, and then again and again.

        Args:
            settings: thresholds.
            changed: called at once, and after another effort or temperature that is worth telling.
            board: what is read.
        """
        self._settings, self._changed, self._board = settings, changed, board or Board()
        self._governor = Governor(settings, self._board.model)
        self.readings, self.effort = Readings(), FULL
        self._told: float | None = None
        self._stop = threading.Event()
        self._look()
        changed(self.effort, self.readings)
        self._thread = threading.Thread(target=self._run, name="thermometer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._settings.look_every_s):
            if self._look():
                self._changed(self.effort, self.readings)

    def _look(self) -> bool:
        """Read; returns whether that is worth telling."""
        before: Effort = self.effort
        self.readings = self._board.read()
        self.effort = self._governor.step(self.readings, time.monotonic())
        found = self.readings.temperature_c
        moved = (found is None) != (self._told is None) or (
            found is not None and self._told is not None and abs(found - self._told) >= WORTH_TELLING_C
        )
        if moved:
            self._told = found
        return moved or self.effort != before
