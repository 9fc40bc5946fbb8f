"""A learned head with its backbone as one ONNX file for other programs: picture → probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecl import __version__
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged, BackboneMismatch, ExportRefused, InputRefused, NotLearned
from edgecl.files import write_durably
from edgecl.manifest import BackboneManifest, Precision, read_manifest, read_verified
from edgecl.types import LinearHead
from edgecl.workstation.graphs import IR_VERSION, read_graph, session, write_graph
from edgecl.workstation.resize_graph import Drawing, draw_preprocessing

FORMAT = "edgecl-head-1"
PREPARED = "prepared"  # inside the graph: what the trunk reads, uint8 (1, S, S, 3)
PIXELS_MAX = 1  # grey levels: the graph and OpenCV may round an exact half to different sides
PROBABILITY_MAX: Mapping[Precision, float] = {"fp32": 0.05, "int8": 0.1}  # what one grey level may do
LABELS_MIN = 0.95  # share of pictures named alike; two classes may be equally probable
COSINE_MIN = 0.99  # of embeddings: a picture resized by another library differs by a grey level here and there


@dataclass(frozen=True)
class HeadReport:
    """How a head's file compares with the live path.

    Attributes:
        pictures: how many were compared.
        pixel_max_abs: grey levels, largest difference after preprocessing.
        probability_max_abs: largest difference of any class's probability.
        label_agreement: share of pictures with the same most probable class.
        embedding_cosine_min: smallest cosine between the two embeddings.
    """

    pictures: int
    pixel_max_abs: int
    probability_max_abs: float
    label_agreement: float
    embedding_cosine_min: float


def export_head(
    folder: Path, precision: Precision, head: LinearHead, names: Mapping[int, str], out: Path
) -> dict[str, str]:
    """Write one ONNX file: `image` uint8 (H, W, 3) RGB → `probabilities` float32 (K,) and `embedding` float32 (D,).

    The picture may have any size. Cropping, resizing, normalisation, head and temperature are inside, labels
    and origin in the metadata.

    Args:
        folder: of the backbone that the head was learned on.
        precision: the one it was learned in.
        head: what was learned.
        names: of the head's classes by id.
        out: the file; one that is there is replaced.

    Returns:
        The metadata.

    Raises:
        NotLearned: the head has no class.
        InputRefused: a class has no name.
        BackboneMismatch: the head was learned on another tail.
        BackboneMissing: no backbone of this precision in `folder`.
        BackboneDamaged: one of its files is damaged.
        StoreUnwritable: the disk refused.
    """
    manifest = read_manifest(folder)
    _check_head(head, names, folder, precision, manifest)
    metadata = _metadata(head, names, precision, manifest)
    model = _joined(folder, precision, head, manifest)
    helper.set_model_props(model, metadata)
    model.graph.doc_string = metadata["input"]
    onnx.checker.check_model(model)
    write_durably(out, write_graph(model))
    return metadata


def verify_head(path: Path, backbone: Backbone, head: LinearHead, images: Iterable[NDArray[np.uint8]]) -> HeadReport:
    """Compare the file with the live path on `images`, uint8 (H, W, 3) BGR.

    Raises:
        ExportRefused: they differ by more than rounding explains.
        BackboneDamaged: the file is no ONNX model.
        InputRefused: there is no image.
    """
    running = _with_prepared(path)
    pixels, differences, agreements, cosines = [0], [], [], []
    for image in images:
        rgb = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        probabilities, embedding, prepared = running.run(["probabilities", "embedding", PREPARED], {"image": rgb})
        expected = backbone.prepare(image)
        vector = backbone.see(image).embedding.vector
        live = head.probabilities(vector[None])[0]
        pixels.append(int(np.abs(prepared[0].astype(np.int16) - expected).max()))
        differences.append(float(np.abs(probabilities - live).max()))
        # Where two classes are about as probable, a grey level that was rounded otherwise may swap them.
        lead = live.max() - live[probabilities.argmax()]
        agreements.append(bool(lead <= 2 * PROBABILITY_MAX[backbone.precision]))
        cosines.append(float(embedding @ vector / np.linalg.norm(embedding) / np.linalg.norm(vector)))
    if not agreements:
        raise InputRefused("found no image to compare the head's file with, expected at least one; give some")
    report = HeadReport(len(agreements), max(pixels), max(differences), sum(agreements) / len(agreements), min(cosines))
    _check(report, path, backbone.precision)
    return report


def is_head_file(path: Path) -> bool:
    """Whether `export_head` wrote the file at `path`.

    Raises:
        BackboneDamaged: it is no ONNX model.
    """
    model = read_graph(path.read_bytes(), path)
    return any(entry.key == "format" and entry.value == FORMAT for entry in model.metadata_props)


def _check(report: HeadReport, path: Path, precision: Precision) -> None:
    figures = (
        ("pixels that differ by", report.pixel_max_abs, PIXELS_MAX),
        ("probabilities that differ by", report.probability_max_abs, PROBABILITY_MAX[precision]),
        ("other labels on a share of", 1 - report.label_agreement, 1 - LABELS_MIN),
        ("embeddings whose cosine lacks", 1 - report.embedding_cosine_min, 1 - COSINE_MIN),
    )
    for figure, found, most in figures:
        if not found <= most:
            raise ExportRefused(
                f"{path} does not answer as the live path does: found {figure} {found:.3g} over {report.pictures} "
                f"pictures, expected at most {most:.3g}; do not use the file, export the head again"
            )


def _with_prepared(path: Path) -> Any:
    try:
        model = read_graph(path.read_bytes(), path)
    except OSError as error:
        raise BackboneDamaged(f"could not read {path}: {error}; export the head again") from error
    model.graph.output.append(helper.make_tensor_value_info(PREPARED, TensorProto.UINT8, None))
    try:
        return session(model)
    except BackboneDamaged as error:
        raise BackboneDamaged(f"{path} is no head's file: {error}; export the head again") from error


def _check_head(
    head: LinearHead, names: Mapping[int, str], folder: Path, precision: Precision, manifest: BackboneManifest
) -> None:
    if len(head.class_ids) == 0:
        raise NotLearned("found a head without classes, expected at least one; teach something first")
    if missing := [int(number) for number in head.class_ids if int(number) not in names]:
        raise InputRefused(f"found no name for class {missing[0]}, expected one for each of the head's classes")
    tail = Backbone(folder, BackboneSettings(precision=precision)).tail_digest
    if head.tail != tail or head.weight.shape[1] != manifest.dimension:
        raise BackboneMismatch(
            f"found a head learned on tail {head.tail[:12]}… with {head.weight.shape[1]} numbers, "
            f"expected {tail[:12]}… with {manifest.dimension}; choose the precision and backbone it was learned on"
        )


def _metadata(
    head: LinearHead, names: Mapping[int, str], precision: Precision, manifest: BackboneManifest
) -> dict[str, str]:
    labels: Sequence[str] = [names[int(number)] for number in head.class_ids]
    spec, part = manifest.input, manifest.graphs[precision]
    return {
        "format": FORMAT,
        "labels": json.dumps(labels, ensure_ascii=False),
        "class_ids": json.dumps([int(number) for number in head.class_ids]),
        "input": "image: uint8 (height, width, 3), RGB, any size from 1 px, not resized; "
        "probabilities: float32, one for each label, calibrated, sum 1; embedding: float32, of length 1",
        "preprocessing": json.dumps(spec.model_dump(mode="json"), sort_keys=True),
        "backbone": manifest.name,
        "precision": precision,
        "trunk_sha256": part.trunk.sha256,
        "tail_sha256": part.tail.sha256,
        "head": head.name,
        "temperature": repr(float(head.temperature)),
        "memory_revision": str(head.revision),
        "license": manifest.license,
        "source": manifest.source,
    }


def _joined(folder: Path, precision: Precision, head: LinearHead, manifest: BackboneManifest) -> ModelProto:
    part = manifest.graphs[precision]
    trunk, tail = (
        onnx.compose.add_prefix(read_graph(read_verified(folder, entry), folder / entry.file), prefix)
        for entry, prefix in ((part.trunk, "trunk/"), (part.tail, "tail/"))
    )
    drawing = Drawing()
    draw_preprocessing(drawing, "image", manifest.input, PREPARED)
    links = {trunk.graph.input[0].name: PREPARED, tail.graph.input[0].name: trunk.graph.output[0].name}
    for model in (trunk, tail):
        for node in model.graph.node:
            node.input[:] = [links.get(name, name) for name in node.input]
    drawing.nodes += [*trunk.graph.node, *tail.graph.node]
    drawing.constants += [*trunk.graph.initializer, *tail.graph.initializer]
    _draw_head(drawing, head, tail.graph.output[0].name)
    graph = helper.make_graph(
        drawing.nodes,
        "edgecl-head",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [len(head.class_ids)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [manifest.dimension]),
        ],
        drawing.constants,
    )
    return helper.make_model(
        graph,
        producer_name="edgecl",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=_opsets(trunk, tail),
    )


def _opsets(trunk: ModelProto, tail: ModelProto) -> list[Any]:
    versions = {entry.domain: entry.version for entry in [*tail.opset_import, *trunk.opset_import]}
    return [helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())]


def _draw_head(drawing: Drawing, head: LinearHead, embeddings: str) -> None:
    """softmax((W·z + b) / temperature) and z itself, without the axis of pictures."""
    first = drawing.value([0], np.int64)
    weight = numpy_helper.from_array(np.ascontiguousarray(head.weight.T, np.float32), "head_weight")
    bias = numpy_helper.from_array(np.asarray(head.bias, np.float32), "head_bias")
    drawing.constants += [weight, bias]
    logits = drawing.of("Add", drawing.of("MatMul", embeddings, "head_weight"), "head_bias")
    tempered = drawing.of("Div", logits, drawing.value(head.temperature, np.float32))
    drawing.of("Squeeze", drawing.of("Softmax", tempered, axis=1), first, name="probabilities")
    drawing.of("Squeeze", embeddings, first, name="embedding")
