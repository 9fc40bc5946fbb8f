"""What was measured, in a file of the home, for as long as it is about this machine, runtime and backbone."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Annotated, Literal

import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgecl import __version__
from edgecl.accelerator import machine
from edgecl.accelerator.choice import Outcome
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneError
from edgecl.files import write_durably
from edgecl.manifest import BackboneManifest, Precision, read_manifest
from edgecl.releases.slots import CURRENT
from edgecl.runtime import Provider, available

ACCELERATOR_FILE = "accelerator.json"
BYTES_MAX = 2**16
ATTEMPTS_MAX = 3  # after which a fault that may pass counts like any other


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Part):
    """What a measurement is about; of anything else it says nothing.

    The tails are not in it: a release brings another one of the same shape, which is checked on its way in.
    """

    edgecl: str
    onnxruntime: str
    providers: tuple[Provider, ...]
    processor: str
    cores: int
    trunks: dict[Precision, str]
    precision: str
    provider: str
    threads: int


class Measurement(_Part):
    """The contents of the file.

    Attributes:
        subject: what it is about.
        measured_at: s, UTC since the epoch.
        seconds: that it took.
        outcomes: what came of each way to run the graphs.
        attempts: of which this was the last; there were some before where faults that may pass were found.
    """

    format: Literal[1] = 1
    subject: Subject
    measured_at: Annotated[float, Field(ge=0.0, le=1e11, allow_inf_nan=False)]
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    outcomes: tuple[Outcome, ...]
    attempts: Annotated[int, Field(ge=1)] = 1

    @property
    def is_settled(self) -> bool:
        """Whether measuring again would hardly find anything else."""
        return self.attempts >= ATTEMPTS_MAX or not any(outcome.may_pass for outcome in self.outcomes)


def subject_of(manifest: BackboneManifest, asked: BackboneSettings) -> Subject:
    """This machine with that backbone, and what the settings say."""
    return Subject(
        edgecl=__version__,
        onnxruntime=ort.__version__,
        providers=tuple(available()),
        processor=machine.processor(),
        cores=machine.cores(),
        trunks={precision: graphs.trunk.sha256 for precision, graphs in manifest.graphs.items()},
        precision=asked.precision,
        provider=asked.provider,
        threads=asked.threads,
    )


def remember(home: Path, measurement: Measurement) -> None:
    """Keep it.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    write_durably(home / ACCELERATOR_FILE, (measurement.model_dump_json(indent=1) + "\n").encode("utf-8"))


def recall(home: Path, asked: BackboneSettings) -> Measurement | None:
    """What was measured for these settings; None where nothing was, or it was about something else."""
    manifest = manifest_of(home)
    path = home / ACCELERATOR_FILE
    if manifest is None:
        return None
    try:
        found = Measurement.model_validate_json(contents(path))
    except (OSError, ValidationError):  # measured anew
        return None
    return found if found.subject == subject_of(manifest, asked) else None


def contents(path: Path) -> bytes:
    """What is in it, as far as that may be; nothing of what is no plain file.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        return file.read(BYTES_MAX + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else b""


def manifest_of(home: Path) -> BackboneManifest | None:
    """Of the release that runs; None where there is none that can be read."""
    with contextlib.suppress(BackboneError):
        return read_manifest(home / CURRENT)
    return None
