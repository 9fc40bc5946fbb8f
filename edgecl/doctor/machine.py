"""The machine: what is installed on it, the board, the service."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import numpy as np

from edgecl import __version__
from edgecl.board import Board
from edgecl.config import SERVICE_HOME, Settings
from edgecl.doctor.finding import Finding
from edgecl.effort import limits
from edgecl.systemd import host
from edgecl.systemd.host import Host
from edgecl.systemd.state import is_on_this_machine, look


def versions() -> Finding:
    """Of what it all rests on."""
    import cv2

    parts = {
        "edgecl": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
        "SQLite": sqlite3.sqlite_version,
    }
    return Finding("versions", "ok", ", ".join(f"{name} {version}" for name, version in parts.items()))


def runtime() -> Finding:
    """What computes, and on what."""
    import onnxruntime as ort

    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in ort.get_available_providers())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "runtime", "ok", f"ONNX Runtime {ort.__version__} on {providers}; {cores} cores, {platform.machine()}"
    )


def board(settings: Settings) -> Finding:
    """How hot it is, and whether it holds itself back."""
    board = Board()
    readings, (slow_at_c, _) = board.read(), limits(settings.heat, board.model)
    found = readings.temperature_c
    said = f"{board.model or platform.machine()}, {'no thermometer' if found is None else f'{found:.0f} °C'}"
    if readings.held_back:
        remedy = "use the board's own power supply, and cool it: a heat sink, a fan, some air"
        return Finding("board", "warn", f"{said}; {', '.join(readings.held_back)}", remedy)
    if found is not None and found >= slow_at_c:
        return Finding("board", "warn", f"{said}: frames are left out", "cool it: a heat sink, a fan, some air")
    return Finding("board", "ok", f"{said}, not held back")


def service(folder: Path) -> Finding:
    """How the service is doing, where one looks after this home."""
    if not host.IN_CHARGE.is_dir():
        return Finding("service", "ok", "none: systemd is not in charge of this machine")
    if folder.absolute() != SERVICE_HOME or not is_on_this_machine():
        return Finding("service", "ok", "none looks after this home")
    found = look(Host.this())
    if found.address is None or not found.healthy:
        return Finding("service", "warn", found.state, "see what it says: sudo edgecl service logs")
    return Finding("service", "ok", f"{found.state}, answers at {found.address}")
