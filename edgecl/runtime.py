"""ONNX Runtime as it is used here: sessions from bytes, and its errors under one name."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as _native

from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged, ConfigRefused

# The runtime's own errors have no common class but Exception; what its parts let through are Python's.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    MemoryError,
    *(kind for kind in vars(_native).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


def open_session(model: bytes, settings: BackboneSettings, optimised: str | None = None) -> ort.InferenceSession:
    """A session over a graph of ours.

    Args:
        model: the graph, with all weights in it; every reference to a file is refused.
        settings: provider and threads.
        optimised: a path to write the graph to after the optimisations that stay within ONNX's own operators.

    Raises:
        ConfigRefused: the provider is not available.
        BackboneDamaged: the runtime cannot load the graph.
    """
    if settings.provider not in ort.get_available_providers():
        raise ConfigRefused(
            f"found provider {settings.provider!r} in the settings, expected one of "
            f"{', '.join(ort.get_available_providers())}; change it or install the runtime for your accelerator"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    # Two sessions take turns on the same cores: a pool that spins while it waits would steal them from the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The runtime looks for weights of a graph from bytes in the folder that the process happens to run in.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 3
    if optimised is not None:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = optimised
    try:
        return ort.InferenceSession(model, options, providers=[settings.provider])
    except RUNTIME_ERRORS as error:
        raise BackboneDamaged(f"ONNX Runtime {ort.__version__} could not load the graph: {error}") from error


def run(session: ort.InferenceSession, batch: NDArray[Any], at_a_time: int = 8) -> NDArray[Any]:
    """The first output for `batch`, (N, …) → (N, …), a few at a time."""
    name = session.get_inputs()[0].name
    starts = range(0, len(batch), at_a_time)
    return np.concatenate([session.run(None, {name: batch[start : start + at_a_time]})[0] for start in starts])
