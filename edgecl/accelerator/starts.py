"""Starts of a daemon on an accelerator that came to nothing: after too many in a row, the CPU is taken."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgecl.accelerator.remembered import contents
from edgecl.errors import DaemonEnded, EdgeclError, StoreUnwritable
from edgecl.files import holder, sync_folder, write_durably
from edgecl.memory.backup import LOCK
from edgecl.runtime import Execution, Provider

STARTS_FILE = "accelerator-starts.json"
STARTS_MAX = 2  # a power cut counts as one, and hardly ever comes twice within minutes of a start
HEALTHY_S = 600.0
log = logging.getLogger(__name__)


class Starts(BaseModel):
    """The contents of the file.

    Attributes:
        provider: that the graphs ran on.
        broke_off: starts in a row that did not become healthy.
        runs: whether another one has begun; it broke off, too, if nobody holds the home any more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    provider: Provider
    broke_off: Annotated[int, Field(ge=0)]
    runs: bool

    def ended(self) -> Starts:
        """The same where the one that had begun is no more."""
        return self.model_copy(update={"broke_off": self.broke_off + self.runs, "runs": False})

    def __str__(self) -> str:
        return (
            f"{self.provider} is let go of: {self.broke_off} starts on it in a row broke off, by a crash, a hang or a "
            f"power cut, before they had run for {HEALTHY_S / 60:.0f} minutes"
        )


def let_go_of(home: Path) -> Starts | None:
    """The accelerator that the CPU is taken instead of, None where there is none such; never fails."""
    found = _read(home)
    if found is not None and holder(home / LOCK) is None:
        found = found.ended()
    return found if found is not None and found.broke_off >= STARTS_MAX else None


def forget(home: Path) -> None:
    """Let accelerators be taken again.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    try:
        (home / STARTS_FILE).unlink()
        sync_folder(home)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnwritable(
            f"found {home / STARTS_FILE} that cannot be removed ({error.strerror}), expected a file; remove it"
        ) from error


class Start:
    """One start that counts until it has become healthy."""

    def __init__(self, home: Path, before: Starts | None, provider: Provider, clock: Callable[[], float]) -> None:
        self._home, self._before, self._clock = home, before, clock
        self._healthy_at = clock() + HEALTHY_S
        broke_off = 0 if before is None or before.provider != provider else before.broke_off
        self._now: Starts | None = Starts(provider=provider, broke_off=broke_off, runs=True)
        with _harmless():
            _write(home, self._now)

    def goes_well(self) -> None:
        """All that runs is alive at this moment."""
        if self._now is not None and self._clock() >= self._healthy_at:
            self.clear()

    def clear(self) -> None:
        """It is healthy."""
        self._now = None
        with _harmless():
            forget(self._home)

    def take_back(self) -> None:
        """It was none: something else kept the daemon from running."""
        if self._now is None:
            return
        with _harmless():
            if self._before is None:
                forget(self._home)
            else:
                _write(self._home, self._before)


@contextlib.contextmanager
def counted(
    home: Path, execution: Execution, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], None]]:
    """Count a daemon's start for as long as the block lasts, if it is on an accelerator chosen by measurement.

    Args:
        home: the folder.
        execution: on which the daemon is about to load the graphs.
        clock: s, monotonic.

    Yields:
        What is to be called now and then while all goes well.
    """
    if holder(home / LOCK) is not None:  # whose start is counted; this one will be refused
        yield lambda: None
        return
    before = _settled(home)
    if not execution.has_stand_in:
        yield lambda: None
        return
    start = Start(home, before, execution.provider, clock)
    try:
        yield start.goes_well
    except DaemonEnded:  # for which the accelerator may be to blame, as for what is no error of ours
        raise
    except EdgeclError:
        start.take_back()
        raise
    start.clear()


def _settled(home: Path) -> Starts | None:
    """The count so far, with the start that had begun, if any, as one that broke off."""
    found = _read(home)
    if found is None or not found.runs:
        return found
    with _harmless():
        _write(home, found.ended())
    return found.ended()


def _read(home: Path) -> Starts | None:
    with contextlib.suppress(OSError, ValidationError):  # it is counted anew
        return Starts.model_validate_json(contents(home / STARTS_FILE))
    return None


def _write(home: Path, starts: Starts) -> None:
    write_durably(home / STARTS_FILE, (starts.model_dump_json() + "\n").encode("utf-8"))


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """A start goes on also where it cannot be counted."""
    try:
        yield
    except StoreUnwritable as error:
        log.warning("a start on an accelerator could not be counted: %s", error)
