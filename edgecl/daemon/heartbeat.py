"""Signs of life of what goes round and round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Heartbeat:
    """Of one loop.

    Attributes:
        of: what goes round, in words.
        at: gives when it did so last, s, monotonic; ahead of now while it is at something that may take longer.
        limit_s: it hangs if it takes longer than that.
    """

    of: str
    at: Callable[[], float]
    limit_s: float


def silent(heartbeats: Iterable[Heartbeat]) -> str | None:
    """What hangs, in words; None while all beat."""
    for one in heartbeats:
        silent_s = time.monotonic() - one.at()
        if silent_s > one.limit_s:
            return f"{one.of} has been silent for {silent_s:.0f} s"
    return None
