"""Starts a probe for every provider, one after the other, and takes in what is left of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from pydantic import ValidationError

from edgecl.accelerator.choice import Outcome
from edgecl.accelerator.plan import Job

PROBE = (sys.executable, "-m", "edgecl.accelerator.probe")
POLL_S = 0.05
OUTPUT_BYTES_MAX = 2**16
FAULT_MAX = 300  # characters

# Of what the runtime writes about a library that it could not load, that which says why.
_LIBRARY = re.compile(r"(?:.*with error: |.*FAIL : )(.+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ENDED = {
    signal.SIGILL: "SIGILL: an instruction that this processor does not have",
    signal.SIGKILL: "SIGKILL, perhaps for want of memory",
    signal.SIGALRM: "SIGALRM: it took too long",
}


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
            return _without(job, (), f"it could not be started: {error}")
        end = _wait(process, time.monotonic() + job.limit_s, stopped)
        told = [outcome for line in _read(output).splitlines() if (outcome := _outcome(line, job)) is not None]
        said = _COLOUR.sub("", _read(errors))
    reasons = [found[1].strip() for line in said.splitlines() if (found := _LIBRARY.match(line))]
    told = [_explained(outcome, reasons) for outcome in told]
    if end is None:
        return told
    return told + _without(job, [outcome.threads for outcome in told], end or f"it told nothing; {said.strip()[-200:]}")


def _wait(process: subprocess.Popen[bytes], deadline: float, stopped: threading.Event) -> str | None:
    """Until it has ended, with all that it began; returns how, empty for well, None where we left off."""
    late = False
    while process.poll() is None and not stopped.is_set() and not late:
        stopped.wait(POLL_S)
        late = time.monotonic() > deadline
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    if late:
        return "no answer in time: it hangs"
    if stopped.is_set():
        return None
    if status < 0:
        number = signal.Signals(-status)
        return f"the process was ended by {_ENDED.get(number, number.name)}"
    return f"the process ended with status {status}" if status else ""


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


def _without(job: Job, told: Sequence[int], fault: str) -> list[Outcome]:
    """An outcome for each number of threads that nothing was told of."""
    return [
        Outcome(precision=job.precision, provider=job.provider, threads=threads, fault=fault[:FAULT_MAX])
        for threads in job.threads
        if threads not in told
    ]
