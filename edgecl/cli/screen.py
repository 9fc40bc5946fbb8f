"""The live demonstration in a terminal, drawn with rich."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgecl.cli.keyboard import Keyboard
from edgecl.cli.stage import Stage
from edgecl.cli.terminal import printable, share
from edgecl.session import Glance, Session
from edgecl.types import Frame

_BAR = 24  # characters


class Screen:
    """A terminal of which the demonstration has all; use `open`."""

    wait_s = 0.2

    def __init__(self, keyboard: Keyboard, live: Live) -> None:
        self.pressed = keyboard.pressed
        self._live = live

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Screen]:
        """Draw until the block ends; the terminal is put back as it was."""
        with (
            Keyboard.open() as keyboard,
            Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live,
        ):
            yield cls(keyboard, live)

    def show(self, session: Session, stage: Stage, frame: Frame | None, monotonic: float) -> None:
        """Draw what is so at `monotonic` s; a terminal has no picture of the frame."""
        self._live.update(screen(session, stage, monotonic), refresh=True)


def screen(session: Session, stage: Stage, monotonic: float) -> RenderableType:
    """The whole screen at `monotonic` s."""
    return Group(
        Panel(
            _seen(session.glance, stage),
            title=f"edgecl sees {printable(stage.title)}",
            title_align="left",
            border_style="cyan",
        ),
        Panel(_known(session), title="it knows", title_align="left"),
        _lesson(session, monotonic),
        _keys(session, stage),
    )


def _seen(glance: Glance | None, stage: Stage) -> RenderableType:
    if stage.trouble is not None:
        return Text(f"no picture: {printable(stage.trouble)}", style="yellow")
    if glance is None:
        return Text("waiting for the first frame …", style="dim")
    prediction = glance.prediction
    known = prediction.label is not None
    head = Text()
    head.append(f"{printable(prediction.label or 'unknown'):<22}", style="bold green" if known else "bold yellow")
    head.append(_bar(prediction.probability if known else prediction.unknown_score))
    head.append(f" {share(prediction.probability)}" if known else " like nothing that was taught")
    top = Text("  ".join(f"{printable(label)} {share(value)}" for label, value in prediction.top[:3]), style="dim")
    age = Text(f"{1000 * prediction.age:.0f} ms from camera to answer · {glance.fps:.0f} frames a second", style="dim")
    if glance.refused is not None:
        age.append(f" · frame not good enough to teach: {glance.refused}", style="yellow")
    return Group(head, top, age)


def _known(session: Session) -> RenderableType:
    if not session.names:
        return Text("nothing yet", style="dim")
    recogniser = session.learner.recogniser
    table = Table.grid(padding=(0, 2))
    for number, (name, count) in enumerate(session.counts.items(), start=1):
        class_id = next(key for key, value in session.learner.names.items() if value == name)
        held_out = recogniser.held_out.of(class_id) if recogniser is not None else None
        key = str(number) if number <= 9 else " "
        table.add_row(
            Text(key, style="bold cyan"), Text(printable(name)), f"{count} examples", f"held-out {share(held_out)}"
        )
    return table


def _lesson(session: Session, monotonic: float) -> RenderableType:
    if session.burst is not None:
        burst = session.burst
        why = ", ".join(f"{count} {reason}" for reason, count in burst.reasons.most_common())
        line = Text(f"teaching {printable(session.label)}: ", style="bold magenta")
        line.append(f"{session.left_s(monotonic):.1f} s left · {burst.seen} seen · {len(burst.candidates)} usable")
        line.append(f" · {why}" if why else "", style="dim")
        return Group(line, Text(""))
    report = session.report
    if report is None:
        return Group(Text(printable(session.message)), Text(""))
    lesson = report.lesson
    others = f" · others {share(report.others_before)} → {share(report.others_after)}" if report.others_after else ""
    return Group(
        Text(printable(session.message)),
        Text(
            f"{lesson.seen} seen, {lesson.kept} kept · first answer {report.first_ms:.0f} ms, all learned "
            f"{report.full_ms:.0f} ms{others}",
            style="dim",
        ),
    )


def _keys(session: Session, stage: Stage) -> RenderableType:
    if session.typed is not None:
        return Text.assemble(
            ("name: ", "bold cyan"), printable(session.typed), ("▏", "blink"), ("  Enter · Esc", "dim")
        )
    line = Text()
    for key, what in keys_of(stage):
        line.append(f" {key} ", style="reverse bold" if key == "c" and session.correcting else "reverse")
        line.append(f" {what}  ")
    return line


def keys_of(stage: Stage) -> list[tuple[str, str]]:
    """The keys that do something, and what."""
    turn = [("p", "next photograph")] if stage.turns else []
    return [("1–9", "teach"), ("n", "new class"), ("u", "undo"), ("c", "correct last"), *turn, ("q", "quit")]


def _bar(value: float) -> str:
    full = round(max(0.0, min(1.0, value)) * _BAR)
    return "█" * full + "░" * (_BAR - full)
