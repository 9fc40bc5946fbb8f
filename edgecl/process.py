"""This process: the memory that it took, and how it makes way for others."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path


def peak_rss_mb() -> float:
    """Most memory that this process held so far, MB. Not from getrusage: that counts its parent before exec, too."""
    return _told_mb("VmHWM:")


def rss_mb() -> float:
    """Memory that this process holds now, MB; the most that it held where the system does not tell."""
    return _told_mb("VmRSS:")


def _told_mb(name: str) -> float:
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:  # not on Linux, where bytes are counted
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith(name))
    return int(kibibytes) * 1024 / 1e6


def make_way(nice: int) -> None:
    """Let other programs go first. Call it before PyTorch is imported.

    The priority falls to at least `nice`, 0 to 19, where the system allows it; and threads that wait for each other
    sleep: by default they spin, which slows this process and others many times as soon as a core is shared.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
