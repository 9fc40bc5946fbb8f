"""The demonstration: a page in the browser, live in the terminal, or as a script that checks itself."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, share

if TYPE_CHECKING:
    from edgecl.demonstration import Demonstration
    from edgecl.home import Home

FRAME_WAIT_S = 0.2  # then the screen is drawn again and keys are heard, also while a camera is silent
TURN = "p"
SAMPLES = "sample://?fps=15"

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
    in_terminal: Annotated[
        bool, typer.Option("--terminal", help="Draw it in this terminal, without a browser.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach things to a camera and watch.

    On a page whose address is printed, and opened where there is a desktop; Ctrl-C ends it. With --script in a
    temporary home, or in DIR if nothing was taught there; status 1 if anything was forgotten.
    """
    from edgecl.cli.exporting import ensure_backbone
    from edgecl.errors import InputRefused
    from edgecl.home import Home

    terminal = Terminal(as_json)
    place = Home.at(home)
    if in_terminal and (as_json or not _can_draw()):
        raise InputRefused(
            "found no terminal to draw the demonstration on, expected one without --json; run it in a terminal, "
            "or use: edgecl demo --script"
        )
    ensure_backbone(place, terminal)
    if script:
        _script(place, home is None, terminal)
    elif in_terminal:
        _live(place, src, terminal)
    else:
        _page(place, src, terminal)


def _page(place: Home, src: str | None, terminal: Terminal) -> None:
    """The daemon with its page, on a camera or on sample photographs; a browser may send its own camera's pictures."""
    import os
    import webbrowser

    from edgecl.cli.run import serve
    from edgecl.cli.stage import CAMERA, camera_works
    from edgecl.config import CameraEntry

    if src is None and camera_works(place.settings.camera):
        src = CAMERA
    elif src is None:
        terminal.note("camera 0 gives no picture; showing sample photographs instead")
        src = SAMPLES
    cameras = [CameraEntry(url=src, name="camera"), CameraEntry(url="browser:", name="browser")]

    def ready(address: str) -> None:
        terminal.answer({"address": address, "pid": os.getpid()}, f"open {address} in a browser; Ctrl-C ends this")
        if sys.stdout.isatty() and _has_desktop():
            webbrowser.open(address)

    serve(place, cameras, place.settings.server, ready)


def _has_desktop() -> bool:
    import os

    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


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

    from edgecl.cli.keyboard import Keyboard
    from edgecl.cli.screen import screen
    from edgecl.cli.stage import CAMERA, Stage, camera_works
    from edgecl.session import Session

    settings = place.settings.camera
    if src is None and camera_works(settings):
        src = CAMERA
    elif src is None:
        terminal.note("camera 0 gives no picture; showing sample photographs instead")
    with (
        contextlib.closing(Stage(src, settings)) as stage,
        place.watched(live=stage.live) as watch,
        Keyboard.open() as keyboard,
        Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live,
    ):
        session = Session(watch.learner, watch.see)
        while not (session.over or stage.over or keyboard.signalled):
            frame = stage.frame(wait_s=FRAME_WAIT_S)
            for key in keyboard.pressed():
                if key == TURN and stage.turns and session.idle:
                    stage.turn()
                else:
                    session.press(key, time.monotonic())
            if frame is not None:
                session.look(frame)
            for text in watch.news():
                session.message = text
            live.update(screen(session, stage, time.monotonic()), refresh=True)
        names = session.names
    if stage.trouble is not None:
        terminal.note(f"edgecl: {stage.trouble}")
    terminal.note(f"it knows {', '.join(names) or 'nothing yet'}; kept in {place.folder}")
    if keyboard.signalled is not None:
        raise typer.Exit(128 + keyboard.signalled)
