"""Single keys from a terminal, which is put back as it was in every case."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import sys
import termios
import tty
from collections.abc import Iterator

_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?<]*[ -/]*[@-~]|O.)")  # what arrow and function keys send


class Keyboard:
    """Keys as they are pressed; use `open`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Keyboard]:
        """Read keys from standard input, unechoed, until the block ends."""
        handle = sys.stdin.fileno()
        before = termios.tcgetattr(handle)
        try:
            tty.setcbreak(handle)
            single = termios.tcgetattr(handle)
            single[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the shell with our terminal
            termios.tcsetattr(handle, termios.TCSADRAIN, single)
            yield cls(handle)
        finally:
            termios.tcsetattr(handle, termios.TCSAFLUSH, before)

    def pressed(self) -> list[str]:
        """The keys since the last call; an arrow or function key is none."""
        keys: list[str] = []
        while select.select([self._handle], [], [], 0.0)[0]:
            data = os.read(self._handle, 1024)
            if not data:  # the terminal is gone
                return [*keys, "q"]
            keys += self._decoder.decode(_SEQUENCE.sub(b"", data))
        return keys
