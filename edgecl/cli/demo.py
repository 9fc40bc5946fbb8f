"""The demonstration: live in the terminal, or as a script that checks itself."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, share

if TYPE_CHECKING:
    from edgecl.cameras.footage import Gap
    from edgecl.demonstration import Demonstration
    from edgecl.home import Home
    from edgecl.types import Frame

CAMERA, SAMPLE = "0", "sample://?fps=15"

commands = typer.Typer()


@commands.command()
def demo(
    src: Annotated[
        str | None,
        typer.Argument(metavar="SRC", help="Camera, video or sample://NAME; else camera 0, else sample photographs."),
    ] = None,
    script: Annotated[
        bool,
        typer.Option("--script", help="Without camera or terminal: teach four classes, check the promise."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach things to a camera and watch.

    With --script in a temporary home, or in DIR if nothing was taught there; status 1 if anything was forgotten.
    """
    from edgecl.cli.exporting import ensure_backbone
    from edgecl.errors import InputRefused
    from edgecl.home import Home

    terminal = Terminal(as_json)
    place = Home.at(home)
    if not script and (as_json or not _can_draw()):
        raise InputRefused(
            "found no terminal to draw the demonstration on, expected one without --json; run it in a terminal, "
            "or use: edgecl demo --script"
        )
    ensure_backbone(place, terminal)
    if script:
        _script(place, home is None, terminal)
    else:
        _live(place, src, terminal)


def _can_draw() -> bool:
    from rich.console import Console

    interactive = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    return interactive and not Console().is_dumb_terminal


def _script(place: Home, temporary: bool, terminal: Terminal) -> None:
    from edgecl.demonstration import demonstrate
    from edgecl.home import Home
    from edgecl.records import of_demonstration
    from edgecl.releases import current, install_first

    with tempfile.TemporaryDirectory() as folder, terminal.progress("demonstration") as step:
        if temporary:
            install_first(Path(folder), current(place.folder))
            place = Home(Path(folder), place.settings)
        result = demonstrate(place, lambda what, done, of: step(done, what, of))
    terminal.answer(of_demonstration(result), _table(result))
    if not result.passed:
        terminal.note("edgecl: the demonstration failed: see the table for what was forgotten or not recognised")
        raise typer.Exit(1)


def _table(result: Demonstration) -> str:
    titles = ("class", "kept", "after its lesson", "at the end", "forgetting", "first answer", "all learned")
    rows = [
        (
            one.label,
            str(one.kept),
            share(one.accuracy_then),
            share(one.accuracy_now),
            share(one.forgetting),
            f"{one.first_ms:.0f} ms",
            f"{one.full_ms:.0f} ms",
        )
        for one in result.classes
    ]
    return (
        f"{columns(titles, rows, right=range(1, len(titles)))}\n\n"
        f"mean accuracy at the end: {share(result.mean_accuracy)}\n"
        f"never taught, called unknown: {share(result.unknown_rejected)}\n"
        f"survived restart: {'yes' if result.survived_restart else 'no'}"
    )


def _live(place: Home, src: str | None, terminal: Terminal) -> None:
    from rich.console import Console
    from rich.live import Live

    from edgecl.cameras import redact
    from edgecl.cli.keyboard import Keyboard
    from edgecl.cli.screen import screen
    from edgecl.session import Session
    from edgecl.types import Frame

    source, frames = _open(place, src, terminal)
    shown = redact(source)
    with contextlib.closing(frames), place.learner() as learner, Keyboard.open() as keyboard:
        session = Session(learner)
        with Live(
            screen(session, shown, 0.0), console=Console(highlight=False), screen=True, auto_refresh=False
        ) as live:
            for found in _paced(frames, source):
                for key in keyboard.pressed():
                    session.press(key, time.monotonic())
                if session.over:
                    break
                if isinstance(found, Frame):
                    session.look(found)
                else:
                    session.message = str(found)
                live.update(screen(session, shown, time.monotonic()), refresh=True)
        names = session.names
    terminal.note(f"it knows {', '.join(names) or 'nothing yet'}; kept in {place.folder}")


def _open(place: Home, src: str | None, terminal: Terminal) -> tuple[str, Generator[Frame | Gap, None, None]]:
    """The camera that was asked for; else camera 0, if it gives a picture; else the photographs."""
    from edgecl.cameras import open_camera
    from edgecl.cameras.footage import footage
    from edgecl.errors import CameraError

    settings = place.settings.camera
    source = src or CAMERA
    if src is None:
        try:
            with contextlib.closing(open_camera(CAMERA, settings)) as frames:
                next(iter(frames))
        except CameraError:
            terminal.note("camera 0 gives no picture; showing sample photographs instead")
            source = SAMPLE
    return source, footage(source, settings)


def _paced(frames: Iterable[Frame | Gap], source: str) -> Iterator[Frame | Gap]:
    """A recording at the speed at which it was taken; a live camera as it is."""
    from edgecl.cameras import is_live
    from edgecl.types import Frame

    live = is_live(source)
    begun: float | None = None
    for found in frames:
        if isinstance(found, Frame):
            ahead = found.taken_at - time.monotonic()
            begun = ahead if begun is None else begun
            if not live:
                time.sleep(min(max(ahead - begun, 0.0), 1.0))
        yield found
