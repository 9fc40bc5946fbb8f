"""Is this machine, with this home, fit to run? One finding after the other, each with a remedy where it needs one."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgecl import __version__, releases
from edgecl.backbone import Backbone
from edgecl.board import Board
from edgecl.config import CameraSettings, Settings, load_settings
from edgecl.effort import limits
from edgecl.errors import CameraError, EdgeclError, StoreBusy, StoreUnwritable
from edgecl.golden import check_golden
from edgecl.heads import fit_of
from edgecl.manifest import MANIFEST_FILE
from edgecl.memory.backup import DATABASE
from edgecl.memory.store import Store
from edgecl.releases.journal import JOURNAL_FILE
from edgecl.releases.slots import read_journal, release_folder, unsettled

FREE_MIN, FREE_WARN = 50 * 10**6, 500 * 10**6  # bytes
EMBED_SLOW_MS = 200.0  # a live view needs five frames a second
CAMERA = "/dev/video0"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        check: what was looked at.
        state: 'ok', 'warn' (works, but not as it should) or 'fail'.
        found: what was found.
        remedy: what to do, or None.
    """

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str | None = None


def examine(folder: Path) -> Iterator[Finding]:
    """Look at the machine, at the home in `folder`, and at what they do together. Changes nothing that was taught."""
    yield _versions()
    yield _runtime()
    settings = Settings()
    try:
        settings = load_settings(folder)
        yield Finding("settings", "ok", f"{folder / 'edgecl.toml'}" if _has_settings(folder) else "the defaults")
    except EdgeclError as error:
        yield _failure("settings", error)
    yield _board(settings)
    yield _guarded("home", lambda: _home(folder))
    yield _guarded("disk", lambda: _disk(folder))
    yield _guarded("memory", lambda: _memory(folder))
    yield _guarded("head", lambda: _head(settings))
    yield _guarded("releases", lambda: _releases(folder, settings))
    yield from _backbone(folder, settings)
    yield _camera(settings.camera)


def _versions() -> Finding:
    import cv2

    parts = {
        "edgecl": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
        "SQLite": sqlite3.sqlite_version,
    }
    return Finding("versions", "ok", ", ".join(f"{name} {version}" for name, version in parts.items()))


def _runtime() -> Finding:
    import onnxruntime as ort

    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in ort.get_available_providers())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "runtime", "ok", f"ONNX Runtime {ort.__version__} on {providers}; {cores} cores, {platform.machine()}"
    )


def _board(settings: Settings) -> Finding:
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


def _has_settings(folder: Path) -> bool:
    return (folder / "edgecl.toml").is_file()


def _home(folder: Path) -> Finding:
    if not folder.exists():
        return Finding("home", "ok", f"{folder} is not there yet; the first lesson makes it")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(
            "home", "fail", f"{folder} cannot be read by this user", "give it to this user: chown, chmod 700"
        )
    if not os.access(folder, os.W_OK):
        return Finding(
            "home",
            "warn",
            f"{folder} is read-only: nothing can be taught",
            "mount its disk for writing, or give it to this user",
        )
    if mode & 0o077:
        remedy = f"chmod 700 {folder}"
        return Finding(
            "home", "warn", f"{folder} is open to other users (mode {mode:03o}); it shows what the camera saw", remedy
        )
    return Finding("home", "ok", f"{folder}, for its owner alone")


def _disk(folder: Path) -> Finding:
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e6:,.0f} MB free"
    if free < FREE_WARN:
        return Finding("disk", "fail" if free < FREE_MIN else "warn", found, f"free some space on the disk of {place}")
    return Finding("disk", "ok", found)


def _memory(folder: Path) -> Finding:
    if not any((folder / f"{DATABASE}{end}").exists() for end in ("", "-wal")):
        return Finding("memory", "ok", "nothing was taught yet")
    beside = ""
    try:
        opened = Store(folder)  # for writing: brings a memory of an older version up to date
    except StoreBusy:
        opened, beside = Store(folder, writable=False), "; another process is writing to it"
    except StoreUnwritable:
        opened, beside = Store(folder, writable=False), "; it can only be read"
    with opened as store:
        faults = store.check()
        if faults:
            remedy = "put back a backup with: edgecl restore BACKUP"
            return Finding("memory", "fail", f"{len(faults)} faults: {'; '.join(faults[:3])}", remedy)
        count = sum(store.counts().values())
        found = f"sound; classes: {len(store.classes())}, examples: {count}, revision {store.revision}"
    return Finding("memory", "ok", found + beside)


def _backbone(folder: Path, settings: Settings) -> Iterator[Finding]:
    try:
        backbone = Backbone(releases.current(folder), settings.backbone)
    except EdgeclError as error:
        yield _failure("backbone", error)
        return
    name = f"{backbone.manifest.name} in {backbone.precision} on {backbone.provider.removesuffix('ExecutionProvider')}"
    yield Finding("backbone", "ok", f"{name}, digests as declared")
    if (folder / DATABASE).exists():
        yield _guarded("trunk", lambda: _trunk(folder, backbone))
    yield _guarded("golden", lambda: _golden(backbone, releases.current(folder)))
    yield _guarded("latency", lambda: _latency(backbone))


def _releases(folder: Path, settings: Settings) -> Finding:
    if not (folder / JOURNAL_FILE).exists():
        return Finding("releases", "ok", "no other came since the backbone was exported, or installed with the wheel")
    journal = read_journal(folder)
    entry, trial = journal.current, journal.trial
    apart = unsettled(folder, journal)
    if apart is not None:
        return Finding("releases", "warn", apart, "the next command that writes settles it")
    if not (release_folder(folder, entry.number) / MANIFEST_FILE).is_file():
        remedy = "go back with: edgecl release rollback"
        return Finding("releases", "fail", f"the folder of release {entry.number}, the active one, is gone", remedy)
    found = f"release {entry.number} is {entry.state}: {entry.reason}"
    if trial is None:
        return Finding("releases", "ok", found)
    rules = settings.release
    found = f"release {entry.number} is in trial: {trial.frames} of {rules.trial_frames} frames in "
    found += f"{trial.seconds / 60:.1f} of {rules.trial_minutes:g} minutes"
    if trial.starts:
        remedy = f"after {rules.starts_max} such starts the release before comes back"
        return Finding("releases", "warn", f"{found}; {trial.starts} starts have not become healthy", remedy)
    return Finding("releases", "ok", found)


def _head(settings: Settings) -> Finding:
    fit_of(settings.head.name)
    return Finding("head", "ok", settings.head.name)


def _trunk(folder: Path, backbone: Backbone) -> Finding:
    with Store(folder, writable=False) as store:
        found = store.trunk()
    if found in (None, backbone.trunk_digest):
        return Finding("trunk", "ok", f"{backbone.trunk_digest:.12}…, that of the memory")
    return Finding(
        "trunk",
        "fail",
        f"the memory was made by trunk {found:.12}…, the backbone has {backbone.trunk_digest:.12}…",
        "set the precision or export the backbone that it was taught with, or forget all classes and teach them anew",
    )


def _golden(backbone: Backbone, release: Path) -> Finding:
    result = check_golden(backbone, release)
    found = f"{result.pictures} pictures answered as where it was exported: least cosine {result.cosine_min:.5f}, "
    found += f"{100 * result.latents_equal:.1f} % of the latents' numbers the same"
    return Finding("golden", "ok", found)


def _latency(backbone: Backbone) -> Finding:
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    backbone.see(picture)
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        backbone.see(picture)
        times.append(1000 * (time.perf_counter() - begun))
    median = statistics.median(times)
    found = f"{median:.1f} ms from a 640 × 480 picture to its embedding"
    if median > EMBED_SLOW_MS:
        return Finding("latency", "warn", found, "use int8, a smaller backbone, or stop what else runs on this machine")
    return Finding("latency", "ok", found)


def _camera(settings: CameraSettings) -> Finding:
    from edgecl.cameras import open_camera

    if not Path(CAMERA).exists():
        remedy = "plug one in, or name another source, such as rtsp://…, a video or sample://"
        return Finding("camera", "warn", f"no {CAMERA}", remedy)
    frames = open_camera(CAMERA, settings)
    try:
        frame = next(iter(frames))
    except CameraError as error:
        return Finding("camera", "warn", str(error), "check its cable, and whether another program uses it")
    finally:
        frames.close()
    return Finding("camera", "ok", f"{CAMERA} gives {frame.image.shape[1]} × {frame.image.shape[0]} px")


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except EdgeclError as error:
        return _failure(check, error)
    except OSError as error:
        return Finding(check, "fail", str(error), "check the disk and the rights of the folder")


def _failure(check: str, error: EdgeclError) -> Finding:
    return Finding(check, "fail", str(error))
