"""This machine, as far as it decides what is fastest on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edgecl.board import Board

CPUS, CPUINFO = Path("/sys/devices/system/cpu"), Path("/proc/cpuinfo")


def cores() -> int:
    """Cores that this process may use; two threads of one core count once."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len({_text(CPUS / f"cpu{number}/topology/thread_siblings_list") or str(number) for number in allowed})


def processor() -> str:
    """What the board is called, or its processor where nothing tells, as on a PC."""
    named = (line.partition(":")[2].strip() for line in _text(CPUINFO).splitlines() if line.startswith("model name"))
    return Board().model or next(named, "") or platform.machine()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
