"""Measures against scikit-learn, and the protocols on a small folder of photographs."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from edgecl.backbone import Backbone
from edgecl.cameras import open_camera
from edgecl.config import BackboneSettings, CameraSettings
from edgecl.errors import ConfigRefused, InputRefused
from edgecl.evaluate import metrics, streams
from edgecl.evaluate.new_classes import new_classes
from edgecl.evaluate.open_set import open_set
from edgecl.evaluate.protocol import Setting, lessons_of, taught
from edgecl.evaluate.report import new_classes_text, open_set_text, speed_text
from edgecl.evaluate.speed import measure
from edgecl.heads import fit_of
from edgecl.images import images_below
from edgecl.recognition import Recogniser
from edgecl.releases import install_first
from edgecl.types import LinearHead

scores = st.lists(st.floats(-3, 3).map(lambda x: round(x, 1)), min_size=1, max_size=40)


@settings(deadline=None)
@given(known=scores, unknown=scores)
def test_auroc_is_that_of_scikit_learn(known, unknown):
    truth = [0] * len(known) + [1] * len(unknown)
    assert metrics.auroc(np.array(known), np.array(unknown)) == pytest.approx(roc_auc_score(truth, known + unknown))


def test_fpr_at_95_tpr_is_read_off_the_roc_curve():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(0, 1, 1000), rng.normal(2, 1, 1000)
    # known is the positive class of this figure: its scores are turned round
    fpr, tpr, _ = roc_curve([1] * 1000 + [0] * 1000, -np.concatenate([known, unknown]))
    assert metrics.fpr_at_95_tpr(known, unknown) == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=2e-3)


def test_calibration_error_of_a_known_case():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    assert metrics.expected_calibration_error(confidence, right) == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.05)


def test_a_perfectly_calibrated_answer_has_hardly_any_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 200_000)
    assert metrics.expected_calibration_error(confidence, rng.uniform(0, 1, 200_000) < confidence) < 0.01


def test_forgetting_is_the_fall_from_the_best_earlier_accuracy():
    accuracy = np.array([[1.0, 0, 0], [0.8, 0.9, 0], [0.9, 0.5, 1.0]])
    assert metrics.forgetting(accuracy) == pytest.approx(((1.0 - 0.9) + (0.9 - 0.5)) / 2)


def test_average_accuracy_counts_the_classes_taught_so_far():
    accuracy = np.array([[1.0, 0, 0], [0.8, 0.9, 0], [0.9, 0.5, 1.0]])
    assert metrics.average_accuracy(accuracy) == pytest.approx((1.0 + 0.85 + 0.8) / 3)


def test_a_single_lesson_forgets_nothing():
    assert metrics.forgetting(np.array([[0.7]])) == 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs in a simulated hand, as train/ and test/, and a fifth of another kind."""
    root = tmp_path_factory.mktemp("things")
    plan = [("train", 6, 1), ("test", 4, 2)]
    for name in ("cat", "coffee", "rocket", "astronaut"):
        for part, count, seed in plan:
            (root / part / name).mkdir(parents=True)
            frames = open_camera(f"sample://{name}?seed={seed}&frames={count * 5}", CameraSettings())
            for index, frame in enumerate(frames):
                if index % 5 == 0:
                    cv2.imwrite(str(root / part / name / f"{index:03d}.png"), frame.image)
    (root / "strange").mkdir()
    for index, frame in enumerate(open_camera("sample://brick?seed=3&frames=3", CameraSettings())):
        cv2.imwrite(str(root / "strange" / f"{index}.png"), frame.image)
    return root


@pytest.fixture(scope="module")
def backbone(backbone_folder):
    return Backbone(backbone_folder, BackboneSettings(precision="int8"))


def nc(folder, backbone, **more):
    return new_classes(Setting(folder, keep=4, **more), backbone)


def test_new_classes_are_learned_one_a_lesson(folder, backbone):
    result = nc(folder, backbone)
    assert (result.classes, result.examples_kept_per_class, result.precision) == (4, 4, "int8")
    assert result.final_accuracy > 0.9
    assert set(result.per_class) == {"cat", "coffee", "rocket", "astronaut"}
    assert result.bytes_memory == 16 * (192 * 7 * 7 + 4 * 1280)
    assert "4 classes" in new_classes_text(result)


def test_final_accuracy_is_the_share_of_test_pictures_answered_right(folder, backbone):
    result = nc(folder, backbone)
    sizes = {name: len(list((folder / "test" / name).iterdir())) for name in result.per_class}
    right = sum(result.per_class[name] * sizes[name] for name in sizes)
    assert result.final_accuracy == pytest.approx(right / sum(sizes.values()))


def test_the_order_of_the_classes_does_not_change_the_outcome(folder, backbone):
    assert nc(folder, backbone).per_class == nc(folder, backbone, order_seed=3).per_class


def test_open_set_tells_another_kind_of_picture(folder, backbone):
    result = open_set(Setting(folder, keep=4), folder / "strange", 1, backbone)
    assert result.known_classes == 3
    assert result.auroc_far > 0.9
    assert 0.0 <= result.ece <= 1.0
    assert "far unknown" in open_set_text(result)


def test_embeddings_from_the_cache_are_those_computed(folder, backbone, tmp_path):
    paths = images_below(folder / "test")
    computed = streams.embed_files(paths, backbone, kept=False, cache=tmp_path)
    assert np.array_equal(streams.embed_files(paths, backbone, kept=False, cache=tmp_path), computed)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_never_crosses_precisions(folder, backbone, backbone_folder, tmp_path):
    paths = images_below(folder / "strange")
    other = Backbone(backbone_folder, BackboneSettings(precision="fp32"))
    streams.embed_files(paths, backbone, kept=False, cache=tmp_path)
    streams.embed_files(paths, other, kept=False, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_cache_notices_a_changed_picture_of_the_same_size_and_time(backbone, tmp_path):
    path = tmp_path / "a.bmp"
    found = []
    for colour in (0, 200):
        cv2.imwrite(str(path), np.full((40, 40, 3), colour, np.uint8))
        os.utime(path, (1.0, 1.0))
        found.append(streams.embed_files([path], backbone, kept=False, cache=tmp_path / "cache"))
    assert not np.allclose(*found)


def test_the_cache_tells_what_the_memory_keeps_from_what_the_live_view_sees(folder, backbone_folder, tmp_path):
    backbone = Backbone(backbone_folder, BackboneSettings(precision="fp32"))
    paths = images_below(folder / "strange")
    live, kept = (streams.embed_files(paths, backbone, kept=kept, cache=tmp_path) for kept in (False, True))
    assert np.abs(live - kept).max() > 0


@pytest.mark.parametrize("damage", [b"", b"junk", "shape", "not finite"])
def test_a_damaged_entry_of_the_cache_is_made_anew(damage, folder, backbone, tmp_path):
    paths = images_below(folder / "strange")
    computed = streams.embed_files(paths, backbone, kept=False, cache=tmp_path)
    (entry,) = tmp_path.iterdir()
    if damage == "shape":
        np.save(entry, computed[:1])
    elif damage == "not finite":
        np.save(entry, computed * np.nan)
    else:
        entry.write_bytes(damage)
    assert np.array_equal(streams.embed_files(paths, backbone, kept=False, cache=tmp_path), computed)


def test_a_folder_without_classes_is_refused(backbone, tmp_path):
    with pytest.raises(InputRefused, match="train/CLASS"):
        nc(tmp_path, backbone)


def test_an_unknown_head_is_refused_before_anything_is_embedded(tmp_path, backbone):
    with pytest.raises(ConfigRefused, match="oracle"):
        nc(tmp_path / "nothing here", backbone, head="oracle")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_without_pictures_in_one_part_is_refused(part, folder, backbone, tmp_path):
    shutil.copytree(folder, tmp_path / "gap")
    for picture in (tmp_path / "gap" / part / "cat").iterdir():
        picture.unlink()
    with pytest.raises(InputRefused, match="cat"):
        nc(tmp_path / "gap", backbone)


def test_a_head_that_cannot_tell_the_classes_apart_is_not_called_right(folder, backbone, monkeypatch):
    monkeypatch.setattr(LinearHead, "logits", lambda head, vectors: np.zeros((len(vectors), len(head.bias))))
    assert nc(folder, backbone).final_accuracy == 0.25


def test_pictures_to_learn_from_and_pictures_to_ask_about_are_never_mixed(folder, backbone):
    stream = streams.class_stream(folder, backbone, 0)
    files = {part: images_below(folder / part) for part in ("train", "test")}
    assert np.array_equal(stream.train.vectors, streams.embed_files(files["train"], backbone, kept=True))
    assert np.array_equal(stream.test.vectors, streams.embed_files(files["test"], backbone, kept=False))


def test_what_is_unknown_does_not_depend_on_how_the_head_came_about(folder, backbone):
    stream = streams.class_stream(folder, backbone, 0)
    fit = fit_of("softmax")
    *_, last = taught(stream, backbone, 4, fit, lessons_of(4, None))
    scores = []
    for head in (last.head, fit(replace(last.view, known_stats=None))):
        recogniser = Recogniser.of(last.view, head, fit)
        asked = stream.test.vectors
        scores.append(recogniser.rejector.scores(asked, head.logits(asked)))
    assert np.abs(scores[0] - scores[1]).max() < 1e-3


@pytest.fixture(scope="module")
def speed(backbone_folder):
    told = []
    result = measure(backbone_folder, BackboneSettings(precision="int8", threads=1), [2, 5], 3, told.append)
    return result, told


def test_the_benchmark_times_a_lesson_for_each_size_of_memory(speed):
    result, told = speed
    assert [(lesson.classes, lesson.examples) for lesson in result.lessons] == [(2, 40), (5, 100)]
    assert "lesson with 5 classes known" in told


def test_the_benchmark_compares_with_the_bare_network(speed):
    result, _ = speed
    assert result.pipeline_ratio is not None
    assert min(result.bare_ms_p50, result.embed_ms_p50, result.pipeline_ms_p50) > 0


def test_the_benchmark_measures_a_process_of_its_own(speed):
    result, _ = speed
    assert 50 < result.peak_rss_mb < 1000
    assert result.start_to_first_prediction_s > 0
    assert "start to prediction" in speed_text(result)


def test_the_eval_command_prints_the_documented_fields(folder, backbone_folder, tmp_path):
    install_first(tmp_path, backbone_folder)
    found = run("eval", "nc", str(folder), "--keep", "4", "--home", str(tmp_path), "--json").record
    assert {"protocol", "final_accuracy", "forgetting", "per_class", "embedding", "precision"} <= set(found)
    assert (found["protocol"], found["stream"], found["seed"]) == ("nc", folder.name, 0)


def test_the_openset_command_prints_the_documented_fields(folder, backbone_folder, tmp_path):
    install_first(tmp_path, backbone_folder)
    strange = str(folder / "strange")
    found = run(
        "eval", "openset", str(folder), "--unknown", strange, "--keep", "4", "--home", str(tmp_path), "--json"
    ).record
    assert {"auroc_far", "fpr95_far", "auroc_near", "ece", "accuracy_known"} <= set(found)
    assert found["unseen_classes"] == 1


def test_leaving_out_every_class_is_refused(folder, backbone):
    with pytest.raises(InputRefused, match="4 classes"):
        open_set(Setting(folder, keep=4), folder / "strange", 4, backbone)
