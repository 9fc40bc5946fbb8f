"""Homes of a tiny backbone whose settings leave open what it runs on, and what may have been measured in them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny

from edgecl import backbone, runtime
from edgecl.accelerator.choice import Outcome
from edgecl.accelerator.plan import jobs
from edgecl.accelerator.remembered import Measurement, remember, subject_of
from edgecl.config import BackboneSettings
from edgecl.manifest import Precision, read_manifest
from edgecl.runtime import Execution, Provider, available

ASKED = BackboneSettings()
CPU = "CPUExecutionProvider"
MISSING = next(name for name in runtime.PROVIDERS if name not in available())


def open_home(folder: Path) -> Path:
    """With settings that leave everything open."""
    made = tiny.home_of(folder / "home", tiny.backbone_folder(folder / "backbone"))
    (made / "edgecl.toml").unlink()
    return made


def ms(provider: Provider, quickest: float, threads: int = 1, precision: Precision = "int8") -> Outcome:
    """One that answered rightly, in so many ms."""
    return Outcome(
        precision=precision, provider=provider, threads=threads, median_ms=quickest + 1, quickest_ms=quickest
    )


def fell_out(provider: Provider, fault: str = "broken", threads: int = 1, may_pass: bool = False) -> Outcome:
    """One that is of no use."""
    return Outcome(precision="int8", provider=provider, threads=threads, fault=fault, may_pass=may_pass)


def settle(
    home: Path, outcomes: Sequence[Outcome], asked: BackboneSettings = ASKED, attempts: int = 1, **changed: Any
) -> None:
    """Let these be what was measured in the home."""
    subject = subject_of(read_manifest(home / "current"), asked).model_copy(update=changed)
    measured_at, seconds = time.time(), 1.0
    found = Measurement(
        subject=subject, measured_at=measured_at, seconds=seconds, outcomes=tuple(outcomes), attempts=attempts
    )
    remember(home, found)


def ask(home: Path, **settings: Any) -> BackboneSettings:
    """Write them into the home's edgecl.toml."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (home / "edgecl.toml").write_text("\n".join(["[backbone]", *lines, ""]))
    return BackboneSettings.model_validate(settings)


def tried(
    cores: int = 4, built: Sequence[Provider] = ("cpu", "xnnpack", "cuda", "tensorrt"), **settings: Any
) -> dict[Provider, tuple[int, ...]]:
    """The numbers of threads that are tried of each provider."""
    folder = Path("somewhere")
    found = jobs(BackboneSettings.model_validate(settings), ["int8"], built, cores, folder, folder)
    return {one.provider: one.threads for one in found}


@contextmanager
def pretended() -> Iterator[None]:
    """The runtime lists what it cannot have, as a wheel for another machine does."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runtime, "available", lambda: ["cpu", MISSING])
        yield


class Accelerator:
    """One that computes rightly, as it is the CPU in truth, and fails after so many runs.

    Attributes:
        left: runs until then.
    """

    def __init__(self, runs: int) -> None:
        self.left = runs

    def open_session(self, model: bytes, settings: BackboneSettings) -> Any:
        """As the runtime does."""
        asked = Execution.of(settings)
        session = runtime.open_session(model, asked.on_cpu)
        return session if asked.provider == "cpu" else _Session(self, session)


class _Session:
    def __init__(self, accelerator: Accelerator, session: Any) -> None:
        self._accelerator, self._session = accelerator, session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def get_providers(self) -> list[str]:
        return [runtime.PROVIDERS[MISSING]]

    def run(self, names: Any, feeds: Any) -> Any:
        self._accelerator.left -= 1
        if self._accelerator.left < 0:
            raise RuntimeError("CUDA failure 2: out of memory")
        return self._session.run(names, feeds)


@contextmanager
def accelerated(runs: int = 10**6) -> Iterator[Accelerator]:
    """There is one."""
    found = Accelerator(runs)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backbone, "open_session", found.open_session)
        yield found
