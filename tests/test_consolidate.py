"""`edgecl consolidate`: from a memory taught on pictures to a release that a device runs, and all that it refuses."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from commands import run, run_process, save_pictures  # noqa: E402

from edgecl import remote  # noqa: E402
from edgecl.backbone import Backbone  # noqa: E402
from edgecl.config import BackboneSettings  # noqa: E402
from edgecl.errors import ConsolidationRefused  # noqa: E402
from edgecl.files import exclusive  # noqa: E402
from edgecl.golden import check_golden  # noqa: E402
from edgecl.home import Home  # noqa: E402
from edgecl.manifest import read_manifest  # noqa: E402
from edgecl.releases import slots  # noqa: E402
from edgecl.releases.slots import install_first, release_folder  # noqa: E402
from edgecl.workstation import attempt, due  # noqa: E402
from edgecl.workstation.acceptance import Verdict  # noqa: E402
from edgecl.workstation.consolidate import Order, consolidate  # noqa: E402
from edgecl.workstation.consolidation import train  # noqa: E402
from edgecl.workstation.material import Material, held_out  # noqa: E402
from edgecl.workstation.parent import IMPORTANCE, Parent  # noqa: E402
from edgecl.workstation.recipes import RECIPES, of_penalty, recipe_of  # noqa: E402
from edgecl.workstation.sources import memory_at  # noqa: E402
from edgecl.workstation.training import Plan  # noqa: E402

THINGS = ("coffee", "rocket", "cat")
LENIENT = "[consolidation]\ngain_min = 0.0\nclass_fall_max = 1.0\nlatency_ratio_max = 1000.0\ndue_lessons = 2\n"
QUICK = ("--nice", 0, "--epochs", 4, "--rate", 0.005)


@pytest.fixture(scope="module")
def taught_home(tmp_path_factory: pytest.TempPathFactory, backbone_folder: Path) -> Path:
    """A home that was taught three things; nobody changes it."""
    home = tmp_path_factory.mktemp("home") / "home"
    home.mkdir(mode=0o700)
    install_first(home, backbone_folder)
    (home / "edgecl.toml").write_text(LENIENT)
    for thing in THINGS:
        pictures = save_pictures(home.parent / thing, thing, 8)
        assert run("teach", thing, pictures, "--home", home).status == 0
    return home


@pytest.fixture
def home(taught_home: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return Path(shutil.copytree(taught_home, tmp_path / "home", symlinks=True))


def tree(home: Path) -> dict[str, bytes | str]:
    """All files of the releases, and where `current` points."""
    files = {str(path): path.read_bytes() for path in sorted((home / "releases").rglob("*")) if path.is_file()}
    return files | {"current": str((home / "current").readlink())}


def content_of(home: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    """Change the memory behind edgecl's back."""
    with contextlib.closing(sqlite3.connect(home / "edgecl.db")) as database, database:
        database.execute(statement, values)


@pytest.fixture(scope="module")
def consolidated(taught_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A home with a candidate, and what the command said."""
    home = Path(shutil.copytree(taught_home, tmp_path_factory.mktemp("done") / "home", symlinks=True))
    result = run("consolidate", "--penalty", "ewc", "--home", home, "--json", *QUICK)
    assert result.status == 0, result.err
    return home, result.record


# What comes of it


def test_what_is_better_becomes_a_candidate(consolidated):
    home, record = consolidated
    assert record["accepted"], record["reason"]
    assert record["epochs"][1]["penalty"] == 0.0, "the first epoch was free, and the anchor dropped at its end"
    assert record["release"] == 2
    (first, second) = run("release", "list", "--home", home, "--json").records
    assert (first["number"], first["state"], first["parent"]) == (1, "good", None)
    assert (second["number"], second["state"], second["parent"]) == (2, "candidate", 1)
    assert second["accuracy"] == record["accuracy_after"]
    assert (home / "current").readlink().name == "0001"


def test_the_answer_has_the_promised_fields(consolidated):
    _, record = consolidated
    assert record["recipe"] == "ewc"
    assert 0 <= record["accuracy_before"] <= record["accuracy_after"] <= 1
    assert set(record["per_class"]) == set(THINGS)
    assert record["seconds"] > 0
    assert 100 < record["peak_rss_mb"] < 16_000
    layers = record["audit"]
    assert {layer["layer"].split(".")[0] for layer in layers} == {"tail", "head"}
    assert all(layer["penalty"] == 0.0 for layer in layers if layer["layer"].startswith("head"))
    assert all(layer["penalty"] > 0.0 for layer in layers if layer["layer"].startswith("tail"))
    assert all(layer["cross_entropy"] > 0.0 for layer in layers)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_device_can_run_it_in_every_precision(consolidated, precision):
    home, _ = consolidated
    folder = release_folder(home, 2)
    backbone = Backbone(folder, BackboneSettings(precision=precision))
    assert check_golden(backbone, folder).pictures == 32
    before = read_manifest(release_folder(home, 1)).graphs[precision]
    assert backbone.trunk_digest == before.trunk.sha256
    assert backbone.tail_digest != before.tail.sha256


def test_the_report_is_part_of_the_release(consolidated):
    home, record = consolidated
    folder = release_folder(home, 2)
    told = json.loads((folder / "acceptance.json").read_bytes())
    assert told["accuracy_after"] == record["accuracy_after"]
    assert sum(count for _, _, count in told["confusion"]["after"]) == told["views"]
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert record["reason"] in (folder / "report.md").read_text("utf-8")
    for name in ("acceptance.json", "report.md", "report.png"):
        assert (folder / name).read_bytes() == (home / "consolidation" / name).read_bytes()


def test_the_next_consolidation_goes_on_from_the_weights_and_the_importances(consolidated, tmp_path):
    home = Path(shutil.copytree(consolidated[0], tmp_path / "home", symlinks=True))
    assert run("release", "install", 2, "--unsigned", "--home", home).status == 0
    parent, first = Parent.of(release_folder(home, 2)), Parent.of(release_folder(home, 1))
    assert any(IMPORTANCE in name for name in parent.importances)
    assert not first.importances
    one, other = (dict(p.tail.named_parameters()) for p in (parent, first))
    assert any(not np.array_equal(one[name].detach(), other[name].detach()) for name in one)
    with Home.at(home).store(writable=False) as store:
        memory = Material.of_examples(store.examples(), dict(store.classes()), parent.trunk_digest("int8"))
    held = held_out(memory)
    assert set(parent.exposure.held) == set(memory.marks()[held])
    assert set(parent.exposure.trained) == set(memory.marks()[~held])
    assert parent.importances_of("ewc")
    assert not parent.importances_of("si"), "which measured nothing yet"
    record = run("consolidate", "--recipe", "ewc", "--home", home, "--json", *QUICK).record
    assert record["parent"] == 2
    assert record["epochs"][1]["penalty"] > 0.0, "the anchor is where the training began"


def test_the_first_consolidation_has_a_strength_of_its_own_unless_one_is_given(consolidated):
    home, record = consolidated
    assert record["strength"] == RECIPES["ewc"].first_strength
    with Home.at(home).store(writable=False) as store:
        memory = Material.of_examples(
            store.examples(), dict(store.classes()), read_manifest(home / "current").graphs["int8"].trunk.sha256
        )
    first, second = (Parent.of(release_folder(home, number)) for number in (1, 2))
    found = [
        train(parent, memory, held_out(memory), recipe, Plan(epochs=1, rate=0.001)).strength
        for parent, recipe in (
            (first, of_penalty("ewc", 0.02)),
            (second, recipe_of("ewc")),
            (first, recipe_of("naive")),
        )
    ]
    assert found == [0.02, RECIPES["ewc"].strength, None]


def test_no_checkpoint_is_left_behind(consolidated):
    assert not list((consolidated[0] / "consolidation").glob("checkpoint*"))


def test_people_are_told_where_to_go_on(home):
    result = run("consolidate", "--recipe", "l2sp", "--audit", "--home", home, *QUICK)
    assert "edgecl release install 2" in result.out
    assert "cross-entropy" in result.out
    assert any(line.split()[0] == "head" and line.split()[-1] == "0" for line in result.out.splitlines() if line)


def test_a_refused_candidate_leaves_a_report_and_no_release(home, monkeypatch):
    monkeypatch.setattr(attempt, "SHARES", (1.0,))
    (home / "edgecl.toml").write_text(LENIENT.replace("gain_min = 0.0", "gain_min = 1.0"))
    before = tree(home)
    record = run("consolidate", "--recipe", "naive", "--home", home, "--json", *QUICK).record
    assert not record["accepted"]
    assert record["release"] is None
    assert "expected a rise of at least 100" in record["reason"]
    assert tree(home) == before
    assert (home / "consolidation" / "report.md").read_text("utf-8").startswith("# Refused: ")


@pytest.mark.parametrize(("refused", "share"), [(0, 1.0), (2, 0.5), (9, 1.0)])
def test_what_is_refused_is_tried_again_with_less_of_the_way(home, monkeypatch, refused, share):
    said = iter([False] * refused + [True])
    monkeypatch.setattr(attempt, "decide", lambda *given: Verdict(next(said), f"of {given[3]}"))
    outcome = consolidate(Home.at(home), Order(recipe_of("naive"), Plan(epochs=1, rate=0.001)), lambda text: None)
    made = outcome.report.made
    record = outcome.record()
    assert record["share"] == share
    assert [one["accepted"] for one in record["tried"]] == ([False] * refused + [True])[:4]
    assert record["accepted"] == (refused < 4)
    assert (outcome.release is None) == (refused >= 4)
    found, before, trained = (
        tail.state_dict() for tail in (made.chosen.candidate.tail, made.parent.tail, made.trained.tail)
    )
    for name in [name for name in before if before[name].is_floating_point()]:
        assert torch.allclose(found[name], before[name] + share * (trained[name] - before[name]), atol=1e-6)
    assert any(not torch.equal(trained[name], before[name]) for name in before)


def test_the_frozen_tail_is_no_better_than_itself(home):
    record = run("consolidate", "--recipe", "frozen", "--home", home, "--json", "--nice", 0).record
    assert record["accuracy_after"] == record["accuracy_before"]
    assert record["epochs"] == []


def test_a_recipe_that_scales_gradients_shows_what_it_takes_off_them(home):
    record = run("consolidate", "--recipe", "ar1-star", "--home", home, "--json", *QUICK).record
    assert record["recipe"] == "ar1-star"
    tail, head = ([layer for layer in record["audit"] if layer["layer"].startswith(part)] for part in ("tail", "head"))
    assert any(layer["penalty"] > 0 for layer in tail)
    assert all(0 <= layer["penalty"] <= layer["cross_entropy"] for layer in tail), "a share of it"
    assert all(layer["penalty"] == 0 for layer in head)


# Interrupted


def test_a_training_that_was_cut_off_goes_on_to_the_same_release(home, tmp_path):
    whole = Path(shutil.copytree(home, tmp_path / "whole", symlinks=True))
    order = Order(recipe_of("ewc"), Plan(epochs=3, rate=0.001))

    def cut_off(done: int, total: int) -> None:
        if done > 2 * total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consolidate(Home.at(home), order, lambda text: None, cut_off)
    assert (home / "consolidation" / "checkpoint.safetensors").exists()
    taken_up = consolidate(Home.at(home), Order(order.recipe, order.plan, resume="yes"), lambda text: None)
    expected = consolidate(Home.at(whole), order, lambda text: None)
    assert taken_up.release == expected.release == 2
    found = [read_manifest(release_folder(place, 2)).graphs for place in (home, whole)]
    assert found[0] == found[1]


def test_going_on_after_another_lesson_is_refused(home, tmp_path):
    order = Order(recipe_of("ewc"), Plan(epochs=2, rate=0.001))

    def cut_off(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consolidate(Home.at(home), order, lambda text: None, cut_off)
    run("undo", "--home", home)
    with pytest.raises(ConsolidationRefused, match="another memory"):
        consolidate(Home.at(home), Order(order.recipe, order.plan, resume="yes"), lambda text: None)


@pytest.mark.parametrize(("recipe", "limit"), [("naive", 1000), ("frozen", 5_000_000)])
def test_a_full_disk_is_said_and_changes_no_release(home, recipe, limit):
    """No room for the checkpoint; room for some of the release's files, and not for others."""
    before = tree(home)
    free, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        result = run("consolidate", "--recipe", recipe, "--home", home, *QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, most))
    assert result.status == 1
    assert "could not write" in result.err
    assert tree(home) == before
    assert run("release", "list", "--home", home, "--json").record["number"] == 1


# Where the memory is


class Device(http.server.BaseHTTPRequestHandler):
    """A device's API in small: gives the backup to whoever has the token."""

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == "Bearer secret"
        data = self.server.backup.read_bytes() if allowed else b"no"
        self.send_response(200 if allowed and self.path == "/api/v1/memory/backup" else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def device(backup: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Device) as server:
        server.backup = backup
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def workstation(tmp_path: Path, backbone_folder: Path) -> Path:
    """A home that was never taught."""
    home = tmp_path / "workstation"
    home.mkdir(mode=0o700)
    install_first(home, backbone_folder)
    (home / "edgecl.toml").write_text(LENIENT)
    return home


@pytest.fixture(scope="module")
def backup(taught_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "memory.db"
    assert run("backup", file, "--home", taught_home).status == 0
    return file


def test_a_backup_another_home_and_a_device_give_the_same_memory(backup, taught_home):
    with device(backup) as address:
        found = []
        for source in (backup, taught_home, remote.Device.at(address, "secret")):
            with memory_at(source) as store:
                material = Material.of_examples(store.examples(), dict(store.classes()), store.trunk())
            found.append([*(column.tobytes() for column in material.columns()), material.names])
    assert found[0] == found[1] == found[2]


def test_a_workstation_learns_from_a_device(workstation, backup, monkeypatch):
    monkeypatch.setenv("EDGECL_TOKEN", "secret")
    with device(backup) as address:
        result = run("consolidate", "--recipe", "naive", "--memory", address, "--home", workstation, "--json", *QUICK)
    assert result.status == 0, result.err
    assert result.record["release"] == 2
    assert not (workstation / "edgecl.db").exists()


def test_a_device_that_wants_another_token_is_told_of(workstation, backup, tmp_path):
    (tmp_path / "token").write_text("wrong\n")
    with device(backup) as address:
        result = run(
            "consolidate", "--memory", address, "--token-file", tmp_path / "token", "--home", workstation, *QUICK
        )
    assert result.status == 1
    assert "refused (HTTP 401)" in result.err
    assert "wrong" not in result.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://127.0.0.1:9", "could not be reached"),
        ("http://user:word@127.0.0.1", "no plain address"),
        ("http://[bad", "no plain address"),
        ("http://127.0.0.1:port", "no plain address"),
        ("http://127.0.0.1/a b", "no plain address"),
    ],
)
def test_a_device_that_is_not_there_is_told_of(workstation, source, said, monkeypatch):
    monkeypatch.setenv("EDGECL_TOKEN", "secret")
    result = run("consolidate", "--memory", source, "--home", workstation, *QUICK)
    assert result.status == 1
    assert said in result.err
    assert "word" not in result.err
    assert "secret" not in result.err


@pytest.mark.parametrize("token", ["two\nlines", "ünïcode", ""])
def test_a_token_that_cannot_be_one_is_not_sent_and_not_shown(workstation, tmp_path, token):
    (tmp_path / "token").write_text(token, "utf-8")
    result = run(
        "consolidate", "--memory", "http://127.0.0.1:9", "--token-file", tmp_path / "token", "--home", workstation
    )
    assert result.status == 1
    assert "token" in result.err
    assert "lines" not in result.err


def test_what_a_device_gives_has_to_be_a_memory(workstation, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECL_TOKEN", "secret")
    (tmp_path / "backup").write_bytes(b"no memory" * 1000)
    with device(tmp_path / "backup") as address:
        result = run("consolidate", "--memory", address, "--home", workstation, *QUICK)
    assert result.status == 1
    assert "is no sound backup" in result.err


def test_a_key_that_cannot_sign_is_found_out_before_the_work(home, tmp_path):
    (tmp_path / "key").write_text("no key")
    for key in (tmp_path / "key", tmp_path / "missing"):
        result = run("consolidate", "--key", key, "--home", home, *QUICK)
        assert result.status == 1
        assert not (home / "consolidation" / "checkpoint.safetensors").exists()


def test_a_release_is_signed_by_the_homes_own_key(home):
    public = run("release", "keygen", "--home", home, "--json").record
    record = run("consolidate", "--recipe", "naive", "--home", home, "--json", *QUICK).record
    (_, listed) = run("release", "list", "--home", home, "--json").records
    assert record["release"] == listed["number"]
    assert listed["signed_by"] == public["id"]


def test_cuda_that_is_not_there_is_told_of(home):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert "found no CUDA device" in refused(home, "--device", "cuda")


def test_a_home_that_is_none_is_not_made(tmp_path, backbone_folder, monkeypatch):
    monkeypatch.setattr(slots, "BUNDLED", backbone_folder)  # as in a wheel, which could make one
    result = run("consolidate", "--home", tmp_path / "typo", *QUICK)
    assert result.status == 1
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("source", ["nowhere", ".", "n" * 300])
def test_a_place_without_a_memory_is_told_of(workstation, source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = run("consolidate", "--memory", source, "--home", workstation, *QUICK)
    assert result.status == 1
    assert f"found no memory at {source[:200]}" in result.err


# Memories that cannot be learned from


def refused(home: Path, *options: object) -> str:
    """What the command says on refusing; no release has changed."""
    before = tree(home)
    result = run("consolidate", "--home", home, *QUICK, *options)
    assert result.status == 1
    assert tree(home) == before
    return result.err


def test_a_memory_of_one_class_is_refused(home):
    for thing in THINGS[1:]:
        run("forget", thing, "--yes", "--home", home)
    assert "found a memory of 1 classes" in refused(home)


def test_a_memory_of_one_example_a_class_is_refused(workstation, tmp_path):
    for thing in THINGS:
        run("teach", thing, save_pictures(tmp_path / thing, thing, 1), "--home", workstation)
    assert "found nothing to hold out of 3 examples of 3 classes" in refused(workstation)


def test_an_empty_memory_is_refused(workstation, backup):
    home = Home.at(workstation)
    with home.store():
        pass
    assert "found a memory of 0 classes" in refused(workstation)


def test_a_damaged_latent_is_refused_with_its_number(home):
    content_of(home, "UPDATE latents SET codes = zeroblob(length(codes)) WHERE example_id = 5")
    assert "5" in refused(home)


def test_latents_of_another_trunk_are_refused(home):
    (home / "edgecl.toml").write_text('[backbone]\nprecision = "fp32"\n')
    message = refused(home)
    assert "made by trunk" in message
    assert "consolidate with the home whose release has that trunk" in message


def test_weights_that_are_not_those_of_the_graphs_are_refused(consolidated, tmp_path):
    import safetensors.torch

    home = Path(shutil.copytree(consolidated[0], tmp_path / "home", symlinks=True))
    assert run("release", "install", 2, "--unsigned", "--home", home).status == 0
    path = release_folder(home, 2) / "training.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors["tail.conv.0.weight"] += 0.5
    path.write_bytes(safetensors.torch.save(tensors))
    assert "do not answer as its" in refused(home)
    path.write_bytes(b"nothing")
    assert "could not read" in refused(home)
    path.unlink()
    assert "this is a copy for devices" in refused(home)


def test_a_strength_that_would_overshoot_is_refused(home):
    assert "1/(η max F)" in refused(home, "--penalty", "l2sp", "--strength", 5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recipe", "magic"), "expected one of frozen"),
        (("--penalty", "magic"), "expected one of ewc"),
        (("--recipe", "naive", "--strength", 1), "has no penalty"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(home, options, message):
    assert message in refused(home, *options)


def test_a_recipe_and_a_penalty_at_once_are_wrong_usage(home):
    assert run("consolidate", "--recipe", "si", "--penalty", "si", "--home", home).status == 2


# When


def test_a_timer_waits_for_enough_new_lessons(consolidated, tmp_path):
    home = Path(shutil.copytree(consolidated[0], tmp_path / "home", symlinks=True))
    record = run("consolidate", "--if-due", "--home", home, "--json", *QUICK).record
    assert record["due"] is False
    assert "found 0 lessons since the last consolidation, expected 2, or release 2, which it became" in record["reason"]
    for number in range(2):
        run("teach", "astronaut", save_pictures(tmp_path / f"{number}", "astronaut", 3 + number), "--home", home)
    record = run("consolidate", "--if-due", "--recipe", "naive", "--home", home, "--json", *QUICK).record
    assert "due" not in record
    assert record["epochs"]


def test_a_timer_trains_further_what_the_last_one_became_until_one_is_refused(consolidated, tmp_path, monkeypatch):
    monkeypatch.setattr(attempt, "SHARES", (1.0,))
    home = Path(shutil.copytree(consolidated[0], tmp_path / "home", symlinks=True))
    assert run("release", "install", 2, "--unsigned", "--home", home).status == 0
    (home / "edgecl.toml").write_text(LENIENT.replace("gain_min = 0.0", "gain_min = 1.0"))
    record = run("consolidate", "--if-due", "--home", home, "--json", *QUICK).record
    assert (record["epochs"] != [], record["accepted"]) == (True, False)
    assert run("consolidate", "--if-due", "--home", home, "--json", *QUICK).record["due"] is False


def test_each_memory_has_lessons_of_its_own(taught_home, tmp_path):
    with Home.at(taught_home).store(writable=False) as store:
        assert due.lessons_since(due.last_of(tmp_path, "here"), store) == 3
        due.remember(tmp_path, "here", due.Last(2))
        assert due.lessons_since(due.last_of(tmp_path, "here"), store) == 1
        assert due.lessons_since(due.last_of(tmp_path, "there"), store) == 3
        due.remember(tmp_path, "here", due.Last(99))
        left = due.lessons_since(due.last_of(tmp_path, "here"), store)
        assert left == 3, "a memory that has not come so far is another"


@pytest.mark.parametrize("content", ["[", "[]", '{"home": 3}', '{"home": {"lesson": "3"}}', '{"home": {"other": 3}}'])
def test_notes_that_cannot_be_read_are_none(tmp_path, content):
    (tmp_path / due.FILE).write_text(content)
    assert due.last_of(tmp_path, "home") == due.Last()


def test_two_at_once_in_one_home_are_one_too_many(home):
    (home / "consolidation").mkdir(exist_ok=True)
    with exclusive(home / "consolidation" / ".lock"):
        result = run("consolidate", "--home", home, *QUICK)
    assert result.status == 1
    assert "expected to be the only writer" in result.err


@pytest.mark.parametrize(("options", "priority"), [((), 10), (("--nice", 3), 3)])
def test_it_makes_way_for_others_as_far_as_told(home, options, priority):
    """The command fails at once, for want of such a recipe, but its priority has fallen by then."""
    script = (
        "import os, sys; from edgecl.cli.app import main\n"
        f"main(['consolidate', '--recipe', 'magic', '--home', {str(home)!r}, *{[str(o) for o in options]!r}])\n"
        "print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) == max(priority, os.getpriority(os.PRIO_PROCESS, 0)), "it is never raised"


def test_it_runs_as_a_process_of_its_own_with_every_option(home):
    options = ("--recipe", "naive", "--noise", 0.1, "--batch-renorm", "--minutes", 5, "--seed", 3, "--device", "cpu")
    result = run_process("consolidate", *options, "--home", home, "--json", *QUICK)
    assert result.status == 0, result.err
    plan = result.record["plan"]
    assert (plan["noise"], plan["batch_renorm"], plan["minutes"], plan["seed"]) == (0.1, True, 5.0, 3)


def test_a_home_in_fp32_is_consolidated_in_fp32(tmp_path, backbone_folder):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    install_first(home, backbone_folder)
    (home / "edgecl.toml").write_text(LENIENT + '[backbone]\nprecision = "fp32"\n')
    for thing in THINGS:
        run("teach", thing, save_pictures(tmp_path / thing, thing, 6), "--home", home)
    record = run("consolidate", "--home", home, "--json", *QUICK).record
    assert record["release"] == 2, record["reason"]
    assert run("release", "install", 2, "--unsigned", "--home", home).status == 0


def test_a_name_that_looks_like_a_formula_or_a_table_is_a_name(tmp_path, workstation):
    for name, thing in (("$_$", "cat"), ("a|b", "coffee"), ("猫 ${x}^$", "rocket")):
        run("teach", name, save_pictures(tmp_path / thing, thing, 5), "--home", workstation)
    result = run("consolidate", "--recipe", "frozen", "--home", workstation, "--json", "--nice", 0)
    assert result.status == 0, result.err
    assert "Glyph" not in result.err
    assert "| a&#124;b |" in (workstation / "consolidation" / "report.md").read_text("utf-8")


# As an evaluation


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three things, six views each to learn from and three others to be asked about."""
    folder = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 6), ("test", 3)):
        (folder / part).mkdir()
        for thing in THINGS:
            save_pictures(folder / part / thing, thing, count)
    return folder


def test_an_evaluation_adds_what_a_consolidation_at_the_end_is_worth(pictures, workstation):
    plain = run("eval", "nc", pictures, "--keep", 5, "--home", workstation, "--json")
    result = run("eval", "nc", pictures, "--keep", 5, "--consolidate", "l2sp", "--home", workstation, "--json")
    assert result.status == 0, result.err
    both = {name for name in plain.record if not name.startswith("seconds")}
    assert {name: plain.record[name] for name in both} == {name: result.record[name] for name in both}
    assert result.record["recipe"] == "l2sp"
    assert 0 <= result.record["final_accuracy_consolidated"] <= 1
    assert set(result.record["per_class_consolidated"]) == set(THINGS)
    assert isinstance(result.record["accepted"], bool)
    assert not (workstation / "consolidation").exists(), "an evaluation changes nothing"


def test_frozen_is_as_good_as_no_consolidation(pictures, workstation):
    record = run("eval", "nc", pictures, "--keep", 5, "--consolidate", "frozen", "--home", workstation, "--json").record
    assert record["final_accuracy_consolidated"] == pytest.approx(record["final_accuracy"], abs=0.12)
    assert record["held_out_before"] == record["held_out_after"]


def test_a_published_strategy_is_not_consolidated_as_well(pictures, workstation):
    result = run("eval", "nc", pictures, "--strategy", "si", "--consolidate", "si", "--home", workstation)
    assert result.status == 2
