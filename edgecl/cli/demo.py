"""The demonstration: a page in the browser, live in the terminal, or as a script that checks itself."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecl.cli.options import HomeOption, HostOption, JsonOption, PortOption, TokenFileOption
from edgecl.cli.terminal import Terminal, columns, share

if TYPE_CHECKING:
    from edgecl.config import ServerSettings
    from edgecl.demonstration import Demonstration
    from edgecl.home import Home

PHOTOGRAPHS = ("cat", "coffee", "rocket")
SAMPLES = f"sample://{','.join(PHOTOGRAPHS)}?fps=15&each=12"  # each long enough to be taught, and soon back

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
    in_window: Annotated[bool, typer.Option("--window", help="Show it in a window of its own, with keys.")] = False,
    host: HostOption = None,
    port: PortOption = None,
    token_file: TokenFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach things to a camera and watch.

    On a page whose address is printed, and opened where there is a desktop; Ctrl-C ends it. With --script in a
    temporary home, or in DIR if nothing was taught there; status 1 if anything was forgotten.
    """
    from edgecl.cli.exporting import ensure_backbone
    from edgecl.cli.live import live
    from edgecl.cli.run import server_settings
    from edgecl.errors import InputRefused
    from edgecl.home import Home

    terminal = Terminal(as_json)
    place = Home.at(home)
    if in_terminal and (as_json or not _can_draw()):
        raise InputRefused(
            "found no terminal to draw the demonstration on, expected one without --json; run it in a terminal, "
            "or use: edgecl demo --script"
        )
    if in_window:
        from edgecl.cli.window import require_display

        require_display()
    ensure_backbone(place, terminal)
    if script:
        _script(place, home is None, terminal)
    elif in_terminal:
        from edgecl.cli.screen import Screen

        live(place, src, terminal, Screen.open)
    elif in_window:
        from edgecl.cli.window import Window

        live(place, src, terminal, Window.open)
    else:
        _page(place, src, server_settings(place, host=host, port=port, token_file=token_file), terminal)


def _page(place: Home, src: str | None, server: ServerSettings, terminal: Terminal) -> None:
    """The daemon with its page, on a camera or on sample photographs; a browser may send its own camera's pictures."""
    import os
    import webbrowser

    from edgecl.cli.run import serve
    from edgecl.config import CameraEntry

    src = src or _source(place, terminal)
    cameras = [] if src is None else [CameraEntry(url=src, name="camera")]
    cameras.append(CameraEntry(url="browser:", name="browser"))

    def ready(address: str) -> None:
        terminal.answer({"address": address, "pid": os.getpid()}, f"open {address} in a browser; Ctrl-C ends this")
        if sys.stdout.isatty() and _has_desktop():
            webbrowser.open(address)

    serve(place, cameras, server, ready)


def _source(place: Home, terminal: Terminal) -> str | None:
    """Camera 0, else sample photographs, else nothing: then there is the browser's camera."""
    from edgecl.cameras.sample import photograph
    from edgecl.cli.stage import CAMERA, camera_works
    from edgecl.errors import ExtraMissing

    if camera_works(place.settings.camera):
        return CAMERA
    try:
        photograph(PHOTOGRAPHS[0])
    except ExtraMissing as error:
        terminal.note(f"camera 0 gives no picture, and there are no sample photographs: {error}")
        return None
    terminal.note("camera 0 gives no picture; showing sample photographs instead")
    return SAMPLES


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
