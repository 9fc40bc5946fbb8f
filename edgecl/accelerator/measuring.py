"""Starts a probe for every provider, one after the other, and takes in what is left of it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from pydantic import ValidationError

from edgecl.accelerator.choice import Outcome
from edgecl.accelerator.plan import Job

PROBE = (sys.executable, "-m", "edgecl.accelerator.probe")
POLL_S = 0.05
GONE_S = 10.0  # until a process is gone that was killed, unless a driver holds it
OUTPUT_BYTES_MAX = 2**16  # that are read, from the end
WRITTEN_BYTES_MAX = 2**24
FAULT_MAX = 300  # characters

# Of what the runtime writes about a library that it could not load, that which says why.
_LIBRARY = re.compile(r"(?:.*with error: |.*FAIL : )(.+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PASSING = (signal.SIGKILL, signal.SIGALRM)
_NAMES = {int(number): number.name for number in signal.Signals}  # not all have one
_ENDED: dict[int, str] = {
    signal.SIGILL: "SIGILL: an instruction that this processor does not have",
    signal.SIGKILL: "SIGKILL, perhaps for want of memory",
    signal.SIGALRM: "SIGALRM: it took too long",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _End:
    """How a probe ended: why that was bad, empty where it was not, and whether the reason may pass."""

    fault: str = ""
    may_pass: bool = False


def measured(
    jobs: Iterable[Job],
    step: Callable[[str], None] = lambda now: None,
    stopped: threading.Event | None = None,
    probe: Sequence[str] = PROBE,
) -> list[Outcome]:
    """What comes of each job; nothing that a probe does is an error here.

    Args:
        jobs: to be done, one after the other.
        step: told what is tried now.
        stopped: set from another thread to leave off; what was not tried by then has no outcome.
        probe: the command; it gets the job as its last argument.
    """
    stopped = stopped or threading.Event()
    outcomes: list[Outcome] = []
    for job in jobs:
        step(f"measuring {job.provider} in {job.precision}")
        outcomes += _tried(job, stopped, probe)
        if stopped.is_set():
            break
    return outcomes


def _tried(job: Job, stopped: threading.Event, probe: Sequence[str]) -> list[Outcome]:
    with contextlib.ExitStack() as opened:
        try:
            output, errors = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            process = subprocess.Popen(  # noqa: S603  # ourselves
                [*probe, job.model_dump_json()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                cwd="/",  # Python would look for its modules in the folder that someone happens to be in
            )
        except OSError as error:  # no memory for a further process, no room for what it says
            return _without(job, (), _End(f"it could not be started: {error}", may_pass=True))
        end = _wait(process, (output, errors), time.monotonic() + job.limit_s, stopped)
        told = [outcome for line in _read(output).splitlines() if (outcome := _outcome(line, job)) is not None]
        said = _COLOUR.sub("", _read(errors))
    reasons = [found[1].strip() for line in said.splitlines() if (found := _LIBRARY.match(line))]
    told = [_explained(outcome, reasons) for outcome in told]
    if end is None:
        return told
    if not end.fault:
        end = _End(f"it told nothing; {said.strip()[-200:]}", may_pass=True)
    return told + _without(job, [outcome.threads for outcome in told], end)


def _wait(
    process: subprocess.Popen[bytes], written: Sequence[IO[bytes]], deadline: float, stopped: threading.Event
) -> _End | None:
    """Until it has ended, with all that it began; returns how, None where we left off."""
    end: _End | None = None
    while process.poll() is None and not stopped.is_set() and end is None:
        stopped.wait(POLL_S)
        if time.monotonic() > deadline:
            end = _End("no answer in time: it hangs", may_pass=True)
        elif sum(os.fstat(file.fileno()).st_size for file in written) > WRITTEN_BYTES_MAX:
            end = _End("it writes without end")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        status = process.wait(GONE_S)
    except subprocess.TimeoutExpired:
        log.warning("a probe cannot be ended, process %d: a driver holds it until the machine starts anew", process.pid)
        end = _End("it hangs and cannot be ended: a driver holds it")
    if end is not None:
        return end
    return None if stopped.is_set() else _end_of(status)


def _end_of(status: int) -> _End:
    if status < 0:
        name = _ENDED.get(-status) or _NAMES.get(-status) or f"signal {-status}"
        return _End(f"the process was ended by {name}", -status in _PASSING)
    return _End(f"the process ended with status {status}" if status else "")


def _read(file: IO[bytes]) -> str:
    """The end of what was written."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OUTPUT_BYTES_MAX))
    return file.read().decode("utf-8", "replace")


def _outcome(line: str, job: Job) -> Outcome | None:
    """A line that is one; native libraries write to the same place what they like."""
    try:
        found = Outcome.model_validate_json(line)
    except ValidationError:
        return None
    mine = (found.precision, found.provider) == (job.precision, job.provider) and found.threads in job.threads
    return found.model_copy(update={"fault": found.fault and found.fault[:FAULT_MAX]}) if mine else None


def _explained(outcome: Outcome, reasons: Sequence[str]) -> Outcome:
    """With the library that was missing, which the runtime only writes to standard error."""
    if outcome.fault is None or not reasons:
        return outcome
    return outcome.model_copy(update={"fault": reasons[-1][:FAULT_MAX]})


def _without(job: Job, told: Sequence[int], end: _End) -> list[Outcome]:
    """An outcome for each number of threads that nothing was told of."""
    fault = end.fault[:FAULT_MAX]
    return [
        Outcome(precision=job.precision, provider=job.provider, threads=threads, fault=fault, may_pass=end.may_pass)
        for threads in job.threads
        if threads not in told
    ]
