"""Small image classifiers as ONNX files, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIDE, FEATURES, CLASSES = 32, 64, 10


def classifier(opset: int = 20, batch: str | int = "N", channels_last: bool = False, gain: float = 1.0) -> ModelProto:
    """Three convolutions with batch normalisation, mean, one matrix product; random weights, always the same."""
    rng = np.random.default_rng(0)
    tensors, nodes = [], []

    def constant(name: str, values: Any) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    x = "pixels"
    if channels_last:
        nodes.append(helper.make_node("Transpose", [x], ["turned"], perm=[0, 3, 1, 2]))
        x = "turned"
    inputs = 3
    for k, outputs in enumerate((16, 32, FEATURES)):
        weight = gain * rng.normal(size=(outputs, inputs, 3, 3)) * np.sqrt(2 / 9 / inputs)
        nodes.append(helper.make_node("Conv", [x, constant(f"w{k}", weight)], [f"c{k}"], strides=[2, 2], pads=[1] * 4))
        shift, mean = rng.normal(size=(2, outputs))
        scale, variance = rng.uniform(0.5, 1.5, (2, outputs))
        values = zip(("scale", "shift", "mean", "variance"), (scale, shift, mean, variance), strict=True)
        names = [constant(f"{name}{k}", value) for name, value in values]
        nodes.append(helper.make_node("BatchNormalization", [f"c{k}", *names], [f"n{k}"]))
        nodes.append(helper.make_node("Relu", [f"n{k}"], [f"r{k}"]))
        x, inputs = f"r{k}", outputs
    product = constant("classes", rng.normal(size=(FEATURES, CLASSES)))
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", product, constant("offset", np.zeros(CLASSES))], ["scores"]),
    ]
    shape = [batch, SIDE, SIDE, 3] if channels_last else [batch, 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def saved(model: ModelProto, path: Path, **how: Any) -> str:
    """Save `model` and return what `export` calls it."""
    onnx.save(model, str(path), **how)
    return f"onnx:{path}"
