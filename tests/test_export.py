from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from classifiers import CLASSES, FEATURES, SIDE, classifier, saved
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecl.cameras.sample import FREE, calibration_frames
from edgecl.errors import BackboneDamaged, BackboneMissing, ExportRefused, ImageRefused, InputRefused
from edgecl.files import sha256
from edgecl.manifest import LatentCode, Precision, read_manifest
from edgecl.runtime import run
from edgecl.workstation import graphs, parity, quantize
from edgecl.workstation.classifier import IMAGENET_MEAN, IMAGENET_STD, Reading, classifier_origin
from edgecl.workstation.export import archive, export, pictures_in


def graph(folder: Path, part: str, precision: str) -> onnx.ModelProto:
    return onnx.load(folder / f"{part}.{precision}.onnx")


def answered(folder: Path, precision: str, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    latents = run(graphs.session(graph(folder, "trunk", precision)), pictures)
    return run(graphs.session(graph(folder, "tail", precision)), latents)


TWICE = np.arange(2 * len(FREE)).reshape(2, -1).T.reshape(-1)  # golden pictures show the photographs in turn


@pytest.fixture(scope="module")
def golden(backbone_folder: Path) -> dict[str, NDArray[Any]]:
    with (
        np.load(backbone_folder / "golden.npz", allow_pickle=False) as seen,
        np.load(backbone_folder / "answers.npz", allow_pickle=False) as answers,
    ):
        return dict(seen) | dict(answers)


@pytest.fixture(scope="module")
def small_views(golden: dict[str, NDArray[Any]]) -> parity.Views:
    """The golden pictures again as things seen twice: each photograph's first two."""
    return parity.Views((), golden["pictures"][:8], golden["pictures"][TWICE], np.arange(len(FREE)).repeat(2))


def test_the_folder_holds_what_the_manifest_says(backbone_folder: Path) -> None:
    manifest = read_manifest(backbone_folder)
    for entry in manifest.entries():
        data = (backbone_folder / entry.file).read_bytes()
        assert (len(data), sha256(data)) == (entry.bytes, entry.sha256)
    names = {entry.file for entry in manifest.entries()} | {"manifest.json", "parity.json"}
    assert {path.name for path in backbone_folder.iterdir()} == names
    assert manifest.latent_shape == (192, 7, 7)
    assert manifest.license == "Apache-2.0"


def test_the_float_graphs_answer_as_pytorch_does(backbone_folder: Path, golden: dict[str, NDArray[Any]]) -> None:
    import torch

    from edgecl.workstation.nets import efficientnet_lite

    net = efficientnet_lite("efficientnet-lite0")
    with torch.no_grad():
        features = net.tail.features(net.trunk(torch.from_numpy(golden["pictures"][:8])))
        expected = torch.nn.functional.normalize(features.sqrt(), dim=1).numpy()
    np.testing.assert_allclose(answered(backbone_folder, "fp32", golden["pictures"][:8]), expected, atol=1e-4)


def test_every_weight_of_the_package_has_its_place() -> None:
    import torch

    from edgecl.workstation.nets import efficientnet_lite, weights_file

    state = torch.load(weights_file("efficientnet-lite0"), weights_only=True)
    net = efficientnet_lite("efficientnet-lite0")
    placed = [*net.trunk.state_dict().values(), *net.tail.state_dict().values(), *net.classifier.state_dict().values()]
    assert len(placed) == len(state)
    assert sum(t.double().sum() for t in placed).item() == pytest.approx(sum(t.double().sum() for t in state.values()))
    with pytest.raises(ValueError, match="without a place"):
        efficientnet_lite("efficientnet-lite0", state | {"_blocks.16.extra": torch.zeros(1)})
    del state["_blocks.3._bn1.bias"]
    with pytest.raises(KeyError, match=r"_blocks\.3\._bn1\.bias"):
        efficientnet_lite("efficientnet-lite0", state)


def test_int8_stays_close_to_float(golden: dict[str, NDArray[Any]]) -> None:
    cosines = (golden["int8.embeddings"] * golden["fp32.embeddings"]).sum(axis=1)
    assert cosines.mean() > 0.99
    assert cosines.min() > 0.95


def test_the_parity_report_has_a_figure_for_every_limit(backbone_folder: Path) -> None:
    report = json.loads((backbone_folder / "parity.json").read_bytes())
    for precision, limits in parity.LIMITS.items():
        assert {limit.figure for limit in limits} <= set(report[precision])
        assert report[precision]["trunk_ms"] > 0


def test_the_joined_network_takes_pictures_and_gives_embeddings(backbone_folder: Path) -> None:
    trunk, tail = ((backbone_folder / f"{part}.int8.onnx").read_bytes() for part in ("trunk", "tail"))
    whole = graphs.session(graphs.unsplit(trunk, tail))
    assert [value.name for value in (*whole.get_inputs(), *whole.get_outputs())] == ["image", "embedding"]


def test_the_boundary_changes_no_number(backbone_folder: Path, golden: dict[str, NDArray[Any]]) -> None:
    trunk, tail = ((backbone_folder / f"{part}.int8.onnx").read_bytes() for part in ("trunk", "tail"))
    joined = onnx.load_from_string(graphs.unsplit(trunk, tail))
    end, start = (node for node in joined.graph.node if any("boundary_scale" in name for name in node.input))
    assert (end.op_type, start.op_type) == ("QuantizeLinear", "DequantizeLinear")
    before = next(node for node in joined.graph.node if end.input[0] in node.output)
    values = graphs.constants(joined.graph)
    scale, zero_point = (values[name].item() for name in before.input[1:])
    assert before.op_type == "DequantizeLinear"
    assert (scale, zero_point - 128) == tuple(values[name].item() for name in start.input[1:])
    for node in joined.graph.node:  # the network as it would be if it had not been cut
        node.input[:] = [end.input[0] if name == start.output[0] else name for name in node.input]
    joined.graph.node.remove(end)
    joined.graph.node.remove(start)
    pictures = golden["pictures"]
    assert np.array_equal(run(graphs.session(joined), pictures), answered(backbone_folder, "int8", pictures))


def test_trunk_and_tail_share_the_code_of_the_latent(backbone_folder: Path) -> None:
    code = read_manifest(backbone_folder).graphs["int8"].latent
    assert code is not None
    trunk, tail = graph(backbone_folder, "trunk", "int8"), graph(backbone_folder, "tail", "int8")
    for model, node in ((trunk, trunk.graph.node[-1]), (tail, tail.graph.node[0])):
        values = graphs.constants(model.graph)
        scale, zero_point = (values[name].item() for name in node.input[1:])
        assert (scale, zero_point) == (code.scale, code.zero_point)
    for value in (trunk.graph.output[0], tail.graph.input[0]):
        assert value.type.tensor_type.elem_type == TensorProto.INT8


def test_the_runtime_runs_the_convolutions_in_int8(backbone_folder: Path, tmp_path: Path) -> None:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    path = str(backbone_folder / "trunk.int8.onnx")
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 36
    assert not {"Conv", "FusedConv", "Add", "Clip"} & set(kinds)


def test_a_tail_that_is_trained_later_takes_the_same_latents(
    backbone_folder: Path, golden: dict[str, NDArray[Any]]
) -> None:
    import torch

    from edgecl.workstation.nets import efficientnet_lite
    from edgecl.workstation.origin import graph_of

    net = efficientnet_lite("efficientnet-lite0")
    with torch.no_grad():
        for parameter in net.tail.parameters():
            parameter *= 1 + 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    code = read_manifest(backbone_folder).graphs["int8"].latent
    assert code is not None
    tail = graph_of(net.tail, torch.zeros(2, 192, 7, 7), "latent", "embedding")
    tail = graphs.canonical(tail, "here", "Apache-2.0")
    codes = golden["int8.latents"]
    small = quantize.quantise_tail(tail, codes[:16], code)
    real = (codes.astype(np.float32) - code.zero_point) * np.float32(code.scale)
    found, expected = run(graphs.session(small), codes), run(graphs.session(tail), real)
    assert (found * expected).sum(axis=1).min() > 0.99
    assert graphs.constants(small.graph)["boundary_scale"] == np.float32(code.scale)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_batch_is_answered_as_its_rows(
    backbone_folder: Path, golden: dict[str, NDArray[Any]], precision: str
) -> None:
    pictures = golden["pictures"][:5]
    alone = np.concatenate([answered(backbone_folder, precision, pictures[k : k + 1]) for k in range(5)])
    np.testing.assert_allclose(answered(backbone_folder, precision, pictures), alone, atol=1e-5)


def test_the_graphs_hold_no_trace_of_local_code(backbone_folder: Path) -> None:
    for path in backbone_folder.glob("*.onnx"):
        data, model = path.read_bytes(), onnx.load(path)
        assert not any(trace in data for trace in (b".py", b"pkg.torch", b"site-packages", str(Path.cwd()).encode()))
        assert {entry.key: entry.value for entry in model.metadata_props}["license"] == "Apache-2.0"
        assert model.producer_name == "edgecl"


def test_pytorch_gives_the_same_bytes_again(backbone_folder: Path) -> None:
    from edgecl.workstation.origin import efficientnet_origin

    origin = efficientnet_origin("efficientnet-lite0")
    for part, model in (("trunk", origin.trunk), ("tail", origin.tail)):
        assert graphs.write_graph(model) == (backbone_folder / f"{part}.fp32.onnx").read_bytes()


def test_a_tail_that_reads_another_code_is_refused(
    backbone_folder: Path, golden: dict[str, NDArray[Any]], small_views: parity.Views
) -> None:
    trunk, tail = graph(backbone_folder, "trunk", "int8"), graph(backbone_folder, "tail", "int8")
    right = parity.answers(trunk, tail, small_views)
    original = parity.Original(golden["fp32.embeddings"][:8], golden["fp32.embeddings"][TWICE], np.empty(0, np.float32))
    parity.check("int8", parity.compare(original, right, small_views))
    next(t for t in tail.graph.initializer if t.name == "boundary_zero").CopyFrom(
        numpy_helper.from_array(np.array(-100, np.int8), "boundary_zero")
    )
    wrong = parity.answers(trunk, tail, small_views)
    with pytest.raises(ExportRefused, match=r"found cosine_mean 0\.\d+, expected at least 0.98"):
        parity.check("int8", parity.compare(original, wrong, small_views))


LIMITED = [(precision, limit) for precision, limits in parity.LIMITS.items() for limit in limits]


@pytest.mark.parametrize(("precision", "limit"), LIMITED, ids=lambda value: getattr(value, "figure", value))
def test_each_figure_is_held_to_its_limit_and_must_be_a_number(precision: Precision, limit: parity.Limit) -> None:
    figures = {"max_abs": 0.0, "cosine_mean": 1.0, "cosine_min": 1.0, "class_agreement": 1.0, "top1_agreement": 1.0}
    parity.check(precision, figures)
    beyond = limit.least - 1e-3 if limit.most is None else limit.most + 1e-3
    for value in (beyond, float("nan")):
        with pytest.raises(ExportRefused, match=rf"the {precision} graphs .*found {limit.figure} {value:.4g}, exp"):
            parity.check(precision, figures | {limit.figure: value})


def test_what_fp32_and_int8_are_held_to() -> None:
    assert {(precision, limit.figure) for precision, limit in LIMITED} == {
        *(("fp32", figure) for figure in ("max_abs", "cosine_min", "class_agreement", "top1_agreement")),
        *(("int8", figure) for figure in ("cosine_mean", "cosine_min", "class_agreement", "top1_agreement")),
    }


def test_an_embedding_of_length_0_has_no_cosine(golden: dict[str, NDArray[Any]], small_views: parity.Views) -> None:
    rows = golden["fp32.embeddings"][TWICE]
    original = parity.Original(rows[:8], rows, rows)
    zero = parity.Answers(golden["fp32.latents"], 0 * rows[:8], 0 * rows, rows)
    assert np.isnan(parity.compare(original, zero, small_views)["cosine_min"])


def test_spread_is_the_trace_of_the_covariance_within_things() -> None:
    rng = np.random.default_rng(0)
    vectors, thing = rng.normal(size=(30, 7)).astype(np.float32), np.arange(3).repeat(10)
    pooled = np.mean([np.cov(vectors[thing == one].T) for one in range(3)], axis=0)
    assert parity.spread(vectors, thing) == pytest.approx(np.trace(pooled), rel=1e-6)


def test_an_archive_is_read_by_numpy_and_holds_no_time(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.int8).reshape(2, 3), "b.c": np.eye(2, dtype=np.float32)}
    data = archive(arrays)
    (tmp_path / "a.npz").write_bytes(data)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert all(np.array_equal(file[name], array) for name, array in arrays.items())
    assert b"\x00\x00\x21\x00" in data[:40]  # 1 January 1980


# What is refused


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Lets `export` find an origin with another trunk or tail than its network's, and gives the name to call it by."""

    def found(**parts: onnx.ModelProto) -> str:
        name = saved(classifier(), tmp_path / "tiny.onnx")
        origin = replace(classifier_origin(tmp_path / "tiny.onnx"), **parts)
        monkeypatch.setattr("edgecl.workstation.export.classifier_origin", lambda path, reading: origin)
        return name

    return found


@pytest.mark.parametrize("precisions", [("fp32",), ("int8",), ("fp32", "int8")])
def test_a_trunk_that_swaps_colours_is_refused(
    tmp_path: Path, wrong: Callable[..., str], precisions: tuple[Precision, ...]
) -> None:
    model = classifier()
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "w0")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[:, ::-1].copy(), "w0"))
    saved(model, tmp_path / "swapped.onnx")
    name = wrong(trunk=classifier_origin(tmp_path / "swapped.onnx").trunk)
    with pytest.raises(ExportRefused, match=r"found max_abs 0\.\d+, expected at most 0.0001"):
        export(name, tmp_path / "out", precisions=precisions)
    assert not (tmp_path / "out").exists()


def test_a_tail_that_takes_no_root_is_refused(tmp_path: Path, wrong: Callable[..., str]) -> None:
    saved(classifier(), tmp_path / "tiny.onnx")
    tail = classifier_origin(tmp_path / "tiny.onnx").tail
    next(node for node in tail.graph.node if node.op_type == "Sqrt").op_type = "Identity"
    with pytest.raises(ExportRefused, match=r"found max_abs 0\.\d+, expected at most 0.0001"):
        export(wrong(tail=tail), tmp_path / "out", precisions=("fp32",))


def test_int8_that_was_calibrated_on_nothing_but_black_is_refused(tmp_path: Path) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx")
    black = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 16
    with pytest.raises(ExportRefused, match=r"the int8 graphs .*found cosine_\w+ 0\.\d+, expected at least"):
        export(name, tmp_path / "out", black, ("int8",))
    assert not (tmp_path / "out").exists()


# onnx:FILE


def test_any_classifier_is_exported_twice_with_the_same_digests(tmp_path: Path) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx")
    first, second = (export(name, tmp_path / out) for out in ("one", "two"))
    assert first == second
    assert (first.cut, first.transform, first.latent_shape) == ("features", "signed-power-l2", (FEATURES, 1, 1))
    for entry in first.entries():
        assert (tmp_path / "one" / entry.file).read_bytes() == (tmp_path / "two" / entry.file).read_bytes()


@pytest.mark.parametrize(
    ("opset", "batch", "last"), [(20, "N", False), (13, "N", False), (20, 1, False), (20, "N", True)]
)
def test_the_features_are_those_of_the_classifier(tmp_path: Path, opset: int, batch: str | int, last: bool) -> None:
    saved(classifier(opset, batch, last), tmp_path / "tiny.onnx")
    origin = classifier_origin(tmp_path / "tiny.onnx")
    pictures = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    real = ((pictures - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)).astype(np.float32)
    model = classifier(20, batch, last)  # the same numbers; of older opsets the reference has another normalisation
    model.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, None))
    oracle = ReferenceEvaluator(model)
    rows = [oracle.run(None, {"pixels": row[None] if last else row[None].transpose(0, 3, 1, 2)})[1] for row in real]
    expected = np.concatenate(rows)
    latents = run(graphs.session(origin.trunk), pictures)
    np.testing.assert_allclose(latents[:, :, 0, 0], expected, rtol=1e-3, atol=1e-4)
    roots = np.sign(expected) * np.sqrt(np.abs(expected))
    embeddings = run(graphs.session(origin.tail), latents)
    np.testing.assert_allclose(embeddings, roots / np.linalg.norm(roots, axis=1, keepdims=True), atol=1e-4)
    assert origin.classes is not None
    assert origin.classes(expected).shape == (2, CLASSES)
    assert graphs.opset(origin.trunk) >= 18


def test_features_may_be_named_and_are_averaged_over_places(tmp_path: Path) -> None:
    saved(classifier(), tmp_path / "tiny.onnx")
    pictures = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    named, usual = (classifier_origin(tmp_path / "tiny.onnx", Reading(tensor)) for tensor in ("r2", None))
    found = [run(graphs.session(origin.trunk), pictures) for origin in (named, usual)]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_a_size_that_the_graph_leaves_open_is_224(tmp_path: Path) -> None:
    model = classifier()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", "C", "H", "W"]))
    saved(model, tmp_path / "tiny.onnx")
    origin = classifier_origin(tmp_path / "tiny.onnx")
    assert origin.input.size == 224
    assert run(graphs.session(origin.trunk), np.zeros((1, 224, 224, 3), np.uint8)).shape == (1, FEATURES, 1, 1)


def test_other_means_change_the_trunk(tmp_path: Path) -> None:
    saved(classifier(), tmp_path / "tiny.onnx")
    origin = classifier_origin(tmp_path / "tiny.onnx", Reading(mean=(127, 127, 127), std=(128, 128, 128)))
    assert origin.input.mean == (127, 127, 127)
    grey = np.full((1, SIDE, SIDE, 3), 127, np.uint8)
    zero = ReferenceEvaluator(onnx.load(tmp_path / "tiny.onnx")).run(
        None, {"pixels": np.zeros((1, 3, SIDE, SIDE), np.float32)}
    )[0]
    assert origin.classes is not None
    np.testing.assert_allclose(origin.classes(origin.original(grey)), zero, rtol=1e-3, atol=1e-4)


def test_weights_outside_the_file_are_refused(tmp_path: Path) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(BackboneDamaged, match="outside the model's file"):
        export(name, tmp_path / "out")


def test_a_constant_that_names_a_file_is_refused(tmp_path: Path) -> None:
    model = classifier()
    hostile = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    hostile.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["secret"])
    node.attribute.append(helper.make_attribute("value", hostile))
    model.graph.node.insert(0, node)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BackboneDamaged, match="outside the model's file"):
        export(f"onnx:{tmp_path / 'tiny.onnx'}", tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x07" * 50])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tiny.onnx").write_bytes(data)
    with pytest.raises(BackboneDamaged, match=rf"found {len(data)} bytes .*tiny\.onnx, expected an ONNX model; "):
        export(f"onnx:{tmp_path / 'tiny.onnx'}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BackboneMissing, match="check the path"):
        export(f"onnx:{tmp_path / 'none.onnx'}", tmp_path / "out")


def test_a_classifier_that_cannot_be_used_is_refused_with_a_reason(tmp_path: Path) -> None:
    foreign, two, flat, no_product = (classifier() for _ in range(4))
    fours, dead = classifier(batch=4), classifier(gain=0)
    foreign.graph.node[2].domain = "com.microsoft"
    foreign.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    two.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    flat.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, SIDE, SIDE + 1]))
    del no_product.graph.node[-1]
    no_product.graph.output[0].CopyFrom(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", FEATURES]))
    reasons = {
        "com.microsoft": foreign,
        "expected one picture": two,
        "square picture": flat,
        "Gemm or MatMul": no_product,
        "4 pictures at once, expected any number": fours,
        "the same features for two different pictures": dead,
    }
    for reason, model in reasons.items():
        saved(model, tmp_path / "tiny.onnx")
        with pytest.raises(ExportRefused, match=rf"tiny\.onnx cannot be a backbone: found .*{reason}.*; "):
            classifier_origin(tmp_path / "tiny.onnx")


def test_features_that_are_not_there_are_refused(tmp_path: Path) -> None:
    saved(classifier(), tmp_path / "tiny.onnx")
    with pytest.raises(ExportRefused, match="check --features"):
        classifier_origin(tmp_path / "tiny.onnx", Reading("no such tensor"))


def test_weights_that_are_not_finite_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    name = saved(classifier(gain=float("nan")), tmp_path / "tiny.onnx")
    with pytest.raises(ExportRefused, match="finite"):
        export(name, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_what_is_at_the_place_already_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(InputRefused, match="new or empty folder"):
        export(saved(classifier(), tmp_path / "tiny.onnx"), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "keep"


def test_an_unknown_backbone_or_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="efficientnet-lite0"):
        export("resnet9000", tmp_path / "out")
    with pytest.raises(InputRefused, match="onnx:FILE alone"):
        export("efficientnet-lite0", tmp_path / "out", reading=Reading("x"))
    with pytest.raises(InputRefused, match="precisions"):
        export("efficientnet-lite0", tmp_path / "out", precisions=())


def test_too_few_pictures_to_calibrate_on_are_refused(tmp_path: Path) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx")
    with pytest.raises(InputRefused, match="found 3 pictures"):
        export(name, tmp_path / "out", calibration_frames(3))


def test_pictures_to_calibrate_on_come_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    frames = list(calibration_frames(2))
    for name, frame in zip(("b.png", "below/a.png"), frames, strict=True):
        assert cv2.imwrite(str(tmp_path / name), frame)
    (tmp_path / "notes.txt").write_text("not a picture")
    assert all(np.array_equal(*pair) for pair in zip(pictures_in(tmp_path), frames, strict=True))
    (tmp_path / "c.jpg").write_bytes(b"broken")
    with pytest.raises(ImageRefused, match=r"c\.jpg"):
        list(pictures_in(tmp_path))


def test_pictures_to_calibrate_on_are_looked_for_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(InputRefused, match=rf"found no folder .*{name}, expected one with pictures"):
            pictures_in(tmp_path / name)
    with pytest.raises(InputRefused, match="found no images in"):
        pictures_in(tmp_path)


def test_the_folder_that_it_runs_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputRefused, match="name a new one"):
        export(name, Path())
    export(name, Path("new"), precisions=("fp32",))
    assert (tmp_path / "here" / "new" / "manifest.json").is_file()


def test_only_what_was_asked_for_is_written(tmp_path: Path) -> None:
    told: list[str] = []
    name = saved(classifier(), tmp_path / "tiny.onnx")
    manifest = export(name, tmp_path / "out", precisions=("fp32",), progress=told.append)
    assert set(manifest.graphs) == {"fp32"}
    assert not list((tmp_path / "out").glob("*.int8.*"))
    assert told[0].startswith("reading")


def test_a_classifier_is_exported_where_there_is_no_pytorch(tmp_path: Path) -> None:
    name = saved(classifier(), tmp_path / "tiny.onnx")
    code = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path; "
        "from edgecl.workstation.export import export; import edgecl.workstation.head_export; "
        f"export({name!r}, Path({str(tmp_path / 'out')!r}))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_package_is_named_at_the_door() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from edgecl.errors import ExtraMissing\n"
        "for module in ('export', 'head_export', 'quantize', 'parity'):\n"
        "    try:\n"
        "        __import__(f'edgecl.workstation.{module}')\n"
        "    except ExtraMissing as error:\n"
        "        assert 'edgecl[train]' in str(error)\n"
        "    else:\n"
        "        raise SystemExit(module)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_device_side_imports_neither_torch_nor_onnx() -> None:
    code = (
        "import sys; import edgecl.golden, edgecl.backbone, edgecl.manifest; "
        "assert not {'torch', 'onnx'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("biases", [True, False])
def test_convolutions_that_share_weight_and_bias_are_corrected_each_for_its_own_input(biases: bool) -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(8, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    constants = {"w": weight[:, :, None, None]} | ({"b": bias} if biases else {})
    nodes = [
        helper.make_node("Conv", ["x", *constants], ["first"]),
        helper.make_node("Relu", ["first"], ["between"]),
        helper.make_node("Conv", ["between", *constants], ["second"]),
    ]
    place = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8, 5, 5])
    end = helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 8, 5, 5])
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "shared", [place], [end], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    data = rng.normal(size=(20, 8, 5, 5)).astype(np.float32)

    corrected = quantize._corrected(model, data)

    onnx.checker.check_model(corrected)
    values, offset = graphs.constants(corrected.graph), bias if biases else 0
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    rounded = np.rint(weight / scale) * scale
    rows = data.transpose(0, 2, 3, 1).reshape(-1, 8)
    for node in (corrected.graph.node[0], corrected.graph.node[2]):
        real, coded = rows @ weight.T + offset, rows @ rounded.T + values[node.input[2]]
        np.testing.assert_allclose(coded.mean(axis=0), real.mean(axis=0), atol=1e-5)
        assert np.abs((rows @ rounded.T + offset).mean(axis=0) - real.mean(axis=0)).max() > 1e-4
        rows = np.maximum(real, 0)


def test_a_code_spans_what_it_was_measured_on() -> None:
    code = quantize._code_of(np.array([-1.0, 3.0], np.float32))
    assert isinstance(code, LatentCode)
    assert (-128 - code.zero_point) * code.scale == pytest.approx(-1, abs=code.scale)
    assert (127 - code.zero_point) * code.scale == pytest.approx(3, abs=code.scale)
