"""ONNX graphs as values: read, made canonical, joined and run. Needs `onnx`, not PyTorch."""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnxruntime import InferenceSession

from edgecl import __version__
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged
from edgecl.runtime import open_session

IR_VERSION = 10  # what ONNX Runtime 1.18, the oldest we run on, can read
BATCH_AXIS = "N"


def read_graph(data: bytes, path: Path) -> ModelProto:
    """Parse `data`, the contents of `path`, and check it.

    Raises:
        BackboneDamaged: no ONNX model, against the standard, or with weights in files outside.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise _no_model(path, f"{len(data):,} bytes that are no model") from error
    if not model.graph.node:
        raise _no_model(path, f"{len(data):,} bytes without a graph")
    if outside := [tensor.name for tensor in _tensors(model.graph) if tensor.data_location == TensorProto.EXTERNAL]:
        raise BackboneDamaged(
            f"found {len(outside)} weights outside the model's file {path}, such as {outside[0]!r}, expected all of "
            "them inside; save the model with save_as_external_data=False"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _no_model(path, f"a graph against the standard ({str(error).splitlines()[0][:200]})") from error
    return model


def _no_model(path: Path, found: str) -> BackboneDamaged:
    return BackboneDamaged(f"found {found} in {path}, expected an ONNX model; check the path or export it again")


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every tensor of the graph, in initialisers, constants and the graphs inside."""
    yield from graph.initializer
    for entry in graph.sparse_initializer:
        yield from (entry.values, entry.indices)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def write_graph(model: ModelProto) -> bytes:
    """The bytes of `model`; equal models give equal bytes."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The values of all initialisers by name."""
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def opset(model: ModelProto) -> int:
    """Version of the standard operators that `model` is written in."""
    return max(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def canonical(model: ModelProto, source: str, license: str) -> ModelProto:
    """`model` with names that depend on its structure alone, without traces of where it was made.

    Exporters number their names from counters that run on, so that the same network would get another digest each
    time; and they write file names and lines of local code into the graph.
    """
    graph = model.graph
    names = _canonical_names(graph)
    nodes = []
    for node in graph.node:
        plain = copy.deepcopy(node)
        plain.name = names[node.output[0]]
        plain.input[:] = [names.get(name, name) for name in node.input]
        plain.output[:] = [names.get(name, name) for name in node.output]
        plain.doc_string = ""
        del plain.metadata_props[:]
        nodes.append(plain)
    used = dict.fromkeys(name for node in graph.node for name in node.input)
    order = {name: place for place, name in enumerate(used)}
    tensors = sorted((t for t in graph.initializer if t.name in order), key=lambda tensor: order[tensor.name])
    result = helper.make_model(
        helper.make_graph(
            nodes,
            "edgecl",
            [_plain(value) for value in graph.input],
            [_plain(value) for value in graph.output],
            [onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t), names[t.name]) for t in tensors],
        ),
        producer_name="edgecl",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=_domains(model),
    )
    helper.set_model_props(result, {"license": license, "source": source})
    return result


def _canonical_names(graph: onnx.GraphProto) -> dict[str, str]:
    """Inputs and outputs keep their names, results are numbered by kind, nameless constants by use."""
    names = {value.name: value.name for value in [*graph.input, *graph.output]}
    initial = {tensor.name for tensor in graph.initializer}
    numbers: Counter[str] = Counter()
    for node in graph.node:
        for name in node.input:
            if name in initial and name not in names:
                nameless = name.startswith("val_")  # PyTorch's exporter
                names[name] = f"constant_{numbers['constant']}" if nameless else name
                numbers["constant"] += nameless
        kind = node.op_type.lower()
        for name in filter(None, node.output):
            names.setdefault(name, f"{kind}_{numbers[kind]}")
            numbers[kind] += 1
    return names


def _domains(model: ModelProto) -> list[Any]:
    used = {node.domain for node in model.graph.node} | {""}
    kept = sorted((entry for entry in model.opset_import if entry.domain in used), key=lambda entry: str(entry.domain))
    return [helper.make_opsetid(entry.domain, entry.version) for entry in kept]


def _plain(value: Any) -> Any:
    """`value` with its type and shape alone; a size without a number is the batch."""
    kind = value.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else BATCH_AXIS for dim in kind.shape.dim]
    return helper.make_tensor_value_info(value.name, kind.elem_type, shape)


def unsplit(trunk: bytes, tail: bytes) -> bytes:
    """One network from both parts: image → embedding, with the same nodes, for measuring the bare network."""
    first, second = (onnx.load_model_from_string(part) for part in (trunk, tail))
    prefixed = onnx.compose.add_prefix(second, "tail/", rename_inputs=False, rename_outputs=False)
    first = onnx.compose.add_prefix(first, "trunk/", rename_inputs=False, rename_outputs=False)
    joined = onnx.compose.merge_models(
        first, prefixed, io_map=[(first.graph.output[0].name, prefixed.graph.input[0].name)]
    )
    return write_graph(joined)


def ancestors(model: ModelProto, start: Iterable[str], end: str) -> list[NodeProto]:
    """The nodes between the tensors `start` and the tensor `end`, in order."""
    wanted, nodes, stop = {end}, [], set(start)
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted |= set(node.input) - stop
    return nodes[::-1]


def between(model: ModelProto, start: str, end: str) -> ModelProto:
    """The part of `model` from tensor `start` to tensor `end`, with axes left open."""
    nodes = ancestors(model, [start], end)
    used = {name for node in nodes for name in node.input}
    known = {value.name: value for value in model.graph.input}
    first = known.get(start) or helper.make_tensor_value_info(start, TensorProto.FLOAT, None)
    graph = helper.make_graph(
        nodes,
        "part",
        [first],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)


def folded(model: ModelProto) -> ModelProto:
    """`model` after the runtime's basic optimisations, which stay within ONNX's own operators.

    Raises:
        BackboneDamaged: the runtime cannot load it.
    """
    with tempfile.TemporaryDirectory(prefix="edgecl.") as folder:
        path = Path(folder, "folded.onnx")
        open_session(write_graph(model), BackboneSettings(), optimised=str(path))
        return onnx.load_model_from_string(path.read_bytes())


def session(model: ModelProto | bytes, threads: int = 0) -> InferenceSession:
    """ONNX Runtime over `model` on the CPU; threads: 0 for as many as there are cores.

    Raises:
        BackboneDamaged: the runtime cannot load it.
    """
    data = model if isinstance(model, bytes) else write_graph(model)
    return open_session(data, BackboneSettings(threads=threads))
