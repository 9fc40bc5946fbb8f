"""Bad input and bad luck: one message that helps, status 1, and nothing that was taught is lost."""

import itertools
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import cv2
import pytest
from camera_servers import Server, serving
from commands import PROGRAM, bare_home, picture, run, run_process, save_pictures, save_video

from edgecl.cli import exporting
from edgecl.errors import ExtraMissing
from edgecl.memory.store import Store
from edgecl.releases import install_first


@pytest.fixture
def home(tmp_path, backbone_folder):
    home = bare_home(tmp_path / "home", backbone_folder)
    assert run("teach", "cat", "sample://cat", "--limit", 9, "--home", home).status == 0
    return home


def known(home):
    return run("classes", "list", "--home", home, "--json").out


def assert_refused(result, *words):
    """One message, in words, and no answer."""
    assert result.status == 1, result
    assert result.out == ""
    assert result.err.startswith("edgecl: ")
    assert result.err.count("\n") == 1, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def png_that_claims(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def bad_files():
    jpeg = cv2.imencode(".jpg", picture("cat"))[1].tobytes()
    return {
        "empty.jpg": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "text.png": b"I am no picture",
        "text.mp4": b"I am no video",
        "empty.mp4": b"",
        "text.dat": b"I am nothing at all",
        "huge.png": png_that_claims(40_000, 40_000),
    }


@pytest.mark.parametrize("command", ["teach", "predict"])
@pytest.mark.parametrize("name", [*bad_files(), "missing.jpg", "missing.mp4", "missing", "folder", "nonsense://x"])
def test_a_source_that_cannot_be_read_is_refused(home, tmp_path, name, command):
    (tmp_path / "folder").mkdir()
    for file, data in bad_files().items():
        (tmp_path / file).write_bytes(data)
    before = known(home)
    source = name if "://" in name else tmp_path / name
    words = ["teach", "zebra", source] if command == "teach" else ["predict", source]
    assert_refused(run(*words, "--home", home), name, "expected")
    assert known(home) == before


def test_a_huge_picture_says_its_size(home, tmp_path):
    (tmp_path / "huge.png").write_bytes(png_that_claims(40_000, 40_000))
    assert "40,000 × 40,000 px" in run("predict", tmp_path / "huge.png", "--home", home).err


def test_an_unreadable_video_ends_the_process_in_order(home, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert_refused(run_process("predict", tmp_path / "empty.mp4", "--home", home), "empty.mp4")


def test_a_video_that_breaks_off_teaches_nothing(home, tmp_path):
    whole = save_video(tmp_path / "whole.avi", "rocket")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    before = known(home)
    assert_refused(run("teach", "rocket", tmp_path / "cut.avi", "--home", home), "cut.avi", "of the 40 frames")
    assert known(home) == before


def test_a_camera_that_stalls_teaches_nothing(home, tmp_path):
    (home / "edgecl.toml").write_text("[camera]\nopen_timeout_s = 1\nread_timeout_s = 1\n")
    pipe = tmp_path / "silent.mp4"
    os.mkfifo(pipe)
    before = known(home)
    assert_refused(run("teach", "zebra", pipe, "--home", home), "silent.mp4")
    assert known(home) == before


@pytest.fixture
def faltering(home):
    """The address of a camera that falls silent after every third picture, for longer than the read time-out."""
    (home / "edgecl.toml").write_text("[camera]\nread_timeout_s = 0.3\nretry_first_s = 0.5\nretry_longest_s = 0.5\n")
    with serving(Server(pictures=3, after="stall")) as server:
        yield f"http://{server.address}/stream"


def test_predicting_goes_on_when_a_camera_comes_back_and_says_each_change_once(home, faltering):
    told = run("predict", faltering, "--limit", 4, "--home", home)
    assert told.status == 0, told.err
    assert len(told.out.splitlines()) == 4
    *changes, _ = told.err.splitlines()
    assert len(changes) >= 2
    for line, words in zip(changes, itertools.cycle(["found no new picture", "gives pictures again"])):
        assert words in line


def test_a_camera_that_stalls_during_a_lesson_teaches_nothing(home, faltering):
    before = known(home)
    assert_refused(run("teach", "zebra", faltering, "--limit", 100, "--home", home), "found no new picture")
    assert known(home) == before


@pytest.fixture
def mixed(tmp_path):
    """A folder of three pictures, one of them cut off."""
    folder = save_pictures(tmp_path / "mixed", "rocket", 3)
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:-100])
    return folder


def test_a_picture_of_a_folder_that_cannot_be_read_is_named_and_counted(home, mixed):
    taught = run("teach", "rocket", mixed, "--home", home, "--json")
    assert taught.status == 0
    assert (taught.record["seen"], taught.record["reasons"]) == (3, {"unreadable": 1})
    assert taught.err.startswith("edgecl: found a PNG image") and "1.png" in taught.err


def test_predicting_a_folder_names_the_picture_that_cannot_be_read_and_fails_after_the_others(home, mixed):
    told = run("predict", mixed, "--home", home, "--json")
    assert (told.status, len(told.records)) == (1, 2)
    assert "1.png" in told.err


@pytest.mark.parametrize("data", [b"", b"no picture"], ids=["empty", "text"])
def test_standard_input_that_is_no_picture_is_refused(home, data):
    assert_refused(run_process("teach", "zebra", "-", "--home", home, stdin=data), "standard input")


@pytest.mark.parametrize(
    "label",
    ["x" * 10_000, "../cup", "a/b", "..", "", "  ", "a\x1b[31mred", "a\nb", "zero\u200bwidth"],
    ids=["long", "parent", "slash", "dots", "empty", "blank", "escape", "newline", "invisible"],
)
def test_what_cannot_be_a_label_is_refused(home, label):
    before = known(home)
    for command in (("teach", label, "sample://cat"), ("classes", "rename", "cat", label), ("correct", 1, label)):
        assert_refused(run(*command, "--home", home))
    assert known(home) == before


@pytest.mark.parametrize(
    "command",
    [
        ("forget", "kat", "--yes"),
        ("examples", "kat"),
        ("classes", "rename", "kat", "dog"),
        ("classes", "merge", "kat", "cat"),
        ("classes", "merge", "cat", "kat"),
    ],
    ids=" ".join,
)
def test_an_unknown_class_is_refused_and_one_that_looks_alike_is_named(home, command):
    assert_refused(run(*command, "--home", home), "'kat'", "'cat'")


@pytest.mark.parametrize(
    "command", [("correct", 999, "dog"), ("review", "label", 999, "dog"), ("review", "drop", 999)], ids=str
)
def test_a_number_that_is_not_there_is_refused(home, command):
    assert_refused(run(*command, "--home", home), "999")


def test_undoing_more_than_was_done_is_refused(home):
    assert run("undo", "--home", home).status == 0
    assert_refused(run("undo", "--home", home), "no lesson")


def test_a_lesson_that_shows_nothing_new_is_refused(home):
    before = known(home)
    assert_refused(run("teach", "cat", "sample://cat", "--limit", 9, "--home", home), "no new view of 'cat'")
    assert known(home) == before


def test_a_second_writer_is_refused_while_the_first_writes(home):
    with Store(home):
        for command in (("teach", "zebra", "sample://cat"), ("undo",), ("predict", "sample://cat", "--review")):
            assert_refused(run(*command, "--home", home), f"pid {os.getpid()}")


@pytest.mark.parametrize("command", ["status", "history", "classes list", "examples cat", "head export --verify"])
def test_a_home_where_nothing_was_taught_says_so(tmp_path, backbone_folder, command):
    home = bare_home(tmp_path / "home", backbone_folder)
    assert_refused(run(*command.split(), "--home", home), "teach a first class")


def test_a_home_without_a_backbone_says_how_to_get_one(tmp_path):
    assert_refused(run("predict", "sample://cat", "--home", tmp_path / "home"), "edgecl export")


def test_the_first_lesson_of_a_new_home_makes_its_backbone(tmp_path, backbone_folder, monkeypatch):
    def made(place, *others):
        install_first(place.folder, backbone_folder)
        return "made"

    monkeypatch.setattr(exporting, "_deliver", made)
    monkeypatch.setattr(exporting, "_text", str)
    told = run("teach", "cat", "sample://cat?frames=10", "--home", tmp_path / "home")
    assert told.status == 0, told.err
    assert told.err.splitlines()[1] == "made"


def test_where_no_backbone_can_be_made_the_first_lesson_says_how_to_get_one(tmp_path, monkeypatch):
    def lacking(*others):
        raise ExtraMissing("edgecl export", "train")

    monkeypatch.setattr(exporting, "_deliver", lacking)
    told = run("teach", "cat", "sample://cat", "--home", tmp_path / "home")
    assert (told.status, told.out) == (1, "")
    assert "a wheel that carries one" in told.err.splitlines()[-1]


def test_a_backbone_that_was_lost_is_not_made_anew(tmp_path, backbone_folder):
    home = tmp_path / "home"
    install_first(home, backbone_folder)
    (home / "current" / "manifest.json").unlink()
    assert_refused(run("teach", "zebra", "sample://cat", "--home", home), "edgecl release rollback")


def test_a_damaged_memory_is_named_and_left_as_it_is(home):
    path = home / "edgecl.db"
    for damage in (b"no database at all", path.read_bytes()[:5000]):
        path.write_bytes(damage)
        for command in (("status",), ("teach", "zebra", "sample://cat", "--limit", 3), ("predict", "sample://cat")):
            assert_refused(run(*command, "--home", home), "edgecl.db", "damaged", "edgecl restore")
        assert path.read_bytes() == damage


def test_a_backup_that_is_none_is_refused(home, tmp_path):
    (tmp_path / "text.db").write_text("no database")
    before = known(home)
    for name in ("text.db", "missing.db"):
        assert_refused(run("restore", tmp_path / name, "--home", home), name)
    assert known(home) == before


def test_a_backup_overwrites_nothing(home, tmp_path):
    (tmp_path / "mine").write_text("mine")
    assert_refused(run("backup", tmp_path / "mine", "--home", home), "overwrites nothing")
    assert (tmp_path / "mine").read_text() == "mine"
    assert_refused(run("backup", tmp_path / "no" / "such" / "folder", "--home", home), "could not write")


def test_a_release_whose_digest_differs_is_refused(tmp_path, backbone_folder):
    home = tmp_path / "home"
    release = install_first(home, backbone_folder)
    path = release / "tail.int8.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert_refused(run("teach", "cat", "sample://cat", "--home", home), "sha256", "tail.int8.onnx")


def test_settings_that_cannot_be_used_are_named(home):
    (home / "edgecl.toml").write_text("[memory]\nper_class = 0\n")
    assert_refused(run("status", "--home", home), "memory.per_class", "0")


def test_examples_of_another_precision_are_not_mixed_in(home):
    (home / "edgecl.toml").write_text('[backbone]\nprecision = "fp32"\n')
    assert_refused(run("predict", "sample://cat", "--limit", 1, "--home", home), "trunk")


def test_a_home_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(run("status", "--home", tmp_path / "file" / "home"))


def test_a_disk_that_is_full_loses_nothing(home):
    before = known(home)
    # No file may grow beyond 64 blocks of 1 KiB, less than the memory already has. A coverage run that watches this
    # process would write a file of its own, and complain.
    full = ("bash", "-c", 'unset "${!COV@}"; ulimit -f 64; exec "$@"', "bash")
    assert_refused(run_process("teach", "zebra", "sample://coffee", "--limit", 30, "--home", home, wrap=full), "write")
    assert known(home) == before
    assert run("teach", "zebra", "sample://coffee", "--limit", 30, "--home", home).status == 0


def test_a_read_only_disk_can_be_read_and_not_taught(home):
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    wrap = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(home))
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no ordinary process mount a disk of its own")
    told = run_process("predict", "sample://cat", "--limit", 1, "--home", home, "--json", wrap=wrap)
    assert told.record["label"] == "cat", told.err
    assert_refused(run_process("teach", "zebra", "sample://coffee", "--home", home, wrap=wrap), "could not write")


def test_an_export_does_not_make_examples_unreadable(home, backbone_folder):
    target = home / "current"
    target.unlink()
    shutil.copytree(backbone_folder, target)
    before = known(home)
    assert_refused(run("export", "--backbone", "efficientnet-lite2", "--home", home), "efficientnet-lite0", "--force")
    assert known(home) == before


def test_an_unknown_backbone_is_refused(tmp_path):
    assert_refused(run("export", "--backbone", "resnet-9000", "--out", tmp_path / "x"), "resnet-9000")


def test_the_live_demonstration_needs_a_terminal(home):
    assert_refused(run_process("demo", "--terminal", "--home", home), "--script")


def test_json_is_json_where_the_terminal_has_no_unicode(home):
    assert run("classes", "rename", "cat", "kätzchen", "--home", home).status == 0
    told = run_process("classes", "list", "--json", "--home", home, wrap=("env", "PYTHONIOENCODING=ascii"))
    assert told.record["label"] == "kätzchen"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_answer_that_cannot_be_printed_says_that_the_work_is_done(home):
    with Path("/dev/full").open("w") as full:
        told = subprocess.run([*PROGRAM, "undo", "--home", home], stdout=full, stderr=subprocess.PIPE, text=True)
    assert told.returncode == 1
    assert "is done" in told.stderr
    assert "Traceback" not in told.stderr
    assert known(home) == ""


def test_a_folder_that_may_not_be_read_is_named(home, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr("edgecl.releases.current", refuse)
    assert_refused(run("predict", "sample://cat", "--limit", 1, "--home", home), "/secret", "rights")


def test_a_missing_library_of_the_system_is_named_with_its_package(home, monkeypatch):
    def refuse(*arguments):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("edgecl.releases.current", refuse)
    assert_refused(run("predict", "sample://cat", "--limit", 1, "--home", home), "libGL.so.1", "apt install libgl1")


def test_a_program_that_is_told_to_end_leaves_no_temporary_folder(home, tmp_path):
    (tmp_path / "scratch").mkdir()
    bench = [*PROGRAM, "bench", "--home", str(home), "--classes", "300"]
    process = subprocess.Popen(bench, env=os.environ | {"TMPDIR": str(tmp_path / "scratch")}, stderr=subprocess.PIPE)
    while not list((tmp_path / "scratch").glob("*/300/edgecl.db")):
        assert process.poll() is None
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert not list((tmp_path / "scratch").iterdir())
