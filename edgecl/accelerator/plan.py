"""What may be tried on this machine, where the settings leave it open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgecl.config import BackboneSettings
from edgecl.manifest import Precision
from edgecl.runtime import ON_CORES, Provider

LIMIT_S = 180.0  # a small board takes a third of a second for each of some hundred pictures
COMPILING_LIMIT_S = 1800.0  # TensorRT tries out every layer


class Job(BaseModel):
    """What one process is to try: one provider, with each number of threads in turns.

    Attributes:
        release: folder of the backbone.
        precision: of both graphs.
        provider: to run them on.
        threads: to try.
        engines: folder for what TensorRT compiles.
        limit_s: after which the process has to be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: Path
    precision: Precision
    provider: Provider
    threads: tuple[int, ...]
    engines: Path
    limit_s: float


def jobs(
    asked: BackboneSettings,
    precisions: Sequence[Precision],
    built: Sequence[Provider],
    cores: int,
    release: Path,
    engines: Path,
) -> list[Job]:
    """One for each provider and precision.

    Args:
        asked: the settings as they were written.
        precisions: in which the graphs may run.
        built: providers that the runtime was built with.
        cores: of this machine.
        release: folder of the backbone.
        engines: folder for what TensorRT compiles.
    """
    return [
        Job(
            release=release,
            precision=precision,
            provider=provider,
            threads=_threads(asked, provider, cores),
            engines=engines,
            limit_s=COMPILING_LIMIT_S if provider == "tensorrt" else LIMIT_S,
        )
        for precision in precisions
        for provider in _providers(asked, built)
    ]


def _providers(asked: BackboneSettings, built: Sequence[Provider]) -> list[Provider]:
    """TensorRT only for who names it: it compiles for minutes, and anew for every release."""
    if asked.provider != "auto":
        return [asked.provider]
    return [provider for provider in built if provider != "tensorrt"]


def _threads(asked: BackboneSettings, provider: Provider, cores: int) -> tuple[int, ...]:
    if asked.threads:
        return (asked.threads,)
    if provider not in ON_CORES:
        return (1,)
    few = range(1, min(cores, 4) + 1)
    return tuple(sorted({*few, *(1 << power for power in range(3, cores.bit_length())), cores}))
