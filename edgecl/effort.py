"""How much is done at a time: less on a board that is hot, or short of power."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecl.board import Board, Readings
from edgecl.config import HeatSettings

# °C at which less is done, by what the board's name holds. The firmware of a Pi slows it down from 80 on, that of a
# Jetson near 100; a PC is often near 90.
LIMITS = {"Raspberry Pi": (78.0, 83.0), "Jetson": (90.0, 95.0)}
OTHERWISE = (95.0, 100.0)
STEADY_S = 60.0  # for so long the board must not have held itself back before all is done again
SLOWED = 2


@dataclass(frozen=True)
class Effort:
    """What is done.

    Attributes:
        every: so many-th frame of a camera is looked at.
        learns: whether anything is learned; what is taught meanwhile is kept, and learned later.
        reason: why not all, in words; None where all is done.
    """

    every: int = 1
    learns: bool = True
    reason: str | None = None


FULL = Effort()


class Governor:
    """Decides on it. A threshold that was passed upwards is passed downwards only some degrees below.

    Attributes:
        slow_at_c, rest_at_c: the thresholds.
    """

    def __init__(self, settings: HeatSettings, model: str = "") -> None:
        """Begin at full effort.

        Args:
            settings: thresholds.
            model: of the board, see `Board.model`; it decides on those that the settings leave open.
        """
        self.slow_at_c, self.rest_at_c = limits(settings, model)
        self._hysteresis_c = settings.hysteresis_c
        self._slow = self._rests = False
        self._held_back_at = float("-inf")

    def step(self, readings: Readings, now: float) -> Effort:
        """The effort at `now`, s, for what was read of the board."""
        found = readings.temperature_c
        self._rests = _above(found, self.rest_at_c, self._hysteresis_c, self._rests)
        self._slow = _above(found, self.slow_at_c, self._hysteresis_c, self._slow)
        if readings.held_back:
            self._held_back_at = now
        held_back = now - self._held_back_at < STEADY_S
        if not (self._rests or self._slow or held_back):
            return FULL
        hot = [] if found is None or not (self._rests or self._slow) else [f"it is {found:.0f} °C hot"]
        return Effort(
            SLOWED, not self._rests, "; ".join((*hot, *readings.held_back)) or "it was held back a moment ago"
        )


def limits(settings: HeatSettings, model: str) -> tuple[float, float]:
    """°C at which a board of this model is slowed, and rests."""
    slow, rest = next((found for name, found in LIMITS.items() if name in model), OTHERWISE)
    return (
        slow if settings.slow_at_c is None else settings.slow_at_c,
        rest if settings.rest_at_c is None else settings.rest_at_c,
    )


def hindrance(settings: HeatSettings, board: Board | None = None) -> str | None:
    """Why something long had better not begin now, in words; None where nothing speaks against it."""
    board = board or Board()
    return Governor(settings, board.model).step(board.read(), time.monotonic()).reason


class Rest:
    """What something long calls between two steps: returns once the board is cool enough to go on."""

    def __init__(
        self,
        settings: HeatSettings,
        told: Callable[[str], None],
        board: Board | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is read yet.

        Args:
            settings: thresholds, and how often the board is looked at.
            told: called with why it waits.
            board: what is read.
            wait: so many s.
        """
        self._told, self._board, self._wait = told, board or Board(), wait
        self._governor, self._every_s = Governor(settings, self._board.model), settings.look_every_s
        self._looked = float("-inf")

    def __call__(self) -> None:
        """Wait, if it has to be."""
        if time.monotonic() - self._looked < self._every_s:
            return
        while not (effort := self._governor.step(self._board.read(), time.monotonic())).learns:
            self._told(f"resting: {effort.reason}")
            self._wait(self._every_s)
        self._looked = time.monotonic()


def _above(found: float | None, threshold: float, hysteresis: float, was: bool) -> bool:
    return found is not None and found >= (threshold - hysteresis if was else threshold)
