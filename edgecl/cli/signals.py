"""Signals that ask a process to end, noted for whoever reads its keys."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """What came; use `noted`.

    Attributes:
        came: the signal that asked this process to end, or None. It is for the reader of keys to obey: an exception
            raised wherever the process happens to be can be lost there, or leave a lock taken.
    """

    def __init__(self) -> None:
        self.came: int | None = None

    @classmethod
    @contextlib.contextmanager
    def noted(cls) -> Iterator[Signals]:
        """Note them until the block ends; a second one ends the process at once."""
        signals = cls()
        handlers = {number: signal.signal(number, signals._note) for number in _ENDING}
        try:
            yield signals
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came is not None:
            raise SystemExit(128 + number)
        self.came = number
