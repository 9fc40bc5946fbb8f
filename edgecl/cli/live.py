"""The live demonstration: someone before a camera, with keys and something to draw on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import typer

from edgecl.cli.signals import Signals
from edgecl.cli.stage import CAMERA, Stage, camera_works
from edgecl.session import Session

if TYPE_CHECKING:
    from edgecl.cli.terminal import Terminal
    from edgecl.home import Home
    from edgecl.types import Frame

TURN = "p"


class Surface(Protocol):
    """What the demonstration is drawn on, and where keys are pressed.

    Attributes:
        wait_s: after so long all is drawn again and keys are heard, also while a camera is silent.
    """

    wait_s: float

    def pressed(self) -> list[str]:
        """The keys since the last call."""

    def show(self, session: Session, stage: Stage, frame: Frame | None, monotonic: float) -> None:
        """Draw what is so at `monotonic` s; `frame` is the newest one."""


def live(
    place: Home, src: str | None, terminal: Terminal, opened: Callable[[], AbstractContextManager[Surface]]
) -> None:
    """Show what `src` sees, and be taught, until someone leaves.

    Args:
        place: the home.
        src: a camera, a video or sample photographs; None for what there is.
        terminal: told the rest.
        opened: gives what is drawn on.

    Raises:
        CameraError: the source never gave a picture.
    """
    settings = place.settings.camera
    if src is None and camera_works(settings):
        src = CAMERA
    elif src is None:
        terminal.note("camera 0 gives no picture; showing sample photographs instead")
    with (
        contextlib.closing(Stage(src, settings)) as stage,
        place.watched(live=stage.live) as watch,
        Signals.noted() as signals,
        opened() as surface,
    ):
        session, newest = Session(watch.learner, watch.see), None
        while not (session.over or stage.over or signals.came):
            frame = stage.frame(wait_s=surface.wait_s)
            for key in surface.pressed():
                if key == TURN and stage.turns and session.idle:
                    stage.turn()
                else:
                    session.press(key, time.monotonic())
            if frame is not None:
                session.look(frame)
                newest = frame
            for text in watch.news():
                session.message = text
            surface.show(session, stage, newest, time.monotonic())
        names = session.names
    if stage.trouble is not None:
        terminal.note(f"edgecl: {stage.trouble}")
    terminal.note(f"it knows {', '.join(names) or 'nothing yet'}; kept in {place.folder}")
    if signals.came:
        raise typer.Exit(128 + signals.came)
