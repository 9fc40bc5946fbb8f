"""ONNX Runtime sessions for trunk and tail: picture → latent → embedding."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgecl.config import BackboneSettings
from edgecl.errors import (
    AcceleratorUnusable,
    BackboneDamaged,
    BackboneMismatch,
    BackboneMissing,
    FrameUnusable,
    NotFinite,
)
from edgecl.manifest import BackboneManifest, Files, InputSpec, read_manifest, read_verified
from edgecl.runtime import RUNTIME_ERRORS, Execution, failed_run, open_session
from edgecl.types import Embedding, Latent, Sight

log = logging.getLogger(__name__)

BATCH = 16  # pictures in one run: enough to keep the cores busy, little enough for 1 GB boards


def preprocess(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) BGR → uint8 (S, S, 3) RGB: the middle square, resized by area averaging.

    Raises:
        FrameUnusable: not a colour picture of bytes.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise FrameUnusable(
            f"found a picture of shape {image.shape} and type {image.dtype}, expected (height, width, 3) of uint8"
        )
    height, width = image.shape[:2]
    side = spec.side(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    small = cv2.resize(square, (spec.size, spec.size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]  # OpenCV's stubs say any number


@dataclass(frozen=True)
class _Loaded:
    """Sessions of both graphs, on the same provider; `stand_in` loads what takes their place where they fail."""

    trunk: ort.InferenceSession
    tail: ort.InferenceSession
    execution: Execution
    stand_in: Callable[[], _Loaded] | None


class Backbone:
    """Tail ∘ trunk, in one precision, verified against the digests of its manifest when loaded.

    Where the runtime fails in a run on an accelerator that was chosen by measurement, the CPU goes on from there. All
    that runs the graphs raises `AcceleratorUnusable` where another provider fails, and `BackboneDamaged` where it is
    the CPU.

    Attributes:
        manifest: what it is.
        precision: 'int8' or 'fp32'.
        trunk_digest: sha256 of the trunk; latents of other trunks must not be mixed in.
        tail_digest: sha256 of the tail; embeddings of other tails must not be mixed in.
    """

    def __init__(self, folder: Files, settings: BackboneSettings | None = None) -> None:
        """Load from `folder`, or from files that have not come to lie in one yet.

        Raises:
            BackboneMissing: no manifest, or not in this precision.
            BackboneDamaged: a file differs from its digest, or is no graph of the declared shape.
            AcceleratorUnusable: the provider that the settings name is not there, or cannot run it.
        """
        execution = Execution.of(settings or BackboneSettings())
        self.manifest: BackboneManifest = read_manifest(folder)
        self.precision = execution.precision
        graphs = self.manifest.graphs.get(self.precision)
        if graphs is None:
            raise BackboneMissing(
                f"found {', '.join(self.manifest.graphs)} in {name_of(folder)}, expected {self.precision}; "
                "choose another precision or export the backbone again"
            )
        self._code = graphs.latent
        self._loaded = _load(read_verified(folder, graphs.trunk), read_verified(folder, graphs.tail), execution)
        self._falling_back = threading.Lock()
        self.trunk_digest = graphs.trunk.sha256
        self.tail_digest = graphs.tail.sha256
        size, latent = self.manifest.input.size, (self.manifest.latent_shape, "float" if self._code is None else "int8")
        trunk, tail = self._loaded.trunk, self._loaded.tail
        _check(trunk.get_inputs()[0], (size, size, 3), "uint8", folder)
        _check(trunk.get_outputs()[0], *latent, folder)
        _check(tail.get_inputs()[0], *latent, folder)
        _check(tail.get_outputs()[0], (self.manifest.dimension,), "float", folder)

    @property
    def execution(self) -> Execution:
        """How it runs now, which is on the CPU where that had to stand in."""
        return self._loaded.execution

    @property
    def provider(self) -> str:
        """Of ONNX Runtime, that computes it now."""
        return str(self._loaded.trunk.get_providers()[0])

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        return self.manifest.dimension

    @property
    def latents_are_exact(self) -> bool:
        """Whether keeping a latent loses nothing: the int8 trunk gives the very codes that are kept."""
        return self._code is not None

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) BGR → uint8 (S, S, 3) RGB, the trunk's input."""
        return preprocess(image, self.manifest.input)

    def activations(self, prepared: NDArray[np.uint8]) -> NDArray[Any]:
        """Prepared pictures (N, S, S, 3) → the trunk's output (N, C, h, w), int8 or float32 as the precision says."""
        return self._run("trunk", prepared)

    def embed_activations(self, activations: NDArray[Any]) -> NDArray[np.float32]:
        """The trunk's output (N, C, h, w) → embeddings float32 (N, D).

        Raises:
            NotFinite: the network's numbers are not finite.
        """
        vectors: NDArray[np.float32] = self._run("tail", activations)
        if not np.isfinite(vectors).all():
            raise NotFinite("found numbers that are not finite in the network's output; the frame was not used")
        return vectors

    def see(self, image: NDArray[np.uint8]) -> Sight:
        """One picture, uint8 (H, W, 3) BGR.

        Raises:
            FrameUnusable: not a colour picture of bytes, or the network's numbers are not finite.
        """
        activation = self.activations(self.prepare(image)[None])
        return Sight(activation, Embedding(self.embed_activations(activation)[0], self.tail_digest))

    def embed_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Pictures uint8 (H, W, 3) BGR of any sizes → embeddings float32 (N, D)."""
        parts = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(images), BATCH):
            prepared = np.stack([self.prepare(image) for image in images[start : start + BATCH]])
            parts.append(self.embed_activations(self.activations(prepared)))
        return np.concatenate(parts)

    def latent(self, activation: NDArray[Any]) -> Latent:
        """An activation (1, C, h, w) in the form in which the memory keeps it."""
        if self._code is None:
            return Latent.quantise(activation[0])
        return Latent(activation[0], self._code.scale, self._code.zero_point)

    def embed(self, latents: Sequence[Latent]) -> NDArray[np.float32]:
        """Latents of this trunk → embeddings float32 (N, D). What the memory holds is embedded this way alone.

        Raises:
            BackboneMismatch: a latent has another shape or another code than this trunk's.
        """
        parts = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(latents), BATCH):
            chunk = latents[start : start + BATCH]
            for latent in chunk:
                self._check_latent(latent)
            stacked = np.stack([latent.real() if self._code is None else latent.codes for latent in chunk])
            parts.append(self.embed_activations(stacked))
        return np.concatenate(parts)

    def _run(self, part: Literal["trunk", "tail"], batch: NDArray[Any]) -> NDArray[Any]:
        """The output of a graph, (N, …) → (N, …)."""
        loaded = self._loaded
        session: ort.InferenceSession = getattr(loaded, part)
        try:
            result: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: batch})[0]
            return result
        except RUNTIME_ERRORS as error:
            failure = failed_run(loaded.execution.provider, error)
            if loaded.stand_in is None:
                raise failure from error
        with self._falling_back:
            if self._loaded is loaded:  # no other thread was here before
                log.warning("the CPU stands in from now on: %s", failure)
                self._loaded = loaded.stand_in()
        return self._run(part, batch)

    def _check_latent(self, latent: Latent) -> None:
        code = self._code
        if latent.codes.shape != self.manifest.latent_shape or (
            code is not None and (latent.scale, latent.zero_point) != (code.scale, code.zero_point)
        ):
            raise BackboneMismatch(
                f"found a latent of shape {latent.codes.shape} and scale {latent.scale:g}, expected "
                f"{self.manifest.latent_shape} in the code of this trunk; it was made by another backbone"
            )


def name_of(folder: Files) -> str:
    """What to call a folder in a message."""
    return str(folder) if isinstance(folder, Path) else "the files"


def _load(trunk: bytes, tail: bytes, execution: Execution) -> _Loaded:
    """Both graphs; on the CPU, where an accelerator that was measured is gone."""
    stand_in = partial(_load, trunk, tail, execution.on_cpu) if execution.has_stand_in else None
    try:
        return _Loaded(open_session(trunk, execution), open_session(tail, execution), execution, stand_in)
    except AcceleratorUnusable as error:
        if stand_in is None:
            raise
        log.warning("the CPU stands in: %s", error)
        return stand_in()


def _check(port: Any, shape: tuple[int, ...], kind: str, folder: Files) -> None:
    """Hold a graph's input or output against the manifest."""
    if tuple(port.shape[1:]) != shape or port.type != f"tensor({kind})":
        raise BackboneDamaged(
            f"found a graph in {name_of(folder)} with {port.name} of shape {port.shape[1:]} and type {port.type}, its "
            f"manifest declares {list(shape)} and tensor({kind}); export the backbone again"
        )
