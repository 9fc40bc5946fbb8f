from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecl.backbone import Backbone, preprocess
from edgecl.cameras.sample import photograph, pose, view
from edgecl.config import BackboneSettings
from edgecl.errors import (
    AcceleratorUnusable,
    BackboneDamaged,
    BackboneMismatch,
    BackboneMissing,
    FrameUnusable,
)
from edgecl.files import sha256
from edgecl.golden import check_golden
from edgecl.manifest import MANIFEST_FILE, InputSpec, Precision, read_manifest
from edgecl.runtime import PROVIDERS, available
from edgecl.workstation.export import archive

PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")
SPEC = InputSpec(size=224, mean=(127, 127, 127), std=(128, 128, 128))


def loaded(folder: Path, precision: Precision = "int8") -> Backbone:
    return Backbone(folder, BackboneSettings(precision=precision, threads=1))


@pytest.fixture
def copied(backbone_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(backbone_folder, tmp_path / "copy"))


def rewrite(folder: Path, change: dict[str, object]) -> None:
    values = json.loads((folder / MANIFEST_FILE).read_bytes())
    (folder / MANIFEST_FILE).write_text(json.dumps(values | change))


def replace_golden(folder: Path, data: bytes, what: str = "golden") -> None:
    (folder / f"{what}.npz").write_bytes(data)
    rewrite(folder, {what: {"file": f"{what}.npz", "bytes": len(data), "sha256": sha256(data)}})


def test_preprocessing_is_the_middle_square_averaged_by_area_in_rgb() -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 640, 3)).astype(np.uint8)
    square = image[15:585, 35:605]  # 570 = 600 · 0.95
    expected = cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert np.array_equal(preprocess(image, SPEC), expected)


def test_near_a_multiple_of_the_input_whole_pixels_are_averaged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    pixels = image[16:464, 96:544].astype(float).reshape(224, 2, 224, 2, 3)  # 448 is within 2 % of 456
    difference = preprocess(image, SPEC)[..., ::-1] - pixels.mean(axis=(1, 3))
    assert np.abs(difference).max() <= 0.5


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [
        (480, 640, 448),
        (720, 1280, 672),
        (600, 800, 570),
        (1080, 1920, 1026),
        (128, 128, 122),
        (233, 300, 224),
        (1, 1, 1),
    ],
)
def test_the_side_of_the_square(height: int, width: int, side: int) -> None:
    assert SPEC.side(height, width) == side


def test_preprocessing_by_a_whole_number_is_the_mean_of_blocks() -> None:
    image = np.random.default_rng(1).integers(0, 256, (448, 448, 3)).astype(np.uint8)
    blocks = image.reshape(224, 2, 224, 2, 3).mean(axis=(1, 3))[..., ::-1]
    found = preprocess(image, SPEC.model_copy(update={"crop": 1.0}))
    assert np.abs(found - blocks).max() <= 0.5


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_colour_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(FrameUnusable, match="expected"):
        preprocess(np.zeros(shape, np.uint8), SPEC)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (1080, 1920, 3)])
def test_a_picture_of_any_size_is_embedded(backbone_folder: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    vector = loaded(backbone_folder).see(image).embedding.vector
    assert vector.shape == (1280,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0, 127, 255])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_picture_of_one_colour_has_finite_numbers(backbone_folder: Path, precision: Precision, value: int) -> None:
    vector = loaded(backbone_folder, precision).see(np.full((48, 64, 3), value, np.uint8)).embedding.vector
    assert np.isfinite(vector).all()


def test_an_int8_latent_gives_its_embedding_again_bit_by_bit(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder)
    for name in ("cat", "brick", "rocket"):
        sight = backbone.see(photograph(name))
        latent = backbone.latent(sight.activation)
        assert latent.codes.dtype == np.int8
        assert np.array_equal(latent.codes, sight.activation[0])
        assert np.array_equal(backbone.embed([latent])[0], sight.embedding.vector)


def test_an_fp32_latent_kept_in_int8_gives_almost_its_embedding(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder, "fp32")
    for name in ("cat", "coffee", "astronaut"):
        sight = backbone.see(photograph(name))
        again = backbone.embed([backbone.latent(sight.activation)])[0]
        assert float(again @ sight.embedding.vector) > 0.9995


def test_many_pictures_at_once_are_embedded_as_one_by_one(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder)
    images = [view(photograph("cat"), pose(3, k)) for k in range(18)]  # more than one batch
    alone = np.stack([backbone.see(image).embedding.vector for image in images])
    np.testing.assert_allclose(backbone.embed_images(images), alone, atol=1e-6)


def test_no_picture_and_no_latent_give_no_rows(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder)
    assert backbone.embed_images([]).shape == backbone.embed([]).shape == (0, 1280)


def test_numbers_that_are_not_finite_make_the_frame_unusable(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder, "fp32")
    activation = np.full((1, *backbone.manifest.latent_shape), np.nan, np.float32)
    with pytest.raises(FrameUnusable, match="not finite"):
        backbone.embed_activations(activation)
    with pytest.raises(FrameUnusable, match="not finite"):
        backbone.latent(activation)


def test_a_latent_of_another_code_or_shape_is_refused(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder)
    latent = backbone.latent(backbone.see(photograph("cat")).activation)
    for other in (replace(latent, scale=latent.scale * 2), replace(latent, codes=latent.codes[:, :3])):
        with pytest.raises(BackboneMismatch, match="another backbone"):
            backbone.embed([other])


def test_a_changed_byte_is_found_before_the_graph_is_loaded(copied: Path) -> None:
    path = copied / "tail.int8.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BackboneDamaged, match=r"sha256.*expected"):
        loaded(copied)


def test_a_truncated_file_is_found(copied: Path) -> None:
    path = copied / "trunk.int8.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BackboneDamaged, match=r"found \d+ bytes .*expected \d+"):
        loaded(copied)


def test_a_missing_file_is_found(copied: Path) -> None:
    (copied / "trunk.int8.onnx").unlink()
    with pytest.raises(BackboneDamaged, match="could not read"):
        loaded(copied)


def test_a_whole_file_that_is_no_graph_is_found(copied: Path) -> None:
    values = json.loads((copied / MANIFEST_FILE).read_bytes())
    (copied / "tail.int8.onnx").write_bytes(b"nonsense")
    values["graphs"]["int8"]["tail"] |= {"bytes": 8, "sha256": sha256(b"nonsense")}
    rewrite(copied, values)
    with pytest.raises(BackboneDamaged, match="could not load"):
        loaded(copied)


def test_a_precision_that_was_not_exported_is_missing(copied: Path) -> None:
    graphs = json.loads((copied / MANIFEST_FILE).read_bytes())["graphs"]
    rewrite(copied, {"graphs": {"fp32": graphs["fp32"]}})
    with pytest.raises(BackboneMissing, match="expected int8"):
        loaded(copied)


def test_a_graph_of_another_shape_than_declared_is_found(copied: Path) -> None:
    rewrite(copied, {"latent_shape": [192, 7, 8]})
    with pytest.raises(BackboneDamaged, match="declares"):
        loaded(copied)


@pytest.mark.parametrize("key", ["size", "latent"])
def test_a_graph_that_takes_other_inputs_than_declared_is_found(copied: Path, key: str) -> None:
    values = json.loads((copied / MANIFEST_FILE).read_bytes())
    if key == "size":
        rewrite(copied, {"input": values["input"] | {"size": 96}})
        reason = r"image of shape \[224, 224, 3\] .*declares \[96, 96, 3\] and tensor\(uint8\)"
    else:
        values["graphs"]["int8"]["latent"] = None
        rewrite(copied, {"graphs": values["graphs"]})
        reason = r"type tensor\(int8\), its manifest declares .*tensor\(float\)"
    with pytest.raises(BackboneDamaged, match=reason):
        loaded(copied)


def test_an_empty_folder_holds_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(BackboneMissing, match="edgecl export"):
        loaded(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"format": 2}', b" " * 70_000])
def test_a_manifest_that_is_none_is_damaged(copied: Path, data: bytes) -> None:
    (copied / MANIFEST_FILE).write_bytes(data)
    with pytest.raises(BackboneDamaged):
        read_manifest(copied)


def test_a_file_outside_the_folder_cannot_be_named(copied: Path) -> None:
    values = json.loads((copied / MANIFEST_FILE).read_bytes())
    values["golden"]["file"] = "../golden.npz"
    rewrite(copied, values)
    with pytest.raises(BackboneDamaged, match=r"golden\.file"):
        read_manifest(copied)


def test_a_provider_that_is_not_there_is_refused(backbone_folder: Path) -> None:
    missing = next(name for name in PROVIDERS if name not in available())
    with pytest.raises(AcceleratorUnusable, match=f'"{missing}".*expected one of cpu'):
        Backbone(backbone_folder, BackboneSettings(provider=missing))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_golden_pictures_are_answered(backbone_folder: Path, precision: Precision) -> None:
    result = check_golden(loaded(backbone_folder, precision), backbone_folder)
    assert result.pictures >= 32
    assert result.cosine_min > 0.9999


def test_golden_pictures_are_prepared_anew_from_raw_ones_of_different_sizes(backbone_folder: Path) -> None:
    with np.load(backbone_folder / "golden.npz", allow_pickle=False) as file:
        raws = [file[name] for name in file.files if name.startswith("raw.")]
        pictures = file["pictures"]
    assert sorted(raw.shape[:2] for raw in raws) == [(120, 160), (161, 121), (268, 337)]
    for raw, picture in zip(raws, pictures[:3], strict=True):
        assert np.array_equal(picture, preprocess(raw, SPEC))


@pytest.mark.parametrize("crop", [0.3, 0.93])
def test_a_crop_that_was_edited_is_found(copied: Path, crop: float) -> None:
    spec = json.loads((copied / MANIFEST_FILE).read_bytes())["input"]
    rewrite(copied, {"input": spec | {"crop": crop}})
    with pytest.raises(BackboneDamaged, match=r"not prepared as .*found pixels that differ by \d+ grey levels"):
        check_golden(loaded(copied), copied)


def test_colours_in_another_order_are_found(backbone_folder: Path) -> None:
    backbone = loaded(backbone_folder)
    backbone.prepare = lambda image: preprocess(image, SPEC)[..., ::-1]  # type: ignore[method-assign]
    with pytest.raises(BackboneDamaged, match="not prepared as"):
        check_golden(backbone, backbone_folder)


@pytest.mark.parametrize("raws", [[], [np.zeros((4, 4), np.uint8)], [np.zeros((4, 4, 3), np.float32)]])
def test_a_golden_file_without_raw_pictures_is_refused(copied: Path, raws: list[np.ndarray]) -> None:
    with np.load(copied / "golden.npz", allow_pickle=False) as file:
        arrays = {name: array for name, array in file.items() if not name.startswith("raw.")}
    replace_golden(copied, archive(arrays | {f"raw.{k}": raw for k, raw in enumerate(raws)}))
    with pytest.raises(BackboneDamaged, match="raw golden pictures"):
        check_golden(loaded(copied), copied)


def test_an_fp32_embedding_that_is_a_little_off_is_refused(copied: Path) -> None:
    with np.load(copied / "answers.npz", allow_pickle=False) as file:
        arrays = dict(file)
    arrays["fp32.embeddings"][3, 5] += 2e-4
    replace_golden(copied, archive(arrays), "answers")
    with pytest.raises(BackboneDamaged, match=r"found embeddings up to 0\.0002 away, expected at most 0\.0001"):
        check_golden(loaded(copied, "fp32"), copied)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_golden_pictures_that_are_answered_otherwise_are_refused(copied: Path, precision: Precision) -> None:
    with np.load(copied / "answers.npz", allow_pickle=False) as file:
        arrays = dict(file)
    arrays[f"{precision}.embeddings"] = np.roll(arrays[f"{precision}.embeddings"], 1, axis=0)
    replace_golden(copied, archive(arrays), "answers")
    with pytest.raises(BackboneDamaged, match=r"found .*expected"):
        check_golden(loaded(copied, precision), copied)


@pytest.mark.parametrize("what", ["golden", "answers"])
def test_a_golden_file_with_code_in_it_is_refused(copied: Path, tmp_path: Path, what: str) -> None:
    np.savez(tmp_path / "hostile.npz", pictures=np.array([{"a": 1}], dtype=object))
    replace_golden(copied, (tmp_path / "hostile.npz").read_bytes(), what)
    with pytest.raises(BackboneDamaged, match="could not read"):
        check_golden(loaded(copied), copied)


def test_a_golden_file_of_other_shapes_is_refused(copied: Path) -> None:
    with np.load(copied / "golden.npz", allow_pickle=False) as file:
        arrays = {name: array[:0] for name, array in file.items()}
    replace_golden(copied, archive(arrays))
    with pytest.raises(BackboneDamaged, match="at least one picture"):
        check_golden(loaded(copied), copied)
