"""The live demonstration in a window of OpenCV."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.cli.screen import keys_of
from edgecl.cli.stage import Stage
from edgecl.cli.terminal import share
from edgecl.errors import ExtraMissing, InputRefused
from edgecl.session import BACKSPACE, ENTER, ESCAPE, Glance, Session
from edgecl.types import Frame

TITLE = "edgecl"
PICTURE_PX, SIDE_PX, KEYS_PX = (640, 480), 340, 44  # width and height; width; height
GROUND, TRACK = (24, 26, 27), (60, 62, 64)
INK, DIM, KNOWN = (240, 240, 240), (150, 150, 150), (110, 220, 190)
UNKNOWN, BAD = (255, 209, 102), (255, 140, 120)
MESSAGE_CHARACTERS = 40  # a line of it
KEYS = {13: ENTER, 10: ENTER, 27: ESCAPE, 8: BACKSPACE, 127: BACKSPACE}
NO_KEY, UNICODE_KEYSYM = -1, 0x1000000
FONT, SIZES = "DejaVuSans.ttf", (16, 34)  # where the system has it; it has more alphabets than Pillow's own
PROBE = "import cv2; cv2.namedWindow('edgecl begins'); cv2.waitKey(1)"


def require_display() -> None:
    """Whether a window can be opened; asked in a process of its own, for OpenCV ends the one where it cannot.

    Raises:
        InputRefused: it cannot.
        ExtraMissing: Pillow is not installed, which draws letters of more than English.
    """
    try:
        import PIL.ImageFont  # noqa: F401, to see whether it is there
    except ModuleNotFoundError as error:
        raise ExtraMissing("the window", "demo") from error
    probe = subprocess.run([sys.executable, "-c", PROBE], env=_quiet(), capture_output=True, check=False)  # noqa: S603, ours
    if probe.returncode:
        raise InputRefused(
            "found no display to open a window on, expected one, and an OpenCV with windows; "
            "use the page: edgecl demo, or the terminal: edgecl demo --terminal"
        )


class Window:
    """A window of its own; use `open`."""

    wait_s = 0.02  # OpenCV remembers but the last of the keys that came since it was asked

    def __init__(self) -> None:
        self._painter = Painter()

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Window]:
        """Show it until the block ends."""
        os.environ.update(_quiet())
        cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        try:
            yield cls()
        finally:
            with contextlib.suppress(cv2.error):
                cv2.destroyAllWindows()

    def pressed(self) -> list[str]:
        """The keys since the last call; whoever closes the window leaves."""
        keys: list[str] = []
        while (code := cv2.waitKeyEx(1)) != NO_KEY:
            keys += characters(code)
        return keys if self._is_open() else [*keys, ESCAPE, "q"]

    def _is_open(self) -> bool:
        try:
            return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:  # the last window is gone, and Qt with it
            return False

    def show(self, session: Session, stage: Stage, frame: Frame | None, monotonic: float) -> None:
        """Draw what is so at `monotonic` s; `frame` is the newest one."""
        if self._is_open():  # else it would open another
            cv2.imshow(TITLE, self._painter.paint(session, stage, frame, monotonic))


class Painter:
    """Draws the window's content."""

    def __init__(self) -> None:
        self._fonts = {size: _font(size) for size in SIZES}

    def paint(self, session: Session, stage: Stage, frame: Frame | None, monotonic: float) -> NDArray[np.uint8]:
        """What the window shows, uint8 (H, W, 3) BGR."""
        from PIL import Image, ImageDraw

        width, height = PICTURE_PX[0] + SIDE_PX, PICTURE_PX[1] + KEYS_PX
        canvas = np.full((height, width, 3), GROUND, np.uint8)
        if frame is not None:
            _place(canvas, frame.image[:, :, ::-1])
        image = Image.fromarray(canvas)
        self._pen: Any = ImageDraw.Draw(image)
        self._side(session, stage, monotonic)
        self._keys(session, stage)
        return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])

    def _side(self, session: Session, stage: Stage, monotonic: float) -> None:
        left, line = PICTURE_PX[0] + 18, 16
        if stage.trouble is not None:
            line = self._lines(left, line, [f"no picture: {stage.trouble}"], BAD)
        elif session.glance is not None:
            line = self._answer(left, line, session.glance)
        line = self._lines(left, line + 14, ["it knows" if session.names else "it knows nothing yet"], DIM)
        for number, (name, count) in enumerate(session.counts.items(), start=1):
            if line > PICTURE_PX[1] - 130:
                line = self._lines(left, line, [f"and {len(session.counts) - number + 1} more"], DIM)
                break
            key = f"{number}  " if number <= 9 else "    "
            line = self._lines(left, line, [f"{key}{name}: {count}"], INK)
        self._lines(left, PICTURE_PX[1] - 96, _lesson(session, monotonic)[:4], INK)

    def _answer(self, left: int, line: int, glance: Glance) -> int:
        found = glance.prediction
        known = found.label is not None
        self._text((left, line), found.label or "unknown", 34, KNOWN if known else UNKNOWN)
        right = left + SIDE_PX - 36
        self._pen.rectangle((left, line + 50, right, line + 58), fill=TRACK)
        if known:
            self._pen.rectangle((left, line + 50, left + (right - left) * found.probability, line + 58), fill=KNOWN)
        told = share(found.probability) if known else "like nothing that was taught"
        line = self._lines(left, line + 66, [told, f"{glance.fps:.0f} fps · {1000 * found.age:.0f} ms old"], DIM)
        return self._lines(
            left, line, [f"not good enough to teach: {glance.refused}"] if glance.refused else [], UNKNOWN
        )

    def _keys(self, session: Session, stage: Stage) -> None:
        at = 14, PICTURE_PX[1] + 12
        if session.typed is not None:
            self._text(at, f"name: {session.typed}|     Enter · Esc", 16, KNOWN)
            return
        self._text(at, "     ".join(f"[{key}] {what}" for key, what in keys_of(stage)).replace("–", "-"), 16, DIM)

    def _lines(self, left: int, line: int, texts: list[str], colour: tuple[int, int, int]) -> int:
        for text in texts:
            self._text((left, line), text, 16, colour)
            line += 24
        return line

    def _text(self, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
        room = PICTURE_PX[0] + SIDE_PX - at[0] - 8
        font = self._fonts[size]
        text = "".join(one if one.isprintable() else "?" for one in text)
        while text and font.getlength(text) > room:
            text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
        self._pen.text(at, text, fill=colour, font=font)


def characters(code: int) -> list[str]:
    """What `cv2.waitKeyEx` says was typed; nothing for arrows and the like. Qt's OpenCV knows no capital letters."""
    if code in KEYS:
        return [KEYS[code]]
    if code < 0:  # a byte of Latin-1 taken for a signed one
        return [chr(code & 0xFF).lower()]
    if code > UNICODE_KEYSYM:
        return [chr(code - UNICODE_KEYSYM)]
    return [chr(code)] if code <= 0xFF else []


def _font(size: int) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(FONT, size)
    except OSError:
        return ImageFont.load_default(size)


def _place(canvas: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
    """Put the picture, uint8 (H, W, 3), into its corner of the canvas, as large as it fits there."""
    width, height = PICTURE_PX
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=how)


def _lesson(session: Session, monotonic: float) -> list[str]:
    """What is going on, in words."""
    if session.burst is not None:
        burst = session.burst
        return [
            f"teaching {session.label}: {session.left_s(monotonic):.1f} s left",
            f"{burst.seen} seen, {len(burst.candidates)} usable",
        ]
    message = textwrap.wrap(session.message, MESSAGE_CHARACTERS)
    report = session.report
    if report is None:
        return message
    told = [*message, f"{report.lesson.seen} seen, {report.lesson.kept} kept"]
    if report.others_after is not None:
        told.append(f"others {share(report.others_after)}, before {share(report.others_before)}")
    return told


def _quiet() -> dict[str, str]:
    """The environment in which Qt keeps to itself that it has fonts of its own to look for."""
    return os.environ | {"QT_LOGGING_RULES": "*.warning=false"}
