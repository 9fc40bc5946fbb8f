"""The daemon as a service of systemd."""

from __future__ import annotations

import os
import shutil
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


@service.command()
def install(
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]URL", help="Camera to look through; may be repeated. Noted in edgecl.toml."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Start nothing: for an image of a machine, run in its chroot.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Install the daemon as a service, and start it.

    It gets a user of its own, limits, a watchdog, and the home /var/lib/edgecl; where PyTorch is installed, it
    consolidates at night. Again, it brings the service up to date and starts it anew. Needs root.
    """
    from edgecl.cli.run import cameras_given
    from edgecl.config import SERVICE_HOME
    from edgecl.systemd.host import Host
    from edgecl.systemd.installing import install as put
    from edgecl.systemd.installing import program_of_this

    done = put(Host.this(offline), program_of_this(), cameras_given(camera or ()))
    record = {
        "units": [str(path) for path in done.units],
        "home": str(SERVICE_HOME),
        "consolidates": done.consolidates,
        "address": done.address,
    }
    lines = [*(f"wrote {path}" for path in done.units), f"it keeps what it is taught in {SERVICE_HOME}"]
    lines.append(
        "it consolidates at night, where the machine is cool and not on its battery"
        if done.consolidates
        else "it does not consolidate at night, for which PyTorch would have to be installed beside it"
    )
    lines.append(
        f"it runs, and starts with the machine; it answers at {done.address}"
        if done.address
        else "it starts with the machine"
    )
    Terminal(as_json).answer(record, "\n".join(lines))


@service.command()
def status(as_json: JsonOption = False) -> None:
    """Show how the service is doing. Status 1 where it does not run, or is not well."""
    from edgecl.systemd.host import Host
    from edgecl.systemd.state import look

    found = look(Host.this())
    well = found.address is not None and found.healthy
    Terminal(as_json).answer(_record(found), _text(found))
    if not well:
        Terminal(as_json).note("edgecl: the service is not well; what it said: sudo edgecl service logs")
        raise typer.Exit(1)


@service.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it says from now on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the service and its consolidation said, from the journal of systemd."""
    from edgecl.errors import ServiceRefused
    from edgecl.systemd.host import Host
    from edgecl.systemd.state import expect_installed
    from edgecl.systemd.units import CONSOLIDATION, SERVICE

    expect_installed(Host.this())
    program = shutil.which("journalctl")
    if program is None:
        raise ServiceRefused("found no journalctl, expected systemd; on Debian: apt install systemd")
    command = ["journalctl", "--no-pager", f"--unit={SERVICE}", f"--unit={CONSOLIDATION}", f"--lines={lines}"]
    command += ["--output=json"] if as_json else []
    os.execv(program, [*command, *(["--follow"] if follow else [])])  # noqa: S606  # it has the terminal from now on


@service.command()
def uninstall(
    purge: Annotated[bool, typer.Option("--purge", help="Delete its home, with all that was taught.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop the service and take its units away. What was taught stays, unless it is purged. Needs root."""
    from edgecl.config import SERVICE_HOME
    from edgecl.systemd.host import Host
    from edgecl.systemd.installing import uninstall as take

    take(Host.this(), purge)
    said = "what was taught is deleted" if purge else f"what was taught is kept in {SERVICE_HOME}"
    Terminal(as_json).answer({"home": str(SERVICE_HOME), "kept": not purge}, f"the service is taken away; {said}")


def _record(found: ServiceState) -> dict[str, Any]:
    return {
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
        ("at night", found.consolidates or "no consolidation: PyTorch is not installed beside it"),
    )
    return "\n".join(f"{name:<12} {what}" for name, what in rows)
