"""Teaching, predicting and changing one's mind, through the command line."""

import itertools
import os
import shutil
from pathlib import Path

import cv2
import pytest
from commands import bare_home, picture, run, run_process, save_pictures, save_video

from edgecl.memory.store import Store

LESSON_FIELDS = {
    "lesson", "kind", "class_id", "label", "origin", "seen", "kept", "redundant", "rejected", "reasons", "taken_at",
    "undone_at", "example", "from_label",
}  # fmt: skip
REPORT_FIELDS = LESSON_FIELDS | {"accuracy", "others_before", "others_after", "first_ms", "full_ms", "waits"}
FRAME_FIELDS = {"source", "index", "label", "probability", "top", "unknown_score", "age", "taken_at"}


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory, backbone_folder):
    """A home that knows a cat and a coffee; copied, never changed."""
    home = bare_home(tmp_path_factory.mktemp("taught") / "home", backbone_folder)
    for name in ("cat", "coffee"):
        assert run("teach", name, f"sample://{name}", "--seconds", 6, "--home", home).status == 0
    return home


@pytest.fixture
def home(tmp_path, two_classes):
    return shutil.copytree(two_classes, tmp_path / "home", symlinks=True)


def labels(home, source, *options):
    """What the frames of `source` are taken for."""
    told = run("predict", source, "--json", "--home", home, *options)
    assert told.status == 0, told.err
    return [record["label"] for record in told.records]


def classes(home):
    return {one["label"]: one for one in run("classes", "list", "--home", home, "--json").records}


def test_what_is_taught_is_recognised_and_what_is_undone_is_not(tmp_path, backbone_folder):
    home = bare_home(tmp_path / "home", backbone_folder)
    for name in ("cat", "coffee"):
        taught = run("teach", name, f"sample://{name}", "--seconds", 6, "--home", home, "--json")
        assert taught.record.keys() == REPORT_FIELDS
        assert taught.record["seen"] == sum(taught.record[part] for part in ("kept", "redundant", "rejected"))
    assert labels(home, "sample://coffee?seed=7", "--limit", 5, "--every", 10) == ["coffee"] * 5
    undone = run("undo", "--home", home, "--json").record
    assert (undone["label"], undone["kind"]) == ("coffee", "teach")
    assert undone["undone_at"] is not None
    assert "coffee" not in labels(home, "sample://coffee?seed=7", "--limit", 5, "--every", 10)
    assert list(classes(home)) == ["cat"]


def test_the_report_tells_what_was_seen_kept_and_learned(home):
    told = run("teach", "rocket", "sample://rocket", "--seconds", 6, "--home", home)
    assert told.status == 0
    assert "taught 'rocket'" in told.out
    for word in ("seen", "kept", "redundant", "rejected", "too soon", "first answer", "the others"):
        assert word in told.out
    assert told.err == ""


def test_a_source_without_an_end_is_taught_for_five_seconds(home):
    assert run("teach", "rocket", "sample://rocket", "--home", home, "--json").record["seen"] == 75


def test_a_live_source_is_taught_as_long_as_asked(home):
    record = run("teach", "rocket", "sample://rocket?fps=30", "--seconds", 1, "--home", home, "--json").record
    assert 2 <= record["seen"] <= 31
    assert record["origin"] == "camera"


def test_a_video_is_taught_and_recognised(home, tmp_path):
    video = save_video(tmp_path / "rocket.mp4", "rocket")
    taught = run("teach", "rocket", video, "--limit", 30, "--home", home, "--json").record
    assert (taught["seen"], taught["origin"]) == (30, "folder")
    told = run("predict", video, "--home", home)
    assert told.status == 0
    assert len(told.out.splitlines()) == 40
    assert "rocket.mp4: 40 frames: rocket" in told.err


def test_a_folder_of_pictures_is_taught_and_each_is_predicted_by_its_path(home, tmp_path):
    folder = save_pictures(tmp_path / "rocket", "rocket")
    assert run("teach", "rocket", folder, "--home", home, "--json").record["kept"] == 6
    told = run("predict", folder, "--home", home, "--json").records
    assert [one["source"] for one in told] == [str(folder / f"{number}.png") for number in range(6)]
    assert {one["label"] for one in told} == {"rocket"}


def test_pictures_may_come_through_standard_input(home):
    jpeg = cv2.imencode(".jpg", picture("cat"))[1].tobytes()
    one = run_process("predict", "-", "--home", home, "--json", stdin=jpeg)
    assert [record["label"] for record in one.records] == ["cat"]
    stream = b"".join(cv2.imencode(".jpg", picture("rocket", at_s=at))[1].tobytes() for at in (0.0, 2.0, 4.0))
    assert run_process("teach", "rocket", "-", "--home", home, "--json", stdin=stream).record["seen"] == 3


def test_several_sources_are_predicted_in_their_order_and_a_bad_one_costs_only_itself(home, tmp_path):
    good = save_pictures(tmp_path / "good", "cat", 1)
    told = run("predict", good, tmp_path / "missing.jpg", good, "--home", home, "--json")
    assert told.status == 1
    assert [record["label"] for record in told.records] == ["cat", "cat"]
    assert told.err.count("\n") == 1
    assert "missing.jpg" in told.err


def test_every_frame_is_one_object_with_the_documented_fields(home):
    told = run("predict", "sample://cat?seed=8", "--limit", 3, "--every", 4, "--home", home, "--json").records
    assert [record["index"] for record in told] == [0, 4, 8]
    for record in told:
        assert record.keys() == FRAME_FIELDS
        assert record["top"][0].keys() == {"label", "probability"}
        assert 0 <= record["probability"] <= 1
        assert 0 <= record["unknown_score"] <= 1
        assert (record["label"] is None) == (record["unknown_score"] > 0.5)


def test_a_stranger_is_unknown(home):
    assert set(labels(home, "sample://coins?seed=2", "--limit", 5)) == {None}
    assert "unknown" in run("predict", "sample://coins", "--limit", 1, "--home", home).out


def wavering(records):
    """How much the answers change from frame to frame."""
    return sum(abs(b["unknown_score"] - a["unknown_score"]) for a, b in itertools.pairwise(records))


def test_without_smoothing_every_frame_is_judged_alone(home, tmp_path):
    video = save_video(tmp_path / "two.mp4", "cat", 20)
    alone = run("predict", video, "--no-smooth", "--home", home, "--json").records
    smooth = run("predict", video, "--home", home, "--json").records
    assert wavering(smooth) < wavering(alone)


def test_uncertain_frames_wait_for_review_and_can_be_taught_or_dropped(home):
    told = run(
        "predict", "sample://coins", "sample://rocket", "--limit", 20, "--review", "--home", home, "--json"
    ).records
    kept = [record["review"] for record in told if record["review"] is not None]
    waiting = run("review", "--home", home, "--json").records
    assert [record["review"] for record in waiting] == kept
    assert len(kept) >= 2
    assert waiting[0].keys() == {"review", "guess", "probability", "unknown_score", "taken_at", "camera"}
    assert run("review", "label", kept[0], "thing", "--home", home, "--json").record["label"] == "thing"
    assert run("review", "drop", kept[1], "--home", home, "--json").record["review"] == kept[1]
    left = run("review", "list", "--home", home, "--json").records
    assert [record["review"] for record in left] == kept[2:]
    assert classes(home)["thing"]["examples"] == 1
    assert "frame" in run("review", "--home", home).out


def test_an_example_can_be_corrected_to_another_class(home, tmp_path):
    listed = run("examples", "cat", "--pictures", tmp_path / "pictures", "--home", home, "--json").records
    number = listed[0]["example"]
    assert listed[0].keys() == {"example", "lesson", "label", "taken_at", "camera"}
    assert (tmp_path / "pictures" / f"{number}.jpg").read_bytes().startswith(b"\xff\xd8")
    done = run("correct", number, "dog", "--home", home, "--json").record
    assert (done["kind"], done["label"], done["from_label"], done["example"]) == ("correct", "dog", "cat", number)
    assert [one["example"] for one in run("examples", "dog", "--home", home, "--json").records] == [number]


def test_classes_are_listed_renamed_and_merged(home):
    found = classes(home)
    assert found["cat"].keys() == {"label", "id", "examples", "accuracy", "taught_at"}
    assert run("classes", "rename", "cat", "Katze", "--home", home).status == 0
    assert labels(home, "sample://cat?seed=8", "--limit", 1) == ["Katze"]
    assert run("classes", "merge", "coffee", "Katze", "--home", home).status == 0
    merged = classes(home)
    assert list(merged) == ["Katze"]
    assert merged["Katze"]["examples"] == found["cat"]["examples"] + found["coffee"]["examples"]


def test_the_history_is_newest_first_and_keeps_what_was_undone(home):
    run("undo", "--home", home)
    told = run("history", "--home", home, "--json").records
    assert [(one["label"], one["undone_at"] is None) for one in told] == [("coffee", False), ("cat", True)]
    assert all(one.keys() == LESSON_FIELDS for one in told)
    assert [one["label"] for one in run("history", "--limit", 1, "--home", home, "--json").records] == ["coffee"]
    assert "(undone " in run("history", "--home", home).out


def test_forgetting_is_confirmed_proved_and_final(home):
    refused = run_process("forget", "cat", "--home", home)
    assert refused.status == 1
    assert "--yes" in refused.err
    proof = run("forget", "cat", "--yes", "--home", home, "--json").record
    assert proof["examples"] > 0
    assert (proof["found"], proof["copies"]) == (0, [])
    assert list(classes(home)) == ["coffee"]
    assert "cat" not in run("history", "--home", home).out
    assert "cat" not in labels(home, "sample://cat?seed=8", "--limit", 3)


def test_a_backup_brings_back_what_was_forgotten(home, tmp_path):
    saved = run("backup", tmp_path / "saved.db", "--home", home, "--json").record
    assert saved["bytes"] == (tmp_path / "saved.db").stat().st_size
    assert run("forget", "cat", "--yes", "--home", home).status == 0
    restored = run("restore", tmp_path / "saved.db", "--home", home, "--json").record
    assert restored["classes"] == ["cat", "coffee"]
    assert restored["previous"] is not None
    assert labels(home, "sample://cat?seed=8", "--limit", 1) == ["cat"]


def test_the_status_tells_what_the_home_holds(home):
    record = run("status", "--home", home, "--json").record
    assert (record["classes"], record["revision"], record["head_revision"]) == (2, 2, 2)
    assert record["backbone"] == "efficientnet-lite0"
    assert record["last_lesson"]["label"] == "coffee"
    assert "up to date" in run("status", "--home", home).out


def test_what_only_reads_works_beside_a_process_that_writes(home):
    with Store(home):
        for command in (("classes", "list"), ("history",), ("status",), ("review",), ("examples", "cat"), ("doctor",)):
            assert run(*command, "--home", home).status == 0, command
        assert labels(home, "sample://cat?seed=8", "--limit", 1) == ["cat"]


def test_a_head_that_is_behind_is_learned_again_without_being_written(home):
    with Store(home) as store:  # as a writer does that is killed between lesson and fit
        store.rename("cat", "kitten")
        before = store.revision
    assert labels(home, "sample://cat?seed=8", "--limit", 1) == ["kitten"]
    status = run("status", "--home", home, "--json").record
    assert (status["revision"], status["head_revision"], status["head_is_current"]) == (before, before - 1, False)
    assert "behind" in run("status", "--home", home).out
    run("undo", "--home", home)
    assert run("status", "--home", home, "--json").record["head_is_current"]


def test_the_learned_head_is_exported_and_answers_as_the_live_path(home, tmp_path):
    record = run("head", "export", tmp_path / "head.onnx", "--verify", "--home", home, "--json").record
    assert record["bytes"] == (tmp_path / "head.onnx").stat().st_size
    assert record["verified"]["pixel_max_abs"] <= 1
    assert record["verified"]["probability_max_abs"] < 0.1
    assert "cat" in record["metadata"]["labels"]
    tried = run("head", "export", "--verify", "--home", home)
    assert "same class for" in tried.out


@pytest.mark.skipif("EDGECL_DATA" not in os.environ, reason="EDGECL_DATA names no folder with video/*.mp4")
def test_things_in_real_videos_are_told_apart(tmp_path, backbone_folder):
    videos = Path(os.environ["EDGECL_DATA"]) / "video"
    home = bare_home(tmp_path / "home", backbone_folder)
    names = ("cup", "apple", "backpack", "teddy")
    for name in names:
        assert run("teach", name, videos / f"{name}.mp4", "--home", home).status == 0
    for name in names:
        told = labels(home, videos / f"{name}.mp4", "--every", 10)
        assert told.count(name) / len(told) > 0.9
    strangers = labels(home, videos / "bottle-detection.mp4", "--every", 50)
    assert strangers.count(None) / len(strangers) > 0.9


def test_a_name_that_only_the_history_knows_can_be_forgotten(home):
    assert run("teach", "secret", "sample://coins", "--limit", 4, "--home", home).status == 0
    assert run("undo", "--home", home).status == 0
    assert "secret" in run("history", "--home", home).out
    assert run("forget", "secret", "--yes", "--home", home).status == 0
    assert "secret" not in run("history", "--home", home).out
