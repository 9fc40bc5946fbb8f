"""Is this machine, with this home, fit to run? One finding after the other, each with a remedy where it needs one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecl.config import Settings, load_settings
from edgecl.doctor import contents, doors, machine
from edgecl.doctor.cameras import camera_findings
from edgecl.doctor.finding import Finding, failure, guarded, to_do
from edgecl.doctor.graphs import backbone_findings
from edgecl.errors import EdgeclError

__all__ = ["Finding", "examine", "to_do"]


def examine(folder: Path) -> Iterator[Finding]:
    """Look at the machine, at the home in `folder`, and at what they do together. Changes nothing that was taught."""
    yield machine.versions()
    yield machine.runtime()
    settings = Settings()
    try:
        settings = load_settings(folder)
        file = folder / "edgecl.toml"
        yield Finding("settings", "ok", f"{file}" if file.is_file() else "the defaults")
    except EdgeclError as error:
        yield failure("settings", error)
    yield machine.board(settings)
    yield guarded("service", lambda: machine.service(folder))
    yield guarded("home", lambda: contents.home(folder))
    yield guarded("disk", lambda: contents.disk(folder))
    yield guarded("memory", lambda: contents.memory(folder))
    yield guarded("head", lambda: contents.head(settings))
    yield guarded("releases", lambda: contents.releases(folder, settings))
    yield guarded("page", lambda: doors.page(settings.server))
    yield guarded("broker", lambda: doors.broker(settings.mqtt))
    yield from backbone_findings(folder, settings)
    yield from camera_findings(folder, settings)
