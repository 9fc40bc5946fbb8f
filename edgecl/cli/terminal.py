"""What a command says: its answer on stdout, as text or as JSON; all else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edgecl.errors import EdgeclError

Step = Callable[..., None]


class Terminal:
    """The two streams of one command.

    Attributes:
        as_json: whether the answer is JSON; then nothing but JSON goes to stdout.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, record: Mapping[str, Any], text: str) -> None:
        """Print one object, or what it says in words."""
        self._print(json.dumps(record, allow_nan=False) if self.as_json else printable(text))

    def answers(self, records: Sequence[Mapping[str, Any]], text: str) -> None:
        """Print one object a line, or what they say in words."""
        if not self.as_json:
            self._print(printable(text))
        for record in records if self.as_json else ():
            self.answer(record, "")

    def _print(self, text: str) -> None:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            raise  # whoever read has heard enough
        except OSError as error:
            sys.stdout = None  # what is left in its buffer would fail again at the end
            raise EdgeclError(
                f"the answer could not be printed: {error}; what the command was to do is done, see: edgecl status"
            ) from error

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        print(printable(text), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Step]:
        """Show that work goes on: nothing in the first second, nor where nobody looks.

        Gives a function that takes how far it is and, if it changes, what is being done.
        """
        if self.as_json or not sys.stderr.isatty():
            yield lambda done=None, now=None, of=None: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        task = bar.add_task(what, total=total)
        begun = time.monotonic()

        def step(done: int | None = None, now: str | None = None, of: int | None = None) -> None:
            if not bar.live.is_started and time.monotonic() - begun > 1.0:
                bar.start()
            bar.update(task, completed=done, description=None if now is None else printable(now), total=of)

        try:
            yield step
        finally:
            if bar.live.is_started:
                bar.stop()


def printable(text: str) -> str:
    """`text` with everything that could steer a terminal made visible; file names may hold anything."""
    return "".join(c if c.isprintable() or c in "\n\t\u200d" else repr(c)[1:-1] for c in text)  # \u200d joins emoji


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table as plain text, which stays whole in a pipe; `right` are the columns of numbers."""
    from rich.cells import cell_len

    table = [titles, *rows]
    widths = [max(cell_len(row[place]) for row in table) for place in range(len(titles))]

    def cell(row: Sequence[str], place: int) -> str:
        space = " " * (widths[place] - cell_len(row[place]))
        return space + row[place] if place in right else row[place] + space

    return "\n".join("  ".join(cell(row, place) for place in range(len(titles))).rstrip() for row in table)


def share(value: float | None) -> str:
    """A share in percent, or a dash where it is not known."""
    return "–" if value is None else f"{100 * value:.0f} %"


def moment(at: float | None) -> str:
    """Local time to the second, or a dash."""
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def plural(count: int, noun: str) -> str:
    """`1 frame`, `2 frames`, `2 classes`."""
    return f"{count:,} {noun if count == 1 else noun + ('es' if noun.endswith('s') else 's')}"
