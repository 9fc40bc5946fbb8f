"""Put the service on a machine, and take it off again. What was taught stays where it is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecl.board import Board
from edgecl.config import SERVICE_HOME, CameraEntry, parse_settings
from edgecl.errors import ConfigRefused, ServiceRefused
from edgecl.files import write_durably
from edgecl.systemd import units as texts
from edgecl.systemd.host import Host
from edgecl.systemd.state import expect_installed, is_installed, look
from edgecl.systemd.units import CONSOLIDATION, SERVICE, TIMER, USER, Machine

SYSUSERS = Path("/etc/sysusers.d/edgecl.conf")
CACHE = Path("/var/cache/edgecl")
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  # from the service, by its own unit
FIRST_LINE = "# Settings of edgecl. After a change: sudo systemctl reload edgecl\n"


@dataclass(frozen=True)
class Installed:
    """What was put where.

    Attributes:
        units: files, in the order in which they were written.
        consolidates: whether it trains the upper backbone at night.
        address: where it answers; None where it was not started.
    """

    units: tuple[Path, ...]
    consolidates: bool
    address: str | None


def install(host: Host, program: Path, cameras: Sequence[CameraEntry]) -> Installed:
    """Write the units, make their user and home, and start the service where systemd is in charge. May be repeated.

    Args:
        host: the machine.
        program: the command edgecl on it.
        cameras: to look through, where its settings name none.

    Raises:
        ServiceRefused: not root, a program or a camera that the service could not see, or systemd or the disk refused.
        ConfigRefused: the settings name other cameras, or cannot be used.
    """
    with _as_root():
        _expect_in_reach(host, program)
        machine = Machine(program, _trains(host, program), "Jetson" in Board().model)
        found = texts.units(machine)
        settings = _settings(host, [_in_reach(camera) for camera in cameras])
        if host.runs and is_installed(host):
            host.systemctl("stop", SERVICE)
        written = [_write(host.path(SYSUSERS), texts.source("edgecl.sysusers"))]
        host.make_user(SYSUSERS.name)
        _settle_in(host, settings)
        _take_away(host, [path for path in _ours(host) if str(path.relative_to(host.units())) not in found])
        written += [_write(host.units() / name, text) for name, text in found.items()]
        begins = [SERVICE, *([TIMER] if machine.trains else [])]
        if not host.runs:
            host.systemctl("enable", *begins)
            return Installed(tuple(written), machine.trains, None)
        host.systemctl("daemon-reload")
        host.systemctl("enable", *begins)
        host.systemctl("restart", *begins)
        return Installed(tuple(written), machine.trains, look(host).address)


def uninstall(host: Host, purge: bool) -> None:
    """Stop the service and take its units away; the user stays, so that no other gets its number.

    Args:
        host: the machine.
        purge: whether its home, with all that was taught, is deleted too, also of one that was taken away before.

    Raises:
        ServiceRefused: not root, no service, or systemd or the disk refused.
    """
    with _as_root():
        if not purge:
            expect_installed(host)
        _take_away(host, _ours(host))
        host.path(SYSUSERS).unlink(missing_ok=True)
        if host.runs:
            host.systemctl("daemon-reload")
        for folder in (host.path(SERVICE_HOME), host.path(CACHE)) if purge else ():
            _delete(folder)


def program_of_this() -> Path:
    """The command edgecl that runs: by the name that stays when its environment is exchanged for a newer one."""
    called = Path(sys.argv[0]).absolute()
    while called.is_symlink():
        called = called.parent / called.readlink()
    return called if called.name == "edgecl" else Path(sys.prefix) / "bin" / "edgecl"


@contextlib.contextmanager
def _as_root() -> Iterator[None]:
    """Folders that others pass through are made open to them, and the disk's refusals are put into words.

    Raises:
        ServiceRefused: see there.
    """
    if os.geteuid() != 0:
        raise ServiceRefused("found an ordinary user, expected root, who may change services; run it with: sudo")
    before = os.umask(0o022)
    try:
        yield
    except OSError as error:
        raise ServiceRefused(
            f"{error.filename} could not be changed: {error.strerror}; check it, and the disk"
        ) from error
    finally:
        os.umask(before)


def _expect_in_reach(host: Host, program: Path) -> None:
    """Without it the service would fail with words that nobody understands.

    Raises:
        ServiceRefused: it is not there, or hidden from the service's user.
    """
    remedy = "make an environment for it: sudo python3 -m venv /opt/edgecl, and install edgecl there"
    there = host.path(program)
    interpreter = there.parent / "python"
    for path in (there, *([interpreter.resolve()] if interpreter.exists() else [])):
        if not path.is_file():
            raise ServiceRefused(f"found no {path}, expected the command edgecl; {remedy}")
        if _is_hidden("/" / path.relative_to(host.root) if path.is_relative_to(host.root) else path):
            raise ServiceRefused(f"found {path}, expected a place that the service sees, as /opt is; {remedy}")
        below = [one for one in (path, *path.parents) if one != host.root and one.is_relative_to(host.root)]
        shut = next((one for one in below if not one.stat().st_mode & 0o001), None)
        if shut is not None:
            raise ServiceRefused(f"found {shut} to be closed to other users; open it with: chmod o+rx {shut}")


def _is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in HIDDEN)


def _in_reach(camera: CameraEntry) -> CameraEntry:
    """A camera whose address the service, which runs in another folder, understands.

    Raises:
        ServiceRefused: a file that is hidden from the service's user.
    """
    if camera.url.isdigit() or not Path(camera.url).exists():  # no file, or none yet, which the daemon waits for
        return camera
    path = Path(camera.url).absolute()
    if _is_hidden(path):
        raise ServiceRefused(f"found {path}, expected a place that the service sees, such as /srv; move it")
    return camera.model_copy(update={"url": str(path)})


def _trains(host: Host, program: Path) -> bool:
    """Whether PyTorch is beside the program."""
    return any(host.path(program).parent.parent.glob("lib/python3*/site-packages/torch/__init__.py"))


def _settings(host: Host, cameras: Sequence[CameraEntry]) -> str | None:
    """What edgecl.toml has to be for these cameras; None where it may stay as it is.

    Raises:
        ConfigRefused: it names other ones, or cannot be used.
    """
    path = host.path(SERVICE_HOME) / "edgecl.toml"
    text = path.read_text("utf-8") if path.exists() else FIRST_LINE
    had = parse_settings(text, path).cameras
    if not cameras or [camera.url for camera in had] == [camera.url for camera in cameras]:
        return None  # names may have been given there since
    if had:
        raise ConfigRefused(
            f"found {path} to name cameras already, expected none where --camera is given; change them there, then: "
            "sudo systemctl reload edgecl"
        )
    for camera in cameras:
        name = f'name = "{camera.name}"\n' if camera.name else ""
        text += f"\n[[cameras]]\n{name}url = {json.dumps(camera.url, ensure_ascii=False)}\n"
    parse_settings(text, path)
    return text


def _settle_in(host: Host, settings: str | None) -> None:
    """Make the home, or take it over, and note its cameras.

    Raises:
        ServiceRefused: something else is in its place.
    """
    user, group = host.ids(USER)
    home = host.path(SERVICE_HOME)
    if home.is_symlink():
        raise ServiceRefused(f"found {home} to be a link, expected a folder; mount the other disk there instead")
    home.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != user:  # made just now, or put there by root; what the service itself wrote stays its own
        for _, folders, names, handle in os.fwalk(home, follow_symlinks=False):
            for name in (*folders, *names):
                os.chown(name, user, group, dir_fd=handle, follow_symlinks=False)
        os.chown(home, user, group)
    if settings is not None:
        write_durably(home / "edgecl.toml", settings.encode("utf-8"))
        os.chown(home / "edgecl.toml", user, group, follow_symlinks=False)


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


def _delete(folder: Path) -> None:
    """All that is in it, and itself, unless a disk is mounted there."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _write(path: Path, text: str) -> Path:
    """For everyone to read, as all units are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode("utf-8"))
    path.chmod(0o644)
    return path
