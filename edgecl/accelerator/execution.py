"""How the graphs run in a home: what its settings say, and for the rest what was measured or can do no harm."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from edgecl.accelerator import machine
from edgecl.accelerator.choice import Outcome, choose
from edgecl.accelerator.measuring import PROBE, measured
from edgecl.accelerator.plan import Job, jobs
from edgecl.accelerator.remembered import Measurement, manifest_of, recall, remember, subject_of
from edgecl.accelerator.starts import let_go_of
from edgecl.config import BackboneSettings
from edgecl.errors import StoreError
from edgecl.manifest import BackboneManifest, Precision, read_manifest
from edgecl.memory.backup import DATABASE
from edgecl.memory.store import Store
from edgecl.releases.slots import current
from edgecl.runtime import ON_CORES, Execution, available

ENGINES = "engines"
_FIRST: Precision = "int8"


def execution_of(home: Path, asked: BackboneSettings) -> Execution:
    """Close what the settings leave open, without trying anything; never fails.

    Args:
        home: the folder.
        asked: the settings as they were written.
    """
    manifest = manifest_of(home)
    precisions = _precisions(home, asked, manifest)
    found = recall(home, asked)
    outcomes = [] if found is None else [one for one in found.outcomes if _is_open_to(one, asked, precisions)]
    if asked.provider == "auto" and let_go_of(home) is not None:
        outcomes = [one for one in outcomes if one.provider == "cpu"]
    chosen = choose(outcomes)
    precision = chosen.precision if chosen is not None else precisions[0]
    if chosen is not None:
        provider, threads = chosen.provider, chosen.threads
    else:
        provider, threads = "cpu" if asked.provider == "auto" else asked.provider, asked.threads
    if provider not in ON_CORES and not threads:
        threads = 1  # others would only wait
    return Execution(
        precision=precision,
        provider=provider,
        threads=threads,
        engines=home / ENGINES,
        may_fall_back=asked.provider == "auto",
    )


def _is_open_to(outcome: Outcome, asked: BackboneSettings, precisions: Sequence[Precision]) -> bool:
    """Whether the settings leave that way open, on this machine."""
    return (
        outcome.precision in precisions
        and asked.provider in ("auto", outcome.provider)
        and (outcome.threads == asked.threads if asked.threads else outcome.threads <= machine.cores())
    )


def measure(
    home: Path,
    asked: BackboneSettings,
    step: Callable[[str], None] = lambda now: None,
    stopped: Event | None = None,
    probe: Sequence[str] = PROBE,
    attempt: int = 1,
) -> Measurement | None:
    """Try what can be tried on this machine and keep what came of it; None where it was left off.

    A later attempt tries again what fell out for a reason that may pass; all else stays as it was found.

    Args:
        home: the folder.
        asked: the settings as they were written.
        step: told what is tried now.
        stopped: set from another thread to leave off.
        probe: see `measured`.
        attempt: which one this is, see `Measurement`.

    Raises:
        BackboneError: there is no backbone, or it is damaged.
        StoreUnwritable: the disk refuses.
    """
    begun, release = time.monotonic(), current(home).resolve()
    manifest = read_manifest(release)
    todo = _jobs(home, asked, manifest, release)
    before = recall(home, asked) if attempt > 1 else None
    if before is not None:
        todo = [job for job in todo if any(one.may_pass and _is_of(one, job) for one in before.outcomes)]
    outcomes = measured(todo, step, stopped, probe)
    if before is not None:
        outcomes += [one for one in before.outcomes if not any(_is_of(one, job) for job in todo)]
    if stopped is not None and stopped.is_set():
        return None
    found = Measurement(
        subject=subject_of(manifest, asked),
        measured_at=time.time(),
        seconds=time.monotonic() - begun,
        outcomes=tuple(outcomes),
        attempts=attempt,
    )
    remember(home, found)
    return found


def _is_of(outcome: Outcome, job: Job) -> bool:
    return (outcome.precision, outcome.provider) == (job.precision, job.provider)


def is_open(home: Path, asked: BackboneSettings) -> bool:
    """Whether the settings, on this machine, leave more than one way to run the graphs."""
    return sum(len(job.threads) for job in _jobs(home, asked, manifest_of(home), home)) > 1


def _jobs(home: Path, asked: BackboneSettings, manifest: BackboneManifest | None, release: Path) -> list[Job]:
    engines = (home / ENGINES).resolve()
    return jobs(asked, _precisions(home, asked, manifest), available(), machine.cores(), release, engines)


def _precisions(home: Path, asked: BackboneSettings, manifest: BackboneManifest | None) -> list[Precision]:
    """In which the graphs may run, the first one unless another is measured to be faster.

    What was taught stays with its trunk: with `auto`, the memory's own decides as soon as there is one.
    """
    if asked.precision != "auto":
        return [asked.precision]
    if manifest is None:
        return [_FIRST]
    trunk = _trunk_of_memory(home)
    made_by = [precision for precision, graphs in manifest.graphs.items() if graphs.trunk.sha256 == trunk]
    return made_by or sorted(manifest.graphs, key=lambda precision: precision != _FIRST)


def _trunk_of_memory(home: Path) -> str | None:
    if (home / DATABASE).exists():
        with contextlib.suppress(StoreError), Store(home, writable=False) as store:  # which others tell of
            return store.trunk()
    return None
