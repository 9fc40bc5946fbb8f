"""The units, which are files beside this one, and what of them depends on the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from edgecl.config import SERVICE_HOME
from edgecl.errors import ServiceRefused

SERVICE, CONSOLIDATION, TIMER = "edgecl.service", "edgecl-consolidation.service", "edgecl-consolidation.timer"
JETSON = "jetson.conf"
USER = "edgecl"
PROGRAM = Path("/opt/edgecl/bin/edgecl")  # as the files have it
_PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]+")  # needs no quotes in a unit
_GROUPS = re.compile(r"^SupplementaryGroups=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    """What the units have to suit.

    Raises:
        ServiceRefused: a path that a unit cannot hold.

    Attributes:
        program: the command edgecl, as the service is to start it.
        home: of the service.
        groups: that exist here; a unit that names another one does not start.
        trains: whether the program can consolidate.
        jetson: whether this is one.
    """

    program: Path = PROGRAM
    home: Path = SERVICE_HOME
    groups: frozenset[str] = field(default_factory=frozenset)
    trains: bool = False
    jetson: bool = False

    def __post_init__(self) -> None:
        for path in (self.program, self.home):
            if not _PLAIN.fullmatch(str(path)):
                raise ServiceRefused(
                    f"found {str(path)!r}, expected an absolute path of letters, digits and _ . / + @ -; choose another"
                )


def source(name: str) -> str:
    """A unit as it lies beside this file."""
    return (files("edgecl.systemd") / "units" / name).read_text("utf-8")


def units(machine: Machine) -> dict[str, str]:
    """Path below the folder of units → content."""
    found = {SERVICE: _suited(source(SERVICE), machine)}
    if machine.jetson:
        found[f"{SERVICE}.d/{JETSON}"] = source(JETSON)
    if machine.trains:
        found |= {CONSOLIDATION: _suited(source(CONSOLIDATION), machine), TIMER: source(TIMER)}
    return found


def _suited(text: str, machine: Machine) -> str:
    text = text.replace(str(PROGRAM), str(machine.program))
    if machine.home != SERVICE_HOME:  # which systemd makes itself
        text = re.sub(r"^StateDirectory=.*\n", f"ReadWritePaths={machine.home}\n", text, flags=re.MULTILINE)
        text = re.sub(r"^StateDirectoryMode=.*\n", "", text, flags=re.MULTILINE)
        text = text.replace("EDGECL_HOME=%S/edgecl", f"EDGECL_HOME={machine.home}")
        text = text.replace("\n[Service]", f"RequiresMountsFor={machine.home}\n\n[Service]", 1)
    return _GROUPS.sub(lambda found: _existing(found[1], machine.groups), text)


def _existing(named: str, groups: frozenset[str]) -> str:
    return "SupplementaryGroups=" + " ".join(name for name in named.split() if name in groups)
