"""ONNX Runtime as it is used here: sessions from bytes on what computes them, and its errors under one name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as _native

from edgecl.config import BackboneSettings
from edgecl.errors import AcceleratorUnusable, BackboneDamaged, BackboneError
from edgecl.files import private_folder
from edgecl.manifest import Precision

# The runtime's own errors have no common class but Exception; what its parts let through are Python's.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    MemoryError,
    *(kind for kind in vars(_native).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)

Provider = Literal["cpu", "xnnpack", "cuda", "tensorrt"]
PROVIDERS: dict[Provider, str] = {  # as the settings call them, and as the runtime does; the plainest first
    "cpu": "CPUExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
ON_CORES: tuple[Provider, ...] = ("cpu", "xnnpack")  # which threads make faster


class Execution(BackboneSettings):
    """How the graphs run on one device: nothing is left open.

    Attributes:
        precision: of both graphs.
        provider: that computes them.
        engines: folder for what TensorRT compiles, which takes minutes; without one it compiles at every start.
        may_fall_back: whether the CPU stands in where the provider cannot be had, or fails.
    """

    precision: Precision = "int8"
    provider: Provider = "cpu"
    engines: Path | None = None
    may_fall_back: bool = False

    @classmethod
    def of(cls, settings: BackboneSettings) -> Execution:
        """What the settings say; what they leave open runs in int8, on the CPU."""
        if isinstance(settings, cls):
            return settings
        provider: Provider = "cpu" if settings.provider == "auto" else settings.provider
        return cls(precision=settings.settled_precision, provider=provider, threads=settings.threads)

    @property
    def has_stand_in(self) -> bool:
        """Whether it is an accelerator that was chosen by measurement, so that the CPU may stand in for it."""
        return self.may_fall_back and self.provider != "cpu"

    @property
    def on_cpu(self) -> Execution:
        """What stands in."""
        return self.model_copy(update={"provider": "cpu", "threads": 0, "may_fall_back": False})


def available() -> list[Provider]:
    """Providers that this ONNX Runtime was built with, which does not mean that they work."""
    built = ort.get_available_providers()
    return [name for name, full in PROVIDERS.items() if full in built]


def open_session(model: bytes, settings: BackboneSettings, optimised: str | None = None) -> ort.InferenceSession:
    """A session over a graph of ours.

    Args:
        model: the graph, with all weights in it; every reference to a file is refused.
        settings: provider and threads.
        optimised: a path to write the graph to after the optimisations that stay within ONNX's own operators.

    Raises:
        AcceleratorUnusable: the provider is not there, or cannot run the graph; never of the CPU.
        BackboneDamaged: the runtime cannot load the graph.
    """
    provider = Execution.of(settings).provider
    if provider not in available():
        raise AcceleratorUnusable(
            f'found provider = "{provider}" in the settings, expected one of {", ".join(available())}, with which this '
            "ONNX Runtime was built; change it, or install the runtime for your accelerator"
        )
    options = _options(settings, provider)
    if optimised is not None:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = optimised
    providers: list[Any] = [(PROVIDERS[provider], _provider_options(settings, provider))]
    try:
        session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except RUNTIME_ERRORS as error:
        if provider != "cpu":
            raise AcceleratorUnusable(
                f"found that {provider} cannot run the graph, expected it to: {' '.join(str(error).split())}; "
                f"{_remedy(provider)}"
            ) from error
        raise BackboneDamaged(f"ONNX Runtime {ort.__version__} could not load the graph: {error}") from error
    # Where a library is missing, the runtime only writes a line, and goes on without the accelerator.
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise AcceleratorUnusable(
            f"found that ONNX Runtime runs the graph on {session.get_providers()[0]}, expected {PROVIDERS[provider]}: "
            f"a library that it needs is missing, or does not suit; {_remedy(provider)}"
        )
    return session


def _options(settings: BackboneSettings, provider: Provider) -> ort.SessionOptions:
    options = ort.SessionOptions()
    # XNNPACK has threads of its own, with which those of the runtime would compete.
    options.intra_op_num_threads = 1 if provider == "xnnpack" else settings.threads
    # Two sessions take turns on the same cores: a pool that spins while it waits would steal them from the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The runtime looks for weights of a graph from bytes in the folder that the process happens to run in.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 3
    return options


def _provider_options(settings: BackboneSettings, provider: Provider) -> dict[str, str]:
    if provider == "xnnpack":
        return {"intra_op_num_threads": str(settings.threads or os.cpu_count() or 1)}
    if provider != "tensorrt":
        return {}
    options = {
        "trt_fp16_enable": "False",  # half the digits are not the numbers that were exported
        "trt_int8_enable": str(settings.settled_precision == "int8"),  # those that the graph quantises itself
    }
    if isinstance(settings, Execution) and settings.engines is not None:
        engines = str(private_folder(settings.engines))
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": engines,
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": engines,
        }
    return options


def _remedy(provider: Provider) -> str:
    needs = {"cuda": "CUDA and cuDNN", "tensorrt": "CUDA, cuDNN and TensorRT"}.get(provider)
    install = "" if needs is None else f"install {needs} in the versions that this ONNX Runtime was built for, or "
    return f'{install}set provider = "cpu" or "auto"'


def failed_run(provider: Provider, error: Exception) -> BackboneError:
    """What to raise where a graph that was loaded fails amid a run with one of `RUNTIME_ERRORS`."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if provider == "cpu":
        return BackboneDamaged(
            f"ONNX Runtime {ort.__version__} could not run the graph on the CPU: {reason}; "
            "see that there is memory for it, or export the backbone again"
        )
    return AcceleratorUnusable(
        f"found that {provider} failed in a run, expected numbers: {reason}; see that nothing else takes its memory, "
        'or set provider = "cpu" or "auto"'
    )


def run(session: ort.InferenceSession, batch: NDArray[Any], at_a_time: int = 8) -> NDArray[Any]:
    """The first output for `batch`, (N, …) → (N, …), a few at a time."""
    name = session.get_inputs()[0].name
    starts = range(0, len(batch), at_a_time)
    return np.concatenate([session.run(None, {name: batch[start : start + at_a_time]})[0] for start in starts])
