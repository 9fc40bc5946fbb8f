"""Releases on disk: the journal decides, the link follows, and a full disk changes neither."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from full_disk import FullDisk

from edgecl.backbone import Backbone
from edgecl.errors import BackboneMissing, ReleaseError, StoreUnwritable
from edgecl.home import Home
from edgecl.releases import journal as journals
from edgecl.releases import slots, transitions
from edgecl.releases.bundle import open_source
from edgecl.releases.installing import install, receive
from edgecl.releases.journal import JOURNAL_FILE, Trial


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with release 1, a candidate 2, and three classes."""
    root = tmp_path_factory.mktemp("made")
    home = tiny.taught(root / "home", tiny.backbone_folder(root / "backbone"), n=4)
    tiny.candidate(home)
    return root


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made / "home", tmp_path / "home", symlinks=True))


def states(home):
    return {entry.number: entry.state for entry in slots.read_journal(home).releases}


def become_good(home):
    with slots.changing(home) as journal:
        slots.write_journal(home, journal.good(time.time(), "proved itself"))


def switch(home, number=2, files=None):
    return transitions.switch(home, number, files or tiny.files_of(home, number), "switched to", Trial())


def refusals(home, work):
    """Do `work` on copies of `home`, with a disk that is full one step later each time, until one gets through.

    Gives the copies that were refused.
    """
    for n in range(100):
        copy = Path(shutil.copytree(home, home.with_name(f"full-{n}"), symlinks=True))
        with FullDisk(n) as disk:
            try:
                work(copy)
            except StoreUnwritable:
                disk.on = False
                yield copy
                continue
        assert n > 1, "nothing was refused: the test proves nothing"
        return
    raise AssertionError("never got through")


def test_a_home_that_was_only_exported_has_one_good_release(tmp_path):
    home = tiny.home_of(tmp_path / "home", tiny.backbone_folder(tmp_path / "backbone"))
    assert not (home / JOURNAL_FILE).exists()
    assert states(home) == {1: "good"}
    assert not (home / JOURNAL_FILE).exists()


def test_a_home_without_a_release_has_no_journal(tmp_path):
    with pytest.raises(BackboneMissing):
        slots.read_journal(tmp_path / "nothing")


def test_a_link_that_leads_out_of_the_home_is_no_numbered_release(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "current").symlink_to(tiny.backbone_folder(tmp_path / "backbone"))
    with pytest.raises(ReleaseError, match="expected a numbered folder"):
        slots.read_journal(tmp_path / "home")


def test_a_candidate_is_a_whole_backbone_that_does_not_run_yet(home):
    assert states(home) == {1: "good", 2: "candidate"}
    assert slots.current(home).name == "0001"
    assert Backbone(home / "releases" / "0002", tiny.ONE_THREAD).dimension == tiny.DIMENSION


def test_the_next_candidate_gets_the_next_number(home):
    assert tiny.candidate(home, change=0.2).number == 3


def test_a_number_that_was_active_once_is_never_used_again(home):
    switch(home)
    transitions.roll_back(home, "to see")
    shutil.rmtree(home / "releases" / "0002")
    assert tiny.candidate(home).number == 3


def test_a_switch_moves_the_link_and_puts_the_release_on_trial(home):
    switch(home)
    assert slots.current(home).name == "0002"
    assert states(home) == {1: "good", 2: "trial"}


def test_what_is_no_candidate_cannot_be_switched_to(home):
    with pytest.raises(ReleaseError, match="found release 1 good"):
        switch(home, 1)
    with pytest.raises(ReleaseError, match="found no release 9"):
        switch(home, 9)


def test_a_rollback_moves_the_link_back(home):
    switch(home)
    transitions.roll_back(home, "it was worse")
    assert slots.current(home).name == "0001"
    assert slots.read_journal(home).entry(2).reason == "it was worse"


def test_a_rollback_of_a_release_that_is_active_no_more_does_nothing(home):
    switch(home)
    transitions.roll_back(home, "once", 2)
    transitions.roll_back(home, "twice", 2)
    assert slots.read_journal(home).entry(2).reason == "once"


def gone(folder):
    shutil.rmtree(folder)


def cut_off(folder):
    with (folder / "tail.int8.onnx").open("r+b") as file:
        file.truncate(100)


def without_tail(folder):
    (folder / "tail.int8.onnx").unlink()


@pytest.mark.parametrize("spoil", [gone, cut_off, without_tail])
def test_a_rollback_to_a_release_that_is_not_whole_is_refused(home, spoil):
    switch(home)
    spoil(home / "releases" / "0001")
    with pytest.raises(ReleaseError, match="no whole release before 2"):
        transitions.roll_back(home, "")
    assert slots.current(home).name == "0002"
    assert states(home)[2] == "trial"


def test_it_goes_on_to_an_earlier_one_that_is_whole(home):
    switch(home)
    become_good(home)
    tiny.candidate(home, change=0.2)
    switch(home, 3)
    cut_off(home / "releases" / "0002")
    transitions.roll_back(home, "it was worse")
    assert states(home) == {1: "good", 2: "good", 3: "rolled-back"}
    assert slots.current(home).name == "0001"


def test_a_candidate_that_was_changed_after_it_was_verified_is_not_switched_to(home):
    verified = tiny.files_of(home, 2)
    evil = Path(shutil.copytree(home, home.with_name("evil"), symlinks=True))
    shutil.rmtree(evil / "releases" / "0002")
    tiny.candidate(evil, change=0.5)
    shutil.rmtree(home / "releases" / "0002")
    shutil.copytree(evil / "releases" / "0002", home / "releases" / "0002")
    with pytest.raises(ReleaseError, match="changed since it was verified"):
        switch(home, 2, verified)
    verified = tiny.files_of(evil, 2)
    cut_off(evil / "releases" / "0002")
    with pytest.raises(ReleaseError, match="changed since it was verified"):
        switch(evil, 2, verified)
    assert states(home)[2] == states(evil)[2] == "candidate"


def test_another_release_of_a_candidates_number_is_refused_and_the_same_one_completes_it(home):
    files = tiny.files_of(home, 2)
    before = tiny.tree(home)
    with pytest.raises(ReleaseError, match="found another release 2 in this home"):
        transitions.put_candidate(home, 2, files | {"release.json": files["release.json"] + b" "}, "")
    less = {name: data for name, data in files.items() if name != "training.safetensors"}
    transitions.put_candidate(home, 2, less, "the same again, for devices")
    assert tiny.tree(home) == before
    (home / "releases" / "0002" / "report.md").write_bytes(b"another\n")
    transitions.put_candidate(home, 2, less, "the same again, over what was edited")
    assert tiny.tree(home)["releases/0002/report.md"] == files["report.md"]
    assert tiny.files_of(home, 2) == files, "what is not sent again stays"
    (home / "releases" / "0002" / "training.safetensors").unlink()
    transitions.put_candidate(home, 2, files, "the same again, whole")
    assert tiny.files_of(home, 2) == files


def test_a_disk_that_refuses_a_release_leaves_the_one_that_is_there(home, monkeypatch):
    files = tiny.files_of(home, 2)
    (home / "releases" / "0002" / "tail.int8.onnx").unlink()  # so that it is written anew
    before = tiny.tree(home)

    def refuse(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(StoreUnwritable):
            transitions.put_candidate(home, 2, files, "")
    assert tiny.tree(home) == before


@pytest.mark.parametrize("bundled", [False, True])
@pytest.mark.parametrize("lost", ["the link", "a file of it", "the link and the journal"])
def test_what_lies_in_a_home_is_never_deleted_by_whoever_reads_it(home, monkeypatch, bundled, lost):
    switch(home)
    if bundled:
        monkeypatch.setattr(slots, "BUNDLED", tiny.backbone_folder(home.with_name("bundled")))
    if lost == "a file of it":
        (home / "current" / "manifest.json").unlink()
    else:
        (home / "current").unlink()
    if lost == "the link and the journal":
        (home / "releases" / "journal.json").unlink()
    before = tiny.tree(home)
    if lost == "the link":
        assert slots.current(home).name == "0002", "the journal says so"
    else:
        with pytest.raises(BackboneMissing, match="though releases lie in"):
            slots.current(home)
    assert tiny.tree(home) == before


def test_numbers_end_before_folders_would_have_five_digits(home):
    (home / "releases" / "0002").rename(home / "releases" / "9999")
    with slots.changing(home) as journal, pytest.raises(ReleaseError, match="at most 9999"):
        transitions.next_number(home, journal)
    with pytest.raises(ReleaseError, match="start a new home"):
        slots.install_first(home, tiny.backbone_folder(home.with_name("other")))
    assert not (home / "releases" / "10000").exists()


def cut_off_before_the_link(home):
    """As a crash leaves it between journal and link."""
    switch(home)
    (home / "current").unlink()
    (home / "current").symlink_to("releases/0001")


def test_a_reader_sees_the_old_release_whole_where_the_link_has_not_followed(home):
    cut_off_before_the_link(home)
    with Home.at(home).learner(writable=False) as learner:
        assert learner.backbone.tail_digest == tiny.active_tail(home)
    assert slots.current(home).name == "0001"


def test_whoever_opens_the_home_for_writing_lets_the_link_follow_the_journal(home):
    cut_off_before_the_link(home)
    with Home.at(home).learner() as learner:
        assert slots.current(home).name == "0002"
        assert learner.backbone.tail_digest == tiny.active_tail(home)


def test_a_lost_link_is_made_again_from_the_journal(home):
    switch(home)
    (home / "current").unlink()
    slots.settle(home)
    assert slots.current(home).name == "0002"


def test_a_folder_that_no_journal_knows_is_a_candidate_if_it_is_a_release(home):
    (home / "releases" / "0002").rename(home / "elsewhere")
    with slots.changing(home) as journal:
        assert journal.numbers == {1}
    shutil.copytree(home / "elsewhere", home / "releases" / "0005")
    shutil.copytree(home / "elsewhere", home / "releases" / "20261128")
    (home / "elsewhere").rename(home / "releases" / "0002")
    with slots.changing(home) as journal:
        assert journal.numbers == {1, 2}, "not what lies under another number than its own"
        assert journal.entry(2).state == "candidate"


def test_where_journal_and_link_agree_nothing_is_written(home):
    before = tiny.tree(home)
    slots.settle(home)
    assert tiny.tree(home) == before


def test_a_damaged_journal_does_not_keep_anyone_from_teaching(home, caplog):
    (home / JOURNAL_FILE).write_bytes(b"{")
    with Home.at(home).learner() as learner:
        tiny.teach(learner.store, learner.backbone, "knife")
    assert "could not be settled" in caplog.text


def test_what_ran_last_stays_however_many_are_to_be_kept(home):
    switch(home)
    assert transitions.retire(home, keep=0) == set()
    assert (home / "releases" / "0001").is_dir()


def test_older_releases_go_and_tell_which_tails_nobody_has_any_more(home):
    first = tiny.active_tail(home)
    switch(home)
    become_good(home)
    tiny.candidate(home, change=0.2)
    switch(home, 3)
    become_good(home)
    tiny.candidate(home, change=0.3)
    switch(home, 4)
    assert first in transitions.retire(home, keep=0)
    assert sorted(path.name for path in slots.folders(home)) == ["0003", "0004"]
    assert set(states(home)) == {3, 4}


def test_exporting_anew_replaces_every_release_and_says_so_in_the_journal(home):
    switch(home)
    slots.install_first(home, tiny.backbone_folder(home.with_name("other"), gain=0.5))
    assert states(home) == {3: "good"}
    assert slots.current(home).name == "0003"


def test_a_release_can_be_the_source_of_an_export(home, tmp_path):
    assert slots.install_first(tmp_path / "other home", home / "releases" / "0002").name == "0001"


def test_a_release_with_the_graphs_of_one_precision_can_be_the_source_of_an_export(home, tmp_path):
    (home / "releases" / "0002" / "tail.fp32.onnx").unlink()
    folder = slots.install_first(tmp_path / "other home", home / "releases" / "0002")
    assert Backbone(folder, tiny.ONE_THREAD).precision == "int8"


# A full disk


def test_a_disk_that_fills_up_while_a_candidate_is_made_leaves_the_home_as_it_was(home):
    files = tiny.candidate_files(home / "current", change=0.3)
    before = tiny.tree(home)
    for copy in refusals(home, lambda copy: tiny.add_candidate(copy, copy / "current", files, tiny.ABOUT)):
        assert tiny.tree(copy) == before


def test_a_disk_that_fills_up_at_the_switch_leaves_the_old_release(home):
    for copy in refusals(home, switch):
        assert states(copy) == {1: "good", 2: "candidate"}
        assert slots.current(copy).name == "0001"
        assert not list(copy.glob(".current.*.draft"))
        switch(copy)
        assert slots.current(copy).name == "0002"


def test_a_disk_that_fills_up_at_the_rollback_leaves_the_new_release(home):
    switch(home)
    for copy in refusals(home, lambda copy: transitions.roll_back(copy, "")):
        assert states(copy) == {1: "good", 2: "trial"}
        assert slots.current(copy).name == "0002"


def test_a_disk_that_fills_up_while_a_release_is_received_leaves_the_home_as_it_was(home, made, tmp_path):
    device = tiny.taught(tmp_path / "device", made / "backbone", n=4)
    source = open_source(home / "releases" / "0002")
    for copy in refusals(device, lambda copy: receive(copy, source, tiny.SETTINGS, unsigned=True)):
        assert slots.current(copy).name == "0001"
        assert journals.read(copy) is None
        receive(copy, source, tiny.SETTINGS, unsigned=True)


def test_a_link_that_cannot_follow_is_mended_by_the_next_writer(home, caplog):
    """The journal has decided; then the disk fails."""

    def fail(event, arguments):
        if on and event == "os.rename" and str(arguments[1]).endswith("current"):
            raise OSError(errno.EIO, "Input/output error")

    on = True
    sys.addaudithook(fail)
    switch(home)
    on = False
    assert "the link could not follow" in caplog.text
    assert (slots.read_journal(home).active, slots.current(home).name) == (2, "0001")
    slots.settle(home)
    assert slots.current(home).name == "0002"


def test_a_disk_that_takes_no_embeddings_keeps_the_old_release(home):
    """SQLite's files may not grow; the journal's small one could."""
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from edgecl.errors import StoreUnwritable
from edgecl.home import Home
from edgecl.releases.installing import install
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
home = Path({str(home)!r})
files = {{path.name: path.read_bytes() for path in (home / "releases" / "0002").iterdir()}}
with Home.at(home).learner() as learner:
    free, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, most))
    try:
        install(learner, 2, files)
        print("installed")
    except StoreUnwritable:
        print("refused", Path(home / "current").resolve().name)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, most))
    install(learner, 2, files)
    print(Path(home / "current").resolve().name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "0001", "0002"]


def test_installing_works_through_the_learner(home):
    with Home.at(home).learner() as learner:
        assert install(learner, 2, tiny.files_of(learner.store.home, 2)).number == 2
