"""Put the service on a machine, and take it off again. What was taught stays where it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecl.board import Board
from edgecl.config import CameraEntry, load_settings
from edgecl.errors import ConfigRefused, ServiceRefused
from edgecl.files import write_durably
from edgecl.systemd import units as texts
from edgecl.systemd.host import Host
from edgecl.systemd.state import home_of, look
from edgecl.systemd.units import CONSOLIDATION, SERVICE, TIMER, USER, Machine

SYSUSERS = Path("/etc/sysusers.d/edgecl.conf")
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  # from the service, by its own unit
OF_A_HOME = ("edgecl.db", "edgecl.toml", "releases")  # one of them is in every home that is not empty
FIRST_LINE = "# Settings of edgecl. After a change: sudo systemctl reload edgecl\n"


@dataclass(frozen=True)
class Installed:
    """What was put where.

    Attributes:
        units: files, in the order in which they were written.
        home: of the service.
        consolidates: whether it trains the upper backbone at night.
        address: where it answers; None where it was not started.
    """

    units: tuple[Path, ...]
    home: Path
    consolidates: bool
    address: str | None


def install(host: Host, program: Path, home: Path, cameras: Sequence[CameraEntry]) -> Installed:
    """Write the units, make their user and home, and start the service where systemd is in charge. May be repeated.

    Args:
        host: the machine.
        program: the command edgecl on it.
        home: of the service; only its settings are written to, and only by `cameras`.
        cameras: to look through, where its settings name none.

    Raises:
        ServiceRefused: not root, a program that the service could not run, or systemd refused.
        ConfigRefused: the settings name other cameras.
    """
    _expect_root()
    _expect_in_reach(host, program)
    machine = Machine(program, home, host.groups(), _trains(host, program), host.runs and "Jetson" in Board().model)
    found = texts.units(machine)
    written = [_write(host.path(SYSUSERS), texts.source("edgecl.sysusers"))]
    host.make_user(SYSUSERS.name)
    _settle_in(host, home, cameras)
    _take_away(host, [path for path in _ours(host) if str(path.relative_to(host.units())) not in found])
    written += [_write(host.units() / name, text) for name, text in found.items()]
    begins = [SERVICE, *([TIMER] if machine.trains else [])]
    if not host.runs:
        host.systemctl("enable", *begins)
        return Installed(tuple(written), home, machine.trains, None)
    host.systemctl("daemon-reload")
    host.systemctl("enable", *begins)
    host.systemctl("restart", *begins)
    return Installed(tuple(written), home, machine.trains, look(host).address)


def uninstall(host: Host, purge: bool) -> Path:
    """Stop the service and take its units away.

    Args:
        host: the machine.
        purge: whether its home, with all that was taught, is deleted too.

    Returns:
        Its home.

    Raises:
        ServiceRefused: not root, no service, or systemd refused.
    """
    _expect_root()
    home = home_of(host)
    _take_away(host, _ours(host))
    host.path(SYSUSERS).unlink(missing_ok=True)
    if host.runs:
        host.systemctl("daemon-reload")
    if purge:
        for folder in (home, Path("/var/cache/edgecl")):
            if host.path(folder).exists():
                shutil.rmtree(host.path(folder))
    return home


def program_of_this() -> Path:
    """The command edgecl that runs: by the name that stays when its environment is exchanged for a newer one."""
    called = Path(sys.argv[0]).absolute()
    while called.is_symlink():
        called = called.parent / called.readlink()
    return called if called.name == "edgecl" else Path(sys.prefix) / "bin" / "edgecl"


def _expect_root() -> None:
    if os.geteuid() != 0:
        raise ServiceRefused("found an ordinary user, expected root, who may change services; run it with: sudo")


def _expect_in_reach(host: Host, program: Path) -> None:
    """Without it the service would fail with words that nobody understands.

    Raises:
        ServiceRefused: it is not there, or hidden from the service's user.
    """
    remedy = "make an environment for it: sudo python3 -m venv /opt/edgecl, and install edgecl there"
    there = host.path(program)
    interpreter = there.parent / "python"  # in an environment a link, which an image may hold for itself alone
    for path in (there, *([interpreter.resolve()] if host.runs and interpreter.exists() else [])):
        if not path.is_file():
            raise ServiceRefused(f"found no {path}, expected the command edgecl; {remedy}")
        on_machine = "/" / path.relative_to(host.root)
        if any(on_machine.is_relative_to(hidden) for hidden in HIDDEN):
            raise ServiceRefused(f"found {on_machine}, expected a place that the service sees, as /opt is; {remedy}")
        below = [one for one in (path, *path.parents) if one != host.root and one.is_relative_to(host.root)]
        shut = next((one for one in below if not one.stat().st_mode & 0o001), None)
        if shut is not None:
            raise ServiceRefused(f"found {shut} to be closed to other users; open it with: chmod o+rx {shut}")


def _trains(host: Host, program: Path) -> bool:
    """Whether PyTorch is beside the program."""
    return any(host.path(program).parent.parent.glob("lib/python3*/site-packages/torch/__init__.py"))


def _settle_in(host: Host, home: Path, cameras: Sequence[CameraEntry]) -> None:
    """Make the home, and note its cameras."""
    user, group = host.ids(USER)
    folder, settings = host.path(home), host.path(home) / "edgecl.toml"
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in OF_A_HOME):
        raise ServiceRefused(f"found other things in {folder}, expected a home or an empty folder; name another")
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    os.chown(folder, user, group)
    if not cameras:
        return
    had = load_settings(folder).cameras
    if had:
        if [one.url for one in had] == [one.url for one in cameras]:
            return
        raise ConfigRefused(
            f"found {settings} to name cameras already, expected none where --camera is given; change them there, "
            "then: sudo systemctl reload edgecl"
        )
    text = settings.read_text("utf-8") if settings.exists() else FIRST_LINE
    for camera in cameras:
        text += f"\n[[cameras]]\nurl = {json.dumps(camera.url, ensure_ascii=False)}\n"
    write_durably(settings, text.encode("utf-8"))
    os.chown(settings, user, group)
    load_settings(folder)


def _ours(host: Host) -> list[Path]:
    """Unit files that an installation wrote, which are there."""
    names = (SERVICE, f"{SERVICE}.d/{texts.JETSON}", CONSOLIDATION, TIMER)
    return [path for name in names if (path := host.units() / name).is_file()]


def _take_away(host: Host, paths: Sequence[Path]) -> None:
    """Stop units, and delete their files."""
    begun = [path.name for path in paths if path.name in (SERVICE, TIMER)]
    if begun:
        host.systemctl("disable", *(["--now"] if host.runs else []), *begun)
    if host.runs and any(path.name == CONSOLIDATION for path in paths):
        host.systemctl("stop", CONSOLIDATION)
    for path in paths:
        path.unlink()
        if path.parent != host.units() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _write(path: Path, text: str) -> Path:
    """For everyone to read, as all units are."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_durably(path, text.encode("utf-8"))
    path.chmod(0o644)
    return path
