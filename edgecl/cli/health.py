"""What a home holds, and whether this machine is fit to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, moment, plural, size

commands = typer.Typer()


@commands.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what the home holds."""
    from edgecl.accelerator.report import running_text
    from edgecl.cli.teaching import change_text
    from edgecl.config import SERVICE_HOME
    from edgecl.home import Home
    from edgecl.overview import status as look
    from edgecl.records import of_status
    from edgecl.systemd.state import is_on_this_machine

    found = look(Home.at(home))
    backbone = "none; run: edgecl export"
    if found.execution is not None:
        runs = running_text(found.running, found.execution)
        backbone = f"{found.backbone} in {runs}, release {found.release}"
    if found.trial is not None:
        backbone += (
            f", in trial: {plural(found.trial.frames, 'frame')} in {found.trial.seconds / 60:.1f} minutes so far"
        )
    if found.unsettled is not None:
        backbone += f" ({found.unsettled}; the next command that writes settles it)"
    head = "up to date" if found.head_is_current else "behind the memory; the next command that writes brings it up"
    if found.foreign_trunk:
        head = "of no use: the memory was made by another trunk; see: edgecl doctor"
    daemon = "none"
    if found.daemon is not None:
        daemon = f"pid {found.daemon.pid}, answers at {found.daemon.address}"
    elif found.home != SERVICE_HOME and is_on_this_machine():
        daemon += " in this home; the service's has its own: sudo edgecl status, edgecl service status"
    last = found.last_lesson
    lines = (
        ("home", str(found.home)),
        ("backbone", backbone),
        ("memory", f"{plural(found.classes, 'class')}, {plural(found.examples, 'example')}, {size(found.bytes)}"),
        ("revision", f"{found.revision}, head {head}"),
        ("for review", plural(found.reviews, "frame")),
        ("daemon", daemon),
        ("last lesson", "none" if last is None else f"{moment(last.taken_at)}, {change_text(last)}"),
    )
    Terminal(as_json).answer(of_status(found), "\n".join(f"{name:<12} {what}" for name, what in lines))


@commands.command()
def doctor(
    measure: Annotated[
        bool,
        typer.Option("--measure", help="First measure anew what the graphs run fastest on; best while all else rests."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the machine, the backbone, the memory and the cameras.

    Ends with "ready", or with what is to be done. Status 1 if anything fails. Nothing that was taught is changed.
    """
    from edgecl.config import default_home
    from edgecl.doctor import examine, to_do
    from edgecl.files import expect_own
    from edgecl.records import of_finding

    terminal = Terminal(as_json)
    folder = home or default_home()
    if folder.exists():
        expect_own(folder)  # whose settings name commands, and whose graphs are run
    if measure:
        _measure(folder, terminal)
    findings = []
    for finding in examine(folder):
        remedy = f"\n{'':22}→ {finding.remedy}" if finding.remedy else ""
        terminal.answer(of_finding(finding), f"{finding.state:<5} {finding.check:<15} {finding.found}{remedy}")
        findings.append(finding)
    steps = [f"{number}. {step}" for number, step in enumerate(to_do(findings), 1)]
    if not as_json:  # whose reader has it all from the findings
        terminal.answer({}, "\n".join(("", "to do:", *steps)) if steps else "\nready")
    failed = sum(finding.state == "fail" for finding in findings)
    if failed:
        terminal.note(f"edgecl: {plural(failed, 'check')} failed; see the lines that begin with fail")
        raise typer.Exit(1)


def _measure(folder: Path, terminal: Terminal) -> None:
    from edgecl.accelerator.execution import measure
    from edgecl.accelerator.starts import forget
    from edgecl.config import load_settings
    from edgecl.errors import EdgeclError

    with terminal.progress("measuring") as step:
        try:
            measure(folder, load_settings(folder).backbone, lambda now: step(now=now))
        except EdgeclError as error:  # of which the findings tell more
            terminal.note(f"edgecl: nothing was measured: {error}")
            return
    try:
        forget(folder)
    except EdgeclError as error:
        terminal.note(f"edgecl: {error}")
