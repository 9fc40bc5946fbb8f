"""The units, which are files beside this one, and what of them depends on the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from edgecl.errors import ServiceRefused

SERVICE, CONSOLIDATION, TIMER = "edgecl.service", "edgecl-consolidation.service", "edgecl-consolidation.timer"
JETSON = "jetson.conf"
USER = "edgecl"
PROGRAM = Path("/opt/edgecl/bin/edgecl")  # as the files have it
_PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]+")  # needs no quotes in a unit


@dataclass(frozen=True)
class Machine:
    """What the units have to suit.

    Raises:
        ServiceRefused: a path that a unit cannot hold.

    Attributes:
        program: the command edgecl, as the service is to start it.
        trains: whether the program can consolidate.
        jetson: whether this is one.
    """

    program: Path = PROGRAM
    trains: bool = False
    jetson: bool = False

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(str(self.program)):
            raise ServiceRefused(
                f"found {str(self.program)!r}, expected an absolute path of letters, digits and _ . / + @ -; install "
                "edgecl in another folder, such as /opt/edgecl"
            )


def source(name: str) -> str:
    """A unit as it lies beside this file."""
    return (files("edgecl.systemd") / "units" / name).read_text("utf-8")


def units(machine: Machine) -> dict[str, str]:
    """Path below the folder of units → content."""
    found = {SERVICE: _started_by(machine, SERVICE)}
    if machine.jetson:
        found[f"{SERVICE}.d/{JETSON}"] = source(JETSON)
    if machine.trains:
        found |= {CONSOLIDATION: _started_by(machine, CONSOLIDATION), TIMER: source(TIMER)}
    return found


def _started_by(machine: Machine, name: str) -> str:
    return source(name).replace(str(PROGRAM), str(machine.program))
