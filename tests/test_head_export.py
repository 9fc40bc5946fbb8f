from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgecl.backbone import Backbone, preprocess
from edgecl.cameras.sample import PHOTOGRAPHS, photograph, pose, view
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged, BackboneMismatch, ExportRefused, InputRefused, NotLearned
from edgecl.manifest import InputSpec, Precision
from edgecl.types import LinearHead
from edgecl.workstation.head_export import export_head, verify_head
from edgecl.workstation.resize_graph import Drawing, draw_preprocessing

NAMES = PHOTOGRAPHS[:8]


def head_of(backbone: Backbone) -> LinearHead:
    means = np.stack([backbone.embed_images([view(photograph(n), pose(5, k)) for k in (1, 4)]).mean(0) for n in NAMES])
    bias = (-10 * (means * means).sum(axis=1)).astype(np.float32)
    return LinearHead((20 * means).astype(np.float32), bias, np.arange(3, 11), backbone.tail_digest, 7, "ncm", 1.3)


def names(head: LinearHead) -> dict[int, str]:
    return dict(zip((int(number) for number in head.class_ids), NAMES, strict=True))


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """Views of the taught things in random sizes, from a thumbnail to full HD."""
    rng = np.random.default_rng(0)
    result = []
    for k in range(count):
        width, height = (int(side) for side in rng.integers(32, 1080, 2))
        frame = view(photograph(NAMES[k % len(NAMES)]), pose(9, 1.7 * k))
        result.append(np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
    return result


@pytest.mark.parametrize(("size", "step"), [(224, 1), (260, 7)])
def test_the_graph_resizes_as_opencv_does(size: int, step: int) -> None:
    spec = InputSpec(size=size, mean=(127, 127, 127), std=(128, 128, 128))
    drawing = Drawing()
    draw_preprocessing(drawing, "image", spec, "prepared")
    graph = helper.make_graph(
        drawing.nodes,
        "resize",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["h", "w", 3])],
        [helper.make_tensor_value_info("prepared", TensorProto.UINT8, None)],
        drawing.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(size)
    shorter = [*range(1, 300, step), *rng.integers(300, 1000, 20), round(size / 0.95), round(2 * size / 0.95), 1080]
    for height in shorter:  # noise, so that a weight on the wrong pixel shows
        image = rng.integers(0, 256, (int(height), int(height) + 5, 3)).astype(np.uint8)
        image = image if height % 2 else image.transpose(1, 0, 2)
        rgb = np.ascontiguousarray(image[..., ::-1])
        found = session.run(None, {"image": rgb})[0][0].astype(int)
        assert np.abs(found - preprocess(np.ascontiguousarray(image), spec)).max() <= 1, height


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_file_answers_as_the_live_path_does(backbone_folder: Path, tmp_path: Path, precision: Precision) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings(precision=precision))
    head = head_of(backbone)
    export_head(backbone_folder, precision, head, names(head), tmp_path / "head.onnx")
    report = verify_head(tmp_path / "head.onnx", backbone, head, pictures(100))
    assert report.pictures == 100
    assert report.pixel_max_abs <= 1
    assert report.embedding_cosine_min > 0.99


def test_pictures_of_unusual_sizes_are_answered_as_on_the_live_path(backbone_folder: Path, tmp_path: Path) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings())
    head = head_of(backbone)
    export_head(backbone_folder, "int8", head, names(head), tmp_path / "head.onnx")
    for shape in ((1, 1), (2, 1), (7, 3), (1920, 1080), (60, 4000), (3000, 2), (4000, 6000)):  # height and width
        picture = cv2.resize(photograph("cat"), shape[::-1], interpolation=cv2.INTER_AREA)
        report = verify_head(tmp_path / "head.onnx", backbone, head, [np.asarray(picture, np.uint8)])
        assert report.pixel_max_abs <= 1, shape
        assert report.embedding_cosine_min > 0.99, shape


def test_a_head_of_a_single_class_is_certain_of_it(backbone_folder: Path, tmp_path: Path) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings())
    all_classes = head_of(backbone)
    one = replace(
        all_classes, weight=all_classes.weight[:1], bias=all_classes.bias[:1], class_ids=all_classes.class_ids[:1]
    )
    export_head(backbone_folder, "int8", one, {3: "cup"}, tmp_path / "head.onnx")
    session = ort.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    assert session.run(["probabilities"], {"image": np.zeros((50, 70, 3), np.uint8)})[0].tolist() == [1.0]
    assert verify_head(tmp_path / "head.onnx", backbone, one, pictures(4)).label_agreement == 1


def test_the_file_stands_alone_and_says_what_it_is(backbone_folder: Path, tmp_path: Path) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings())
    head = head_of(backbone)
    labels = names(head) | {3: 'Änne\'s "Tasse" 🫖'}
    export_head(backbone_folder, "int8", head, labels, tmp_path / "head.onnx")
    session = ort.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored["labels"]) == list(labels.values())
    assert json.loads(stored["preprocessing"])["size"] == 224
    assert (stored["trunk_sha256"], stored["tail_sha256"]) == (backbone.trunk_digest, backbone.tail_digest)
    assert (stored["temperature"], stored["memory_revision"], stored["license"]) == ("1.3", "7", "Apache-2.0")
    assert [(value.name, value.type) for value in session.get_inputs()] == [("image", "tensor(uint8)")]
    probabilities, embedding = session.run(None, {"image": np.zeros((50, 70, 3), np.uint8)})
    assert (probabilities.shape, embedding.shape) == ((8,), (1280,))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_same_head_gives_the_same_bytes(backbone_folder: Path, tmp_path: Path) -> None:
    head = head_of(Backbone(backbone_folder, BackboneSettings()))
    for name in ("one.onnx", "two.onnx"):
        export_head(backbone_folder, "int8", head, names(head), tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_another_head_than_the_one_in_the_file_is_found(backbone_folder: Path, tmp_path: Path) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings())
    head = head_of(backbone)
    export_head(backbone_folder, "int8", head, names(head), tmp_path / "head.onnx")
    other = LinearHead(head.weight[::-1], head.bias, head.class_ids, head.tail, 8, "ncm", 1.3)
    with pytest.raises(ExportRefused, match=r"probabilities that differ by 0\.\d+ over 4 pictures"):
        verify_head(tmp_path / "head.onnx", backbone, other, pictures(4))
    with pytest.raises(InputRefused, match="found no image"):
        verify_head(tmp_path / "head.onnx", backbone, head, [])


def test_a_file_that_is_no_head_is_refused(backbone_folder: Path, tmp_path: Path) -> None:
    backbone = Backbone(backbone_folder, BackboneSettings())
    head = head_of(backbone)
    with pytest.raises(BackboneDamaged, match="could not read"):
        verify_head(tmp_path / "none.onnx", backbone, head, pictures(1))
    with pytest.raises(BackboneDamaged, match="no head's file"):
        verify_head(backbone_folder / "trunk.int8.onnx", backbone, head, pictures(1))


def test_a_head_that_does_not_belong_to_the_backbone_is_refused(backbone_folder: Path, tmp_path: Path) -> None:
    head = head_of(Backbone(backbone_folder, BackboneSettings()))
    out = tmp_path / "head.onnx"
    with pytest.raises(BackboneMismatch, match="choose the precision"):
        export_head(backbone_folder, "fp32", head, names(head), out)
    with pytest.raises(InputRefused, match="no name for class 3"):
        export_head(backbone_folder, "int8", head, {4: "cup"}, out)
    empty = LinearHead(head.weight[:0], head.bias[:0], head.class_ids[:0], head.tail, 0, "ncm")
    with pytest.raises(NotLearned, match="teach something first"):
        export_head(backbone_folder, "int8", empty, {}, out)
    assert not out.exists()


def test_the_file_is_valid_onnx(backbone_folder: Path, tmp_path: Path) -> None:
    head = head_of(Backbone(backbone_folder, BackboneSettings()))
    export_head(backbone_folder, "int8", head, names(head), tmp_path / "head.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "head.onnx"), full_check=True)
