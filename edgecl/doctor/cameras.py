"""The cameras: whether each gives a picture. One that a daemon looks through is not taken from it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from edgecl.board import Board
from edgecl.cameras import open_camera, redact
from edgecl.config import CameraSettings, Settings
from edgecl.daemon import note
from edgecl.daemon.note import Note
from edgecl.doctor.finding import Finding
from edgecl.errors import DeviceRefused, EdgeclError
from edgecl.remote import Device

USB = "/dev/video0"
RIBBON = "csi://0"
WITH_RIBBON = ("Raspberry Pi", "Jetson")
PATIENCE_S = 10.0
_CHECK = "check its cable, and whether another program uses it"


def camera_findings(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Those that the daemon of this home looks through, else those of its settings, else the first that is here."""
    running = note.running(folder)
    if running is not None:
        yield _of_daemon(running)
        return
    urls = [camera.url for camera in settings.cameras]
    for url in urls:
        yield _pushed() if url == "browser:" else _one(url, settings.camera)
    if not urls:
        yield _any(settings.camera)


def _of_daemon(running: Note) -> Finding:
    said = "the daemon looks through them"
    try:
        with Device(running.address, running.token).asked("/readyz", patience_s=PATIENCE_S):
            return Finding("camera", "ok", f"{said}: each gave a picture lately")
    except DeviceRefused as error:
        return Finding("camera", "warn", f"{said}: {_reasons(error)}", _CHECK)


def _reasons(error: DeviceRefused) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return "; ".join(json.loads(error.said)["reasons"])
    return str(error)


def _pushed() -> Finding:
    return Finding("camera", "ok", "browser: waits for a page that sends its camera's pictures")


def _any(settings: CameraSettings) -> Finding:
    """The first that gives a picture, where none is named."""
    candidates = [RIBBON] if any(name in Board().model for name in WITH_RIBBON) else []
    candidates += [USB] if Path(USB).exists() else []
    found = [_one(url, settings) for url in candidates]
    remedy = "plug one in, or name another: rtsp://…, a video, sample://, or browser: for the camera of a phone"
    none = Finding("camera", "warn", f"none is named in edgecl.toml, and there is no {USB}", remedy)
    return next((one for one in found if one.state == "ok"), found[0] if found else none)


def _one(url: str, settings: CameraSettings) -> Finding:
    try:
        frames = open_camera(url, settings)
        with contextlib.closing(frames):
            frame = next(iter(frames), None)
    except EdgeclError as error:
        return Finding("camera", "warn", str(error), _CHECK)
    if frame is None:
        return Finding("camera", "warn", f"{redact(url)} gives no picture", _CHECK)
    shape = frame.image.shape
    return Finding("camera", "ok", f"{redact(url)} gives {shape[1]} × {shape[0]} px")
