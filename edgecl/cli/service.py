"""The daemon as a service of systemd."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecl.cli.options import JsonOption
from edgecl.cli.terminal import Terminal, size

if TYPE_CHECKING:
    from edgecl.systemd.state import ServiceState

service = typer.Typer(
    name="service", help="The daemon as a service of systemd, which starts with the machine.", no_args_is_help=True
)
commands = typer.Typer()
commands.add_typer(service)

RootOption = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Of an image of a machine, instead of this machine.", readable=False),
]
ServiceHomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Folder of the service's memory and backbone.",
        show_default="/var/lib/edgecl",
        readable=False,
    ),
]


@service.command()
def install(
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Camera to look through; may be repeated. Noted in edgecl.toml."),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The command edgecl on that machine; else the one that runs.", readable=False
        ),
    ] = None,
    root: RootOption = None,
    home: ServiceHomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Install the daemon as a service, and start it.

    It gets a user of its own, limits, and a watchdog; where PyTorch is installed, it consolidates at night. Again, it
    brings the service up to date and starts it anew. Needs root.
    """
    from edgecl.cli.run import settings_given
    from edgecl.config import SERVICE_HOME, CameraEntry
    from edgecl.systemd.host import Host
    from edgecl.systemd.installing import install as put
    from edgecl.systemd.installing import program_of_this

    cameras = [settings_given(CameraEntry, {"url": url}) for url in camera or ()]
    done = put(Host.of(root), program or program_of_this(), home or SERVICE_HOME, cameras)
    record = {
        "units": [str(path) for path in done.units],
        "home": str(done.home),
        "consolidates": done.consolidates,
        "address": done.address,
    }
    lines = [*(f"wrote {path}" for path in done.units), f"it keeps what it is taught in {done.home}"]
    if done.consolidates:
        lines.append("it consolidates at night, where the machine is cool and not on its battery")
    lines.append(
        f"it runs, and starts with the machine; it answers at {done.address}"
        if done.address
        else "it starts with the machine"
    )
    Terminal(as_json).answer(record, "\n".join(lines))


@service.command()
def status(root: RootOption = None, home: ServiceHomeOption = None, as_json: JsonOption = False) -> None:
    """Show how the service is doing. Status 1 where it does not run, or is not well."""
    from edgecl.systemd.host import Host
    from edgecl.systemd.state import look

    found = look(Host.of(root))
    _expect(home, found.home)
    well = found.address is not None and found.healthy
    Terminal(as_json).answer(_record(found), _text(found))
    if not well:
        Terminal(as_json).note("edgecl: the service is not well; what it said: edgecl service logs")
        raise typer.Exit(1)


@service.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it says from now on.")] = False,
    home: ServiceHomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the service and its consolidation said, from the journal of systemd."""
    from edgecl.errors import ServiceRefused
    from edgecl.systemd.host import Host
    from edgecl.systemd.state import home_of
    from edgecl.systemd.units import CONSOLIDATION, SERVICE

    _expect(home, home_of(Host.of(None)))
    program = shutil.which("journalctl")
    if program is None:
        raise ServiceRefused("found no journalctl, expected systemd; on Debian: apt install systemd")
    command = ["journalctl", "--no-pager", f"--unit={SERVICE}", f"--unit={CONSOLIDATION}", f"--lines={lines}"]
    command += ["--output=json"] if as_json else []
    os.execv(program, [*command, *(["--follow"] if follow else [])])  # noqa: S606  # it has the terminal from now on


@service.command()
def uninstall(
    purge: Annotated[bool, typer.Option("--purge", help="Delete its home, with all that was taught.")] = False,
    root: RootOption = None,
    home: ServiceHomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the service and take its units away. What was taught stays, unless it is purged. Needs root."""
    from edgecl.systemd.host import Host
    from edgecl.systemd.installing import uninstall as take
    from edgecl.systemd.state import home_of

    host = Host.of(root)
    _expect(home, home_of(host))
    where = take(host, purge)
    said = f"{where} is deleted" if purge else f"what was taught is kept in {where}"
    Terminal(as_json).answer({"home": str(where), "kept": not purge}, f"the service is taken away; {said}")


def _expect(named: Path | None, found: Path) -> None:
    """There is one service on a machine.

    Raises:
        ServiceRefused: it looks after another home than the one that was named.
    """
    from edgecl.errors import ServiceRefused

    if named is not None and named.absolute() != found:
        raise ServiceRefused(f"found the service to have its home in {found}, expected {named}; name that one, or none")


def _record(found: ServiceState) -> dict[str, Any]:
    return {
        "home": str(found.home),
        "state": found.state,
        "enabled": found.enabled,
        "since": found.since,
        "pid": found.pid,
        "restarts": found.restarts,
        "ram_bytes": found.ram_bytes,
        "address": found.address,
        "healthy": found.healthy,
        "consolidates": found.consolidates,
    }


def _text(found: ServiceState) -> str:
    since = f" since {found.since}" if found.since and found.pid else ""
    ram = "not counted" if found.ram_bytes is None else size(found.ram_bytes)
    rows = (
        ("service", f"{found.state}{since}, {'starts' if found.enabled else 'does not start'} with the machine"),
        ("daemon", f"pid {found.pid}, restarted {found.restarts} times" if found.pid else "none"),
        ("RAM", f"{ram}, of all its processes"),
        ("answers", f"at {found.address}, {'well' if found.healthy else 'not well'}" if found.address else "nowhere"),
        ("home", str(found.home)),
        ("at night", found.consolidates or "no consolidation: PyTorch is not installed beside it"),
    )
    return "\n".join(f"{name:<12} {what}" for name, what in rows)
