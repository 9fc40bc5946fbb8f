"""Releases that must not run: each is refused with its reason, and not a byte of the home changes."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import struct
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tiny
from onnx import ModelProto, StringStringEntryProto, TensorProto, helper

from edgecl import golden
from edgecl.errors import ReleaseError, ReleaseRefused
from edgecl.files import sha256
from edgecl.home import Home
from edgecl.manifest import read_manifest
from edgecl.releases import slots, transitions
from edgecl.releases.bundle import BUNDLE_BYTES_MAX, Bundle, Folder, open_source, pack
from edgecl.releases.document import DOCUMENT_FILE, SIGNATURE_FILE, ReleaseDocument, described
from edgecl.releases.installing import ground_of, install, receive
from edgecl.releases.making import add_candidate, sign_release
from edgecl.releases.signing import generate, sign
from edgecl.releases.verification import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workstation with a signed release 2, and a device that trusts its owner."""
    root = tmp_path_factory.mktemp("made")
    backbone = tiny.backbone_folder(root / "backbone")
    tiny.home_of(root / "workstation", backbone)
    tiny.taught(root / "device", backbone)
    key = tiny.owner_of(root, root / "device", root / "workstation")
    tiny.candidate(root / "workstation", key)
    return root


@pytest.fixture
def place(made, tmp_path):
    """The same, to be spoiled: folders `workstation`, `device` and `release`, the key `owner.pem`."""
    for name in ("workstation", "device"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    shutil.copy2(made / "owner.pem", tmp_path / "owner.pem")
    shutil.copytree(made / "workstation" / "releases" / "0002", tmp_path / "release")
    return tmp_path


def assert_refused(place, source, reason, unsigned=False):
    home = place / "device"
    before, tail = tiny.tree(home), tiny.active_tail(home)
    with pytest.raises(ReleaseRefused, match=reason):
        receive(home, open_source(source), tiny.SETTINGS, unsigned)
    assert tiny.tree(home) == before
    assert tiny.active_tail(home) == tail


def document_of(folder):
    return json.loads((folder / DOCUMENT_FILE).read_bytes())


def rewrite(place, change, canonical=True):
    """Change release.json and sign it again, as its owner might."""
    folder = place / "release"
    values = document_of(folder)
    change(values)
    text = json.dumps(values, sort_keys=True, indent=1) + "\n" if canonical else json.dumps(values)
    (folder / DOCUMENT_FILE).write_text(text)
    (folder / SIGNATURE_FILE).write_bytes(sign(text.encode(), place / "owner.pem"))


def resigned(place, name, data):
    """Replace a file, and say so in a document that is signed again."""
    (place / "release" / name).write_bytes(data)
    rewrite(place, lambda values: values["files"][name].update(bytes=len(data), sha256=sha256(data)))


def with_tail(place, **how):
    """The release with another tail; document and signature are right."""
    folder = place / "release"
    manifest = read_manifest(folder)
    files = tiny.tail_files(manifest, (folder / "golden.npz").read_bytes(), **how)
    replaced(place, files)


def replaced(place, files):
    folder = place / "release"
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = read_manifest(folder)
    whole = {name: (folder / name).read_bytes() for name in document_of(folder)["files"]}
    parts = {name: file.model_dump() for name, file in described(whole, manifest).items()}
    rewrite(place, lambda values: values.update(files=parts))


def packed_release(place, whole=False):
    return pack(place / "release", place / "release.edgecl", "int8", whole).path


def members(path):
    with zipfile.ZipFile(path) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def zipped(path, files, prepare=lambda info: None, method=zipfile.ZIP_DEFLATED):
    """A ZIP file with these members, each as `prepare` leaves it."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o600) << 16
            info.create_system = 3
            prepare(info)
            file.writestr(info, data, method)
    return path


def test_the_release_that_is_spoiled_here_is_sound(place):
    for source in (place / "release", packed_release(place), packed_release(place, whole=True)):
        found = verify(open_source(source), ground_of(place / "device", tiny.SETTINGS))
        assert (found.document.number, found.golden.precision) == (2, "int8")
        assert found.signer is not None


# Who made it


def test_without_a_signature(place):
    (place / "release" / SIGNATURE_FILE).unlink()
    assert_refused(place, place / "release", "no signature")


def test_without_a_signature_it_is_taken_only_where_someone_here_says_so(place):
    (place / "release" / SIGNATURE_FILE).unlink()
    found = verify(open_source(place / "release"), ground_of(place / "device", tiny.SETTINGS), unsigned=True)
    assert found.signer is None


@pytest.mark.parametrize("unsigned", [False, True])
def test_with_the_signature_of_another_document(place, unsigned):
    other = sign(b"{}", place / "owner.pem")
    (place / "release" / SIGNATURE_FILE).write_bytes(other)
    assert_refused(place, place / "release", "wrong signature", unsigned)


@pytest.mark.parametrize("unsigned", [False, True])
def test_with_the_signature_of_a_stranger(place, unsigned):
    generate(place / "stranger.pem", "a stranger")
    sign_release(place / "release", place / "stranger.pem")
    assert_refused(place, place / "release", "expected one by .* trusted here", unsigned)


def test_with_a_signature_where_nobody_is_trusted(place):
    (place / "device" / "trusted_keys").unlink()
    assert_refused(place, place / "release", "no key is trusted here")


def test_with_a_strangers_signature_under_the_owners_name(place):
    generate(place / "stranger.pem", "a stranger")
    folder = place / "release"
    owners = json.loads((folder / SIGNATURE_FILE).read_bytes())
    strangers = json.loads(sign((folder / DOCUMENT_FILE).read_bytes(), place / "stranger.pem"))
    (folder / SIGNATURE_FILE).write_text(json.dumps(strangers | {"key": owners["key"]}))
    assert_refused(place, folder, "wrong signature")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"key": "0123456789abcdef"}',
        b'{"key": "0123456789abcdef", "signature": "AAAA"}',
        b'{"key": "0123456789abcdef", "signature": "not base64!"}',
        b'{"key": 7, "signature": "AAAA"}',
        b'{"key": "../../etc/passwd", "signature": "AAAA"}',
        b"[" * 900,
        b" " * 5000,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_with_a_malformed_signature(place, data):
    (place / "release" / SIGNATURE_FILE).write_bytes(data)
    assert_refused(place, place / "release", "malformed")


# What it says


def test_with_an_edited_document(place):
    folder = place / "release"
    text = (folder / DOCUMENT_FILE).read_text()
    (folder / DOCUMENT_FILE).write_text(text.replace('"seed": 1', '"seed": 2'))
    assert_refused(place, folder, "wrong signature")


def test_with_an_oversized_document(place):
    (place / "release" / DOCUMENT_FILE).write_bytes(b" " * 70_000)
    assert_refused(place, place / "release", "70000 bytes, expected at most 65536")


def test_with_a_document_that_is_none(place):
    (place / "release" / DOCUMENT_FILE).write_bytes(b"{")
    assert_refused(place, place / "release", "no release of format 1")


def test_without_a_document(place):
    (place / "release" / DOCUMENT_FILE).unlink()
    assert_refused(place, place / "release", "no release.json")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values.update(surprise=1), "surprise"),
        (lambda values: values.update(format=2), "format"),
        (lambda values: values.update(number=0), "number"),
        (lambda values: values.update(number="3"), "number"),
        (lambda values: values.update(number=10_000), "number"),
        (lambda values: values.update(parent=2), "parent"),
        (lambda values: values.update(accuracy_after=1.5), "accuracy_after"),
        (lambda values: values.update(recipe=""), "recipe"),
        (lambda values: values.pop("seed"), "seed"),
        (lambda values: values["files"]["report.md"].update(part="everyone"), "part"),
        (lambda values: values["files"]["report.md"].update(sha256="0" * 63), "sha256"),
        (lambda values: values["files"]["report.md"].update(bytes=-1), "bytes"),
        (lambda values: values["files"].pop("manifest.json"), "manifest.json"),
        (lambda values: values["files"].update({"../evil": values["files"]["report.md"]}), "files"),
        (lambda values: values["files"].update({"a/b": values["files"]["report.md"]}), "files"),
        (lambda values: values["files"].update({"/etc/x": values["files"]["report.md"]}), "files"),
        (lambda values: values["files"].update({"release.sig": values["files"]["report.md"]}), "itself"),
        (lambda values: values["files"].update({"REPORT.md": values["files"]["report.md"]}), "twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_with_a_document_of_another_kind(place, change, reason):
    rewrite(place, change)
    assert_refused(place, place / "release", rf"no release of format 1 .*{reason}")


def test_with_a_document_that_is_not_canonical(place):
    rewrite(place, lambda values: None, canonical=False)
    assert_refused(place, place / "release", "not canonical")


def test_with_a_field_twice_in_its_document(place):
    folder = place / "release"
    text = (folder / DOCUMENT_FILE).read_text().replace('"seed": 1', '"seed": 1,\n "seed": 1')
    (folder / DOCUMENT_FILE).write_text(text)
    (folder / SIGNATURE_FILE).write_bytes(sign(text.encode(), place / "owner.pem"))
    assert_refused(place, folder, "not canonical")


@pytest.mark.parametrize("number", [1, 2])
def test_with_a_number_that_ran_here_or_a_lower_one(place, number):
    home = place / "device"
    with Home.at(home).learner() as learner:
        receive(home, open_source(place / "release"), tiny.SETTINGS)
        install(learner, 2, tiny.files_of(home, 2))
    rewrite(place, lambda values: values.update(number=number, parent=None))
    assert_refused(place, place / "release", f"found release {number}, expected a number above 2")


def test_after_a_rollback_its_number_still_counts_as_used(place):
    home = place / "device"
    with Home.at(home).learner() as learner:
        receive(home, open_source(place / "release"), tiny.SETTINGS)
        install(learner, 2, tiny.files_of(home, 2))
    transitions.roll_back(home, "to see")
    assert_refused(place, place / "release", "expected a number above 2")


# Its files


@pytest.mark.parametrize("name", ["tail.int8.onnx", "manifest.json", "answers.npz", "report.md", "golden.npz"])
def test_with_an_edited_file(place, name):
    data = bytearray((place / "release" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (place / "release" / name).write_bytes(data)
    assert_refused(place, place / "release", f"{name} with sha256")


@pytest.mark.parametrize("name", ["tail.int8.onnx", "report.md"])
def test_with_a_truncated_file(place, name):
    data = (place / "release" / name).read_bytes()
    (place / "release" / name).write_bytes(data[:-1])
    assert_refused(place, place / "release", f"{name} of {len(data) - 1} bytes")


@pytest.mark.parametrize("name", ["tail.int8.onnx", "manifest.json", "answers.npz", "acceptance.json"])
def test_without_a_file_that_every_device_needs(place, name):
    (place / "release" / name).unlink()
    assert_refused(place, place / "release", f"no {name}")


def test_without_files_that_this_device_does_not_need_it_is_taken(place):
    for name in ("tail.fp32.onnx", "training.safetensors", "trunk.int8.onnx", "trunk.fp32.onnx", "golden.npz"):
        (place / "release" / name).unlink()
    found = verify(open_source(place / "release"), ground_of(place / "device", tiny.SETTINGS))
    assert "trunk.int8.onnx" in found.files
    assert "tail.fp32.onnx" not in found.files


def test_without_golden_pictures_where_the_device_has_others(place):
    (place / "release" / "golden.npz").unlink()
    active = slots.current(place / "device")
    (active / "golden.npz").write_bytes(b"other pictures")
    assert_refused(place, place / "release", r"no golden\.npz in the release, and none of its digest")


def test_with_an_extra_file(place):
    (place / "release" / "notes.txt").write_text("not mine")
    assert_refused(place, place / "release", "'notes.txt'.*does not name")


def test_with_a_symbolic_link(place):
    target = place / "elsewhere"
    (place / "release" / "report.md").rename(target)
    (place / "release" / "report.md").symlink_to(target)
    assert_refused(place, place / "release", "symbolic link 'report.md'")


def test_with_a_hard_link(place):
    os.link(place / "release" / "tail.int8.onnx", place / "second name")
    assert_refused(place, place / "release", "'tail.int8.onnx'.* 2 names")


def test_with_a_folder_in_it(place):
    (place / "release" / "more").mkdir()
    assert_refused(place, place / "release", "folder or device 'more'")


def test_with_a_pipe_in_it(place):
    (place / "release" / "report.md").unlink()
    os.mkfifo(place / "release" / "report.md")
    assert_refused(place, place / "release", "folder or device 'report.md'")


def test_with_hundreds_of_files(place):
    for number in range(100):
        (place / "release" / f"more-{number}").touch()
    assert_refused(place, place / "release", "more than 66 files")


def test_behind_a_link(place):
    (place / "link").symlink_to(place / "release")
    assert_refused(place, place / "link", "a link or device")


def test_that_is_not_there(place):
    with pytest.raises(ReleaseError, match="could not read"):
        open_source(place / "nothing")


def test_where_the_disk_is_too_full(place):
    ground = replace(ground_of(place / "device", tiny.SETTINGS), free=lambda folder: 10**6)
    before = tiny.tree(place / "device")
    with pytest.raises(ReleaseRefused, match="found 1 MB free"):
        verify(open_source(place / "release"), ground)
    assert tiny.tree(place / "device") == before


# What its backbone is


def test_for_another_trunk(place):
    other = tiny.home_of(place / "other", tiny.backbone_folder(place / "other backbone", gain=0.5))
    tiny.candidate(other, place / "owner.pem")
    assert_refused(place, other / "releases" / "0002", "a release for trunk")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.update(latent_shape=[3, 2, 8]), "latents of shape"),
        (lambda m: m["graphs"]["int8"]["latent"].update(scale=0.5), "in the code"),
        (lambda m: m["graphs"]["int8"]["latent"].update(zero_point=0), "in the code"),
        (lambda m: m["input"].update(crop=0.5), "of its pictures"),
        (lambda m: m["graphs"].pop("int8"), "expected int8"),
        (lambda m: m["graphs"]["int8"]["tail"].update(sha256="0" * 64), "otherwise than in release.json"),
        (lambda m: m["graphs"]["int8"]["tail"].update(file="trunk.int8.onnx"), "otherwise than in release.json"),
        (lambda m: m["golden"].update(file="nowhere.npz"), "otherwise than in release.json"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.update(format=1), "format"),
        (lambda m: m.update(dimension=17), "declares"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_with_a_manifest_that_does_not_fit(place, change, reason):
    values = json.loads((place / "release" / "manifest.json").read_bytes())
    change(values)
    resigned(place, "manifest.json", (json.dumps(values, sort_keys=True, indent=1) + "\n").encode())
    assert_refused(place, place / "release", reason)


def test_with_a_file_marked_for_others(place):
    rewrite(place, lambda values: values["files"]["golden.npz"].update(part="workstation"))
    assert_refused(place, place / "release", "golden.npz marked as workstation, expected trunk")


def test_with_a_tail_of_another_width(place):
    files = tiny.tail_files(read_manifest(place / "release"), (place / "release" / "golden.npz").read_bytes(), width=24)
    replaced(place, files)
    assert_refused(place, place / "release", r"shape \[24\].*declares \[16\]")


def test_with_a_tail_for_another_type_of_latents(place):
    files = dict.fromkeys(["tail.int8.onnx"], tiny.tail("fp32"))
    put_tail(place, files["tail.int8.onnx"])
    assert_refused(place, place / "release", r"type tensor\(float\)")


def put_tail(place, data):
    """Another int8 tail, with a manifest, a document and a signature that say so."""
    folder = place / "release"
    values = json.loads((folder / "manifest.json").read_bytes())
    values["graphs"]["int8"]["tail"].update(bytes=len(data), sha256=sha256(data))
    manifest = (json.dumps(values, sort_keys=True, indent=1) + "\n").encode()
    replaced(place, {"tail.int8.onnx": data, "manifest.json": manifest})


def test_with_numbers_that_are_not_finite(place):
    put_tail(place, tiny.tail("int8", factor=float("nan")))
    assert_refused(place, place / "release", "not finite")


def test_with_answers_that_its_graphs_do_not_give(place):
    put_tail(place, tiny.tail("int8", change=0.5))
    assert_refused(place, place / "release", "do not answer their golden pictures")


def test_with_golden_answers_of_another_shape(place):
    answers = {f"{precision}.embeddings": np.zeros((2, 16), np.float32) for precision in tiny.PRECISIONS}
    with_tail(place, answers=answers)
    assert_refused(place, place / "release", "golden arrays of shapes")


def test_with_golden_answers_that_are_not_finite(place):
    answers = {f"{precision}.embeddings": np.full((6, 16), np.nan, np.float32) for precision in tiny.PRECISIONS}
    with_tail(place, answers=answers)
    assert_refused(place, place / "release", "do not answer")


def test_with_golden_answers_that_unfold_to_more_than_any_have(place, monkeypatch):
    monkeypatch.setattr(golden, "UNFOLDED_BYTES_MAX", 10**5)
    answers = {f"{precision}.embeddings": np.zeros((6, 16), np.float32) for precision in tiny.PRECISIONS}
    with_tail(place, answers=answers | {"more": np.zeros(10**6, np.uint8)})
    assert_refused(place, place / "release", "bytes, expected at most 100000")


def test_with_a_tail_whose_embeddings_are_not_of_length_one(place):
    with_tail(place, factor=1000.0)
    assert_refused(place, place / "release", "embeddings whose length is .* off, expected a length of 1")


def test_with_a_time_that_no_calendar_has(place):
    rewrite(place, lambda values: values.update(created_at=1e300))
    assert_refused(place, place / "release", "created_at")


def test_under_another_number_than_its_own(place):
    home = place / "device"
    shutil.copytree(place / "release", home / "releases" / "0004")
    source = open_source(home / "releases" / "0004")
    with pytest.raises(ReleaseRefused, match=r"found release 2 in .* expected it in the folder of its number"):
        receive(home, source, tiny.SETTINGS)


def test_a_file_among_the_homes_releases_is_no_release_of_the_home(place):
    path = place / "device" / "releases" / "here.edgecl"
    packed_release(place).rename(path)
    receive(place / "device", open_source(path), tiny.SETTINGS)
    assert (place / "device" / "releases" / "0002" / "release.sig").is_file()
    assert slots.read_journal(place / "device").entry(2).reason == "received, signed by the owner"


def test_with_a_tail_that_is_no_graph(place):
    put_tail(place, b"no graph at all")
    assert_refused(place, place / "release", "could not load the graph")


@pytest.mark.parametrize("location", ["/etc/passwd", "../outside", "sub/../../outside", "inside", "./inside"])
def test_with_weights_in_a_file_elsewhere(place, location, monkeypatch):
    (place / "sub").mkdir()
    for path in (place / "outside", place / "sub" / "inside"):
        path.write_bytes(np.ones((48, 16), np.float32).tobytes())
    monkeypatch.chdir(place / "sub")  # where ONNX Runtime would look by itself
    model = ModelProto.FromString(tiny.tail("int8"))
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "weight")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.append(StringStringEntryProto(key="location", value=location))
    put_tail(place, model.SerializeToString())
    assert_refused(place, place / "release", "could not load the graph")


def test_with_an_operator_of_unknown_origin(place):
    node = helper.make_node("Anything", ["latent"], ["ignored"], domain="com.example")
    put_tail(place, tiny.tail("int8", extra=(node,), opsets=(helper.make_opsetid("com.example", 1),)))
    assert_refused(place, place / "release", "could not load the graph")


# The single file


def test_a_truncated_file(place):
    path = packed_release(place)
    path.write_bytes(path.read_bytes()[:-7])
    assert_refused(place, path, "cut off")


def test_a_file_with_something_behind_it(place):
    path = packed_release(place)
    path.write_bytes(path.read_bytes() + b"more")
    assert_refused(place, path, "cut off")


def test_a_file_that_is_no_zip(place):
    (place / "x.edgecl").write_bytes(b"GIF89a" * 100)
    assert_refused(place, place / "x.edgecl", "no ZIP")


def test_a_file_with_damaged_contents(place):
    path = packed_release(place)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("tail.int8.onnx")
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    path.write_bytes(data)
    assert_refused(place, path, r"tail\.int8\.onnx")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/b", "a\\b", ".hidden", "-flag", "x" * 101, "evil\n", "ümlaut", "C:evil"]
)
def test_a_member_with_a_name_that_leads_elsewhere(place, name):
    files = [*members(packed_release(place)).items(), (name, b"evil")]
    assert_refused(place, zipped(place / "x.edgecl", files), "found the name")


def test_a_member_that_is_there_twice(place):
    found = list(members(packed_release(place)).items())
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(place / "x.edgecl", [*found, ("report.md", b"another")])
    assert_refused(place, path, "report.md twice")


def test_an_extra_member(place):
    files = [*members(packed_release(place)).items(), ("evil.so", b"evil")]
    assert_refused(place, zipped(place / "x.edgecl", files), "'evil.so'")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_a_member_that_is_no_regular_file(place, kind):
    def spoil(info):
        if info.filename == "report.md":
            info.external_attr = (kind | 0o777) << 16

    path = zipped(place / "x.edgecl", members(packed_release(place)).items(), spoil)
    assert_refused(place, path, "link, folder or device 'report.md'")


def test_a_folder_as_a_member(place):
    files = [*members(packed_release(place)).items(), ("more/", b"")]
    assert_refused(place, zipped(place / "x.edgecl", files), "found the name 'more/'")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_compressed_in_another_way(place, method):
    path = zipped(place / "x.edgecl", members(packed_release(place)).items(), method=method)
    assert_refused(place, path, "unknown form|compressed by method")


def spoiled_directory(path, name, offset, data):
    """Overwrite bytes of one entry in the list of members."""
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    content[start + offset : start + offset + len(data)] = data
    path.write_bytes(content)
    return path


def listed(name=b"", comment=0, extra=b"", offset=0, size=0):
    """One entry of a ZIP's list of members, byte by byte, as no library would write it."""
    fixed = (b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, size, size, len(name), len(extra), comment, 0, 0, 0o100600 << 16)
    return struct.pack("<4s4B4HL2L5H2L", *fixed, offset) + name + extra


def ended(members, length, offset, comment=0):
    """A ZIP's last record."""
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members, members, length, offset, comment)


def test_a_longer_list_of_members_hidden_behind_a_short_one(place):
    hidden = listed() * 5000
    last = listed(b"a", comment=76)  # its comment is the 64-bit list's end, and where that is
    lists = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 5001, 5001, len(hidden) + len(last), 0)
    where = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    short = last + lists + where
    (place / "x.edgecl").write_bytes(hidden + short + ended(1, len(short), len(hidden)))
    assert_refused(place, place / "x.edgecl", "found 64-bit fields")


def test_a_member_that_says_it_lies_beyond_all_numbers(place):
    name = b"release.json"
    head = struct.pack("<4s2B4HL2L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 10, 10, len(name), 0) + name + b"x" * 10
    entry = listed(name, extra=struct.pack("<HHQ", 1, 8, 2**64 - 1), offset=0xFFFFFFFF, size=10)
    (place / "x.edgecl").write_bytes(head + entry + ended(1, len(entry), len(head)))
    assert_refused(place, place / "x.edgecl", "fields of an unknown kind|not a whole ZIP")


def test_a_file_with_a_comment(place):
    path = packed_release(place)
    path.write_bytes(path.read_bytes()[:-2] + struct.pack("<H", 22) + ended(1, 0, 0))
    assert_refused(place, path, "found 1 members|does not fit|no ZIP")


def test_a_large_file_is_refused_by_its_end_before_it_is_read(place, monkeypatch):
    with (place / "x.edgecl").open("wb") as file:
        file.truncate(BUNDLE_BYTES_MAX)  # takes no room on the disk
    monkeypatch.setattr(zipfile, "ZipFile", None)
    tracemalloc.start()
    try:
        assert_refused(place, place / "x.edgecl", "no ZIP")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_an_encrypted_member(place):
    path = spoiled_directory(packed_release(place), "report.md", 8, b"\x01\x00")
    assert_refused(place, path, "'report.md' encrypted")


def test_a_member_that_declares_more_than_any_release_holds(place):
    path = spoiled_directory(packed_release(place), "report.md", 24, (BUNDLE_BYTES_MAX + 1).to_bytes(4, "little"))
    assert_refused(place, path, "bytes declared")


def test_members_that_together_declare_more_than_any_release_holds(place):
    path = packed_release(place)
    for name in ("report.md", "answers.npz", "manifest.json"):
        spoiled_directory(path, name, 24, (BUNDLE_BYTES_MAX // 2).to_bytes(4, "little"))
    assert_refused(place, path, "bytes declared")


def test_a_member_that_unfolds_to_more_than_it_declares(place):
    files = dict(members(packed_release(place)))
    files["report.md"] = bytes(20_000_000)
    path = zipped(place / "x.edgecl", files.items())
    size = document_of(place / "release")["files"]["report.md"]["bytes"]
    assert_refused(place, spoiled_directory(path, "report.md", 24, size.to_bytes(4, "little")), "report.md")


def test_a_file_that_counts_more_members_than_any_release_has(place):
    files = [*members(packed_release(place)).items(), *((f"more-{n}", b"") for n in range(80))]
    assert_refused(place, zipped(place / "x.edgecl", files), "expected 1 to 66")


def test_a_file_whose_list_of_members_lies_elsewhere(place):
    path = packed_release(place)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert_refused(place, path, "does not fit")


def test_a_file_with_any_few_bytes_changed_is_refused_or_read_as_it_was(place):
    path = packed_release(place)
    sound, whole = path.read_bytes(), members(path)
    ground = ground_of(place / "device", tiny.SETTINGS)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(sound)
        for spot in rng.integers(0, len(data), rng.integers(1, 4)):
            data[spot] ^= 1 << int(rng.integers(8))
        try:
            found = verify(Bundle(bytes(data), "mutated"), ground)
        except ReleaseRefused:
            refused += 1
        else:
            assert {name: found.files[name] for name in whole} == whole
    assert refused > 120


def test_a_file_packed_for_another_precision(place):
    path = pack(place / "release", place / "x.edgecl", "fp32").path
    assert_refused(place, path, r"no tail\.int8\.onnx")


def test_a_huge_file_is_refused_unread(place):
    path = place / "x.edgecl"
    with path.open("wb") as file:
        file.truncate(BUNDLE_BYTES_MAX + 1)
    assert_refused(place, path, "expected at most")


# The way out of the workstation


def test_the_same_release_packed_twice_gives_the_same_bytes(place):
    first = packed_release(place).read_bytes()
    shutil.copytree(place / "release", place / "copy")
    assert pack(place / "copy", place / "second.edgecl", "int8").path.read_bytes() == first


def test_a_delta_leaves_out_what_devices_have_or_never_need(place):
    assert set(members(packed_release(place))) == {
        "release.json",
        "release.sig",
        "manifest.json",
        "tail.int8.onnx",
        "answers.npz",
        "acceptance.json",
        "report.md",
        "report.png",
    }


def test_a_whole_file_holds_everything(place):
    assert set(members(packed_release(place, whole=True))) == {path.name for path in (place / "release").iterdir()}


def test_a_release_for_another_trunk_is_not_even_made(place):
    other = tiny.backbone_folder(place / "other", gain=0.5)
    before = tiny.tree(place / "workstation")
    with pytest.raises(ReleaseError, match="expected the same trunk"):
        add_candidate(
            place / "workstation", place / "workstation" / "current", tiny.candidate_files(other), tiny.ABOUT, None
        )
    assert tiny.tree(place / "workstation") == before


def test_a_document_says_what_it_was_made_of(place):
    document = ReleaseDocument.from_bytes((place / "release" / DOCUMENT_FILE).read_bytes())
    assert (document.number, document.parent, document.recipe) == (2, 1, "test")
    assert document.names(["workstation"]) == {"training.safetensors"}
    assert document.names(["trunk"]) == {"trunk.fp32.onnx", "trunk.int8.onnx", "golden.npz"}
    assert document.names(["int8"]) == {"tail.int8.onnx"}


def test_a_source_in_memory_reads_as_the_file_does(place):
    path = packed_release(place)
    bundle = Bundle(io.BytesIO(path.read_bytes()).read(), "memory")
    assert dict(bundle.sizes) == dict(Bundle.of_file(path).sizes)
    assert bundle.read("report.md") == Folder(place / "release").read("report.md")
