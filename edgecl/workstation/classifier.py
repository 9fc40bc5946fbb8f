"""Any image classifier in an ONNX file as a frozen backbone, of which only a head learns. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecl.errors import BackboneDamaged, BackboneMissing, ExportRefused
from edgecl.files import sha256
from edgecl.manifest import InputSpec
from edgecl.runtime import RUNTIME_ERRORS, run
from edgecl.workstation.graphs import (
    BATCH_AXIS,
    ancestors,
    between,
    canonical,
    constants,
    folded,
    opset,
    read_graph,
    session,
)
from edgecl.workstation.origin import OPSET, Origin

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # grey levels, R G B; in most model collections /255: 0.485, 0.456, 0.406
IMAGENET_STD = (58.395, 57.12, 57.375)  # 0.229, 0.224, 0.225
SIZE = 224  # px, where the graph leaves it open
OPSET_MIN = 18
_ONNX = ("", "ai.onnx")
Colour = tuple[float, float, float]
RUN_ERRORS: tuple[type[Exception], ...] = (BackboneDamaged, *RUNTIME_ERRORS)  # of loading a graph and running it


@dataclass(frozen=True)
class _Image:
    """A classifier's picture input: its name, side in pixels, and whether channels come first."""

    name: str
    size: int
    channels_first: bool


@dataclass(frozen=True)
class Reading:
    """How a classifier from elsewhere is to be read.

    Attributes:
        features: the tensor (N, D) or (N, D, h, w) to end at; without it what the last matrix product reads.
        mean: of red, green and blue, in grey levels 0 … 255.
        std: standard deviation of the same, in grey levels.
    """

    features: str | None = None
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD


def classifier_origin(path: Path, reading: Reading | None = None) -> Origin:
    """The classifier in `path`, cut at its features.

    Args:
        path: float32 pictures (N, 3, S, S) or (N, S, S, 3) in, scores out.
        reading: without it the usual one.

    Raises:
        BackboneMissing: no such file.
        BackboneDamaged: no ONNX model, or one that keeps weights elsewhere.
        ExportRefused: it cannot be used as a backbone; the message says why.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackboneMissing(f"could not read {path}: {error}; expected an ONNX file; check the path") from error
    try:
        return _read(read_graph(data, path), path.stem, f"{path.name} sha256 {sha256(data)}", reading or Reading())
    except ExportRefused as error:
        raise ExportRefused(f"{path} cannot be a backbone: {error}") from error


def _read(model: ModelProto, name: str, source: str, reading: Reading) -> Origin:
    model = _upgraded(model)
    image = _image_input(model)
    tensor = reading.features or _last_product(model).input[0]
    if tensor not in {name for node in model.graph.node for name in node.output}:
        raise ExportRefused(f"found no tensor {tensor!r}, expected one that a node writes; check --features")
    spec = InputSpec(size=image.size, mean=reading.mean, std=reading.std)
    trunk = _trunk(model, image, tensor, spec)
    dimension = _check_runs(trunk, image.size)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    license = stored.get("license", "unknown: the model's file does not say")[:200]
    return Origin(
        name=name,
        input=spec,
        trunk=canonical(trunk, source, license),
        tail=canonical(_tail(dimension), source, license),
        cut="features",
        latent_shape=(dimension, 1, 1),
        dimension=dimension,
        transform="signed-power-l2",
        license=license,
        source=source,
        original=_Asked(model, image, tensor, spec),
        classes=_classes(model, tensor, image),
    )


@dataclass(frozen=True)
class _Asked:
    """The classifier as it came: prepared pictures (N, S, S, 3) → features (N, D), preprocessed here in NumPy."""

    model: ModelProto
    image: _Image
    features: str
    spec: InputSpec

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        watched = between(self.model, self.image.name, self.features)
        watching, found = session(watched), []
        for picture in images:
            real = (picture.astype(np.float32) - np.array(self.spec.mean, np.float32)) / np.array(
                self.spec.std, np.float32
            )
            found.append(run(watching, (real.transpose(2, 0, 1) if self.image.channels_first else real)[None]))
        values = np.concatenate(found)
        result: NDArray[np.float32] = values if values.ndim == 2 else values.mean(axis=(2, 3))
        return result


def _upgraded(model: ModelProto) -> ModelProto:
    foreign = {node.domain for node in model.graph.node} - set(_ONNX)
    if foreign:
        raise ExportRefused(
            f"found operators of {', '.join(sorted(foreign))}, expected ONNX's own alone; "
            "export the model without optimisations for one runtime"
        )
    if opset(model) >= OPSET_MIN:
        return model
    try:
        upgraded = onnx.version_converter.convert_version(model, OPSET)
        onnx.checker.check_model(upgraded)
    except (onnx.version_converter.ConvertError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ExportRefused(
            f"found opset {opset(model)}, expected at least {OPSET_MIN}, and it could not be upgraded: "
            f"{str(error)[:300]}; export the model anew with opset {OPSET}"
        ) from error
    return upgraded


def _image_input(model: ModelProto) -> _Image:
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initial]
    shown = ", ".join(value.name for value in inputs) or "none"
    if len(inputs) != 1:
        raise ExportRefused(f"found inputs {shown}, expected one picture; export the model for pictures alone")
    kind = inputs[0].type.tensor_type
    sizes = [dim.dim_value for dim in kind.shape.dim]  # 0 where it is open
    if kind.elem_type != TensorProto.FLOAT or len(sizes) != 4:
        raise ExportRefused(
            f"found input {shown} of type {TensorProto.DataType.Name(kind.elem_type)} and {len(sizes)} axes, "
            "expected float32 of 4 axes, (N, 3, S, S) or (N, S, S, 3); export the model for such pictures"
        )
    channels_first = sizes[1] == 3 or sizes[3] != 3
    height, width = sizes[2:] if channels_first else sizes[1:3]
    if sizes[1 if channels_first else 3] not in (0, 3) or (height and width and height != width):
        raise ExportRefused(
            f"found input {shown} of sizes {sizes}, expected 3 colours and a square picture; export it for such"
        )
    if sizes[0] > 1:
        raise ExportRefused(
            f"found input {shown} for {sizes[0]} pictures at once, expected any number; export it with a dynamic batch"
        )
    return _Image(inputs[0].name, height or width or SIZE, channels_first)


def _last_product(model: ModelProto) -> NodeProto:
    products: list[NodeProto] = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")]
    if not products:
        raise ExportRefused(
            "found no Gemm or MatMul, expected a classifier's last layer; name the features' tensor with --features"
        )
    return products[-1]


def _trunk(model: ModelProto, image: _Image, features: str, spec: InputSpec) -> ModelProto:
    """Bytes (N, S, S, 3) → features (N, D, 1, 1), with constants folded and normalisation merged into convolutions."""
    size, part = image.size, between(model, image.name, features)
    taken = {name for node in part.graph.node for name in [*node.input, *node.output]}
    own = {name: f"edgecl_{name}" for name in ("bytes", "real", "centred", "pooled", "mean", "std", "axes")}
    if taken & {*own.values(), "image", "latent"} - {image.name}:
        part = onnx.compose.add_prefix(part, "classifier/")
    entry, end = part.graph.input[0].name, part.graph.output[0].name
    before = [helper.make_node("Cast", ["image"], [own["real"]], to=TensorProto.FLOAT)]
    scaled = own["bytes"] if image.channels_first else entry
    before += [
        helper.make_node("Sub", [own["real"], own["mean"]], [own["centred"]]),
        helper.make_node("Div", [own["centred"], own["std"]], [scaled]),
    ]
    if image.channels_first:
        before.append(helper.make_node("Transpose", [scaled], [entry], perm=[0, 3, 1, 2]))
    rank = _rank(part, image)
    after = [helper.make_node("ReduceMean", [end, own["axes"]], ["latent"], keepdims=1)]
    if rank == 2:
        after = [helper.make_node("Unsqueeze", [end, own["axes"]], ["latent"])]
    graph = helper.make_graph(
        [*before, *part.graph.node, *after],
        "trunk",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [BATCH_AXIS, size, size, 3])],
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [BATCH_AXIS, None, 1, 1])],
        [
            *part.graph.initializer,
            numpy_helper.from_array(np.array(spec.mean, np.float32), own["mean"]),
            numpy_helper.from_array(np.array(spec.std, np.float32), own["std"]),
            numpy_helper.from_array(np.array([2, 3], np.int64), own["axes"]),
        ],
    )
    return folded(helper.make_model(graph, opset_imports=model.opset_import, ir_version=10))


def _rank(part: ModelProto, image: _Image) -> int:
    """How many axes the features have, asked by running one grey picture."""
    shape = (1, 3, image.size, image.size) if image.channels_first else (1, image.size, image.size, 3)
    try:
        found: Any = run(session(part), np.zeros(shape, np.float32))
    except RUN_ERRORS as error:
        raise ExportRefused(
            f"found that it does not run on a picture of {image.size} px ({str(error)[:200]}), expected features; "
            "check the model with ONNX Runtime, or name another tensor with --features"
        ) from error
    if found.ndim not in (2, 4) or found.dtype != np.float32:
        raise ExportRefused(
            f"found features of shape {found.shape} and type {found.dtype}, expected float32 (N, D) or (N, D, h, w); "
            "name another tensor with --features"
        )
    return int(found.ndim)


def _check_runs(trunk: ModelProto, size: int) -> int:
    """D, after two different pictures at once gave two different finite features.

    Sets the output's open axis.
    """
    pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    try:
        found = run(session(trunk), pictures)
    except RUN_ERRORS as error:
        raise ExportRefused(
            f"found that it does not run on two pictures at once ({str(error)[:200]}), expected any number; export it "
            "with a dynamic batch"
        ) from error
    if found.shape[0] != 2 or not np.isfinite(found).all():
        raise ExportRefused(
            f"found features of shape {found.shape} for two pictures, finite: {bool(np.isfinite(found).all())}; "
            "expected finite numbers for each; check the weights, and export it with a dynamic batch"
        )
    if (found[0] == found[1]).all():
        raise ExportRefused(
            "found the same features for two different pictures, expected them to differ; check the weights, or name "
            "another tensor with --features"
        )
    trunk.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("latent", TensorProto.FLOAT, [BATCH_AXIS, found.shape[1], 1, 1])
    )
    return int(found.shape[1])


def _tail(dimension: int) -> ModelProto:
    """Latent (N, D, 1, 1) → sign(a)·√|a|, of length 1."""
    nodes = [
        helper.make_node("Flatten", ["latent"], ["features"]),
        helper.make_node("Sign", ["features"], ["sign"]),
        helper.make_node("Abs", ["features"], ["size"]),
        helper.make_node("Sqrt", ["size"], ["root"]),
        helper.make_node("Mul", ["sign", "root"], ["signed"]),
        helper.make_node("ReduceL2", ["signed", "axes"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "least"], ["divisor"]),
        helper.make_node("Div", ["signed", "divisor"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tail",
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [BATCH_AXIS, dimension, 1, 1])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [BATCH_AXIS, dimension])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            numpy_helper.from_array(np.array(1e-12, np.float32), "least"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def _classes(model: ModelProto, features: str, image: _Image) -> Any:
    """Features (N, D) → the classifier's scores, or None where they do not follow from the features alone."""
    nodes = ancestors(model, [features, *constants(model.graph)], model.graph.output[0].name)
    if any(image.name in node.input for node in nodes):
        return None
    after = session(between(model, features, model.graph.output[0].name))
    found = [value for value in after.get_inputs()]
    if len(found) != 1 or len(found[0].shape or [None, None]) != 2:
        return None
    return lambda rows: run(after, rows, at_a_time=1)
