"""From a candidate to the release that runs, while someone goes on teaching and asking."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny

from edgecl.backbone import Backbone
from edgecl.config import ReleaseSettings, Settings
from edgecl.errors import BackboneMismatch, ReleaseError, ReleaseRefused, StoreBusy
from edgecl.home import Home
from edgecl.learner import Learner
from edgecl.memory.store import Store
from edgecl.releases import slots, transitions
from edgecl.releases.bundle import Bundle, Folder, packed
from edgecl.releases.installing import install, receive
from edgecl.releases.journal import Trial
from edgecl.releases.latency import compare_latency
from edgecl.releases.swap import Swap, tidy
from edgecl.types import Embedding, Frame


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with three classes and the candidate 2."""
    root = tmp_path_factory.mktemp("made")
    home = tiny.taught(root / "home", tiny.backbone_folder(root / "backbone"))
    tiny.candidate(home, change=0.1)
    return root


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made / "home", tmp_path / "home", symlinks=True))


@pytest.fixture
def learner(home):
    with Home.at(home).learner() as learner:
        yield learner


def settings(**release):
    return Settings(backbone=tiny.ONE_THREAD, release=ReleaseSettings(**release))


def until_ready(swap):
    while not swap.step():
        time.sleep(0.002)
    return swap


def frame(seed=0):
    return Frame(tiny.pictures(1, seed)[0], time.time(), time.monotonic())


def assert_one_release_answers(learner):
    """Backbone, embeddings and head are of the same tail, and every example is answered right."""
    tail = learner.backbone.tail_digest
    assert (learner.recogniser.head.tail, learner.view.tail) == (tail, tail)
    for example in learner.store.examples():
        vector = learner.backbone.embed([example.latent])[0]
        scores = learner.recogniser.scores(Embedding(vector, tail))
        assert scores.prediction(learner.names).top[0][0] == learner.names[example.class_id]


def test_a_swap_ends_with_the_new_release_whole_in_one_learner(home, learner):
    old = learner.backbone.tail_digest
    switched = until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    assert (switched.number, switched.previous, switched.embedded) == (2, 1, 24)
    assert learner.backbone.tail_digest == tiny.active_tail(home) != old
    assert_one_release_answers(learner)


def test_until_the_switch_the_old_release_answers(home, learner):
    old = learner.backbone.tail_digest
    swap = Swap(learner, 2, tiny.files_of(learner.store.home, 2))
    while not swap.step():
        assert learner.predict(frame()).top
        assert learner.recogniser.head.tail == old
    assert slots.current(home).name == "0001"
    swap.cancel()


def test_after_the_switch_a_start_has_nothing_to_learn(home, learner):
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    before = learner.predict(frame())
    with Store(home, writable=False) as store:
        tail = learner.backbone.tail_digest
        assert store.missing_vectors(tail) == ()
        revision, *_ = store.heads.get(tail, "softmax")
        assert revision == store.revision
        again = Learner(store, Backbone(slots.current(home), tiny.ONE_THREAD), tiny.SETTINGS)
        after = again.predict(frame())
    assert (after.label, after.top, after.unknown_score) == (before.label, before.top, before.unknown_score)


def test_what_the_swap_learned_is_what_a_rebuild_gives(learner):
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    before = learner.recogniser.head.weight
    learner.rebuild()
    np.testing.assert_allclose(learner.recogniser.head.weight, before, atol=1e-3)


def test_a_lesson_taught_meanwhile_is_known_after_the_switch(learner):
    swap = Swap(learner, 2, tiny.files_of(learner.store.home, 2))
    swap.step()
    tiny.teach(learner.store, learner.backbone, "knife")
    learner._memory_changed()
    learner.relearn()
    until_ready(swap).switch()
    assert "knife" in learner.names.values()
    assert_one_release_answers(learner)


def test_a_lesson_taught_when_all_was_ready_puts_off_the_switch(learner):
    swap = until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2)))
    tiny.teach(learner.store, learner.backbone, "knife")
    learner._memory_changed()
    learner.relearn()
    with pytest.raises(ReleaseError, match="not ready"):
        swap.switch()
    until_ready(swap).switch()
    assert_one_release_answers(learner)


def test_a_lesson_that_began_before_the_switch_can_be_taught_after_it(learner):
    burst = learner.burst()
    for number in range(6):
        shown = frame(number)
        burst.add(Frame(shown.image, shown.taken_at, shown.monotonic, f"still #{number}", number))
    assert burst.candidates
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    sight = learner.backbone.see(frame(99).image)
    burst.add(Frame(frame(99).image, time.time(), time.monotonic(), "still #99", 99), sight)
    learner.teach("noise", burst, "camera")
    learner.rebuild()
    assert_one_release_answers(learner)


def test_a_swap_can_be_left_off_and_begun_again(home, learner):
    swap = Swap(learner, 2, tiny.files_of(learner.store.home, 2))
    swap.step()
    swap.cancel()
    swap.cancel()
    with pytest.raises(ReleaseError, match="cancelled"):
        swap.step()
    assert slots.current(home).name == "0001"
    assert until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch().number == 2


def test_a_swap_leaves_no_thread_behind(learner):
    before = threading.active_count()
    Swap(learner, 2, tiny.files_of(learner.store.home, 2)).cancel()
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    assert threading.active_count() == before


def test_the_worker_has_the_lowest_priority_and_the_owner_keeps_its_own(learner):
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    swap = until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2)))
    found = {
        os.getpriority(os.PRIO_PROCESS, thread.native_id)
        for thread in threading.enumerate()
        if thread.name == "edgecl-migration"
    }
    swap.cancel()
    assert (found, os.getpriority(os.PRIO_PROCESS, 0)) == ({19}, mine)


def test_a_home_in_which_nothing_was_taught_can_swap_too(tmp_path, made):
    home = tiny.home_of(tmp_path / "home", made / "backbone")
    tiny.candidate(home)
    with Home.at(home).learner() as learner:
        switched = install(learner, 2, tiny.files_of(learner.store.home, 2))
        assert (switched.embedded, switched.accuracy_after, learner.recogniser) == (0, None, None)
        tiny.teach(learner.store, learner.backbone, "cup")
        tiny.teach(learner.store, learner.backbone, "fork")
        learner._memory_changed()
        learner.relearn()
        assert_one_release_answers(learner)


# What may not run here


def assert_unchanged(home, learner, number=1):
    assert slots.current(home).name == f"{number:04d}"
    assert learner.backbone.tail_digest == tiny.active_tail(home)
    assert_one_release_answers(learner)


def test_a_tail_that_recognises_less_of_this_memory_is_refused(home, learner):
    document = tiny.candidate(home, blind=True)
    with pytest.raises(ReleaseRefused, match=r"33\.3 % of this device's own .* 100\.0 % with the one that runs"):
        install(learner, document.number, tiny.files_of(learner.store.home, document.number))
    assert_unchanged(home, learner)


def test_why_it_was_refused_stands_beside_the_candidate(home, learner):
    number = tiny.candidate(home, blind=True).number
    with pytest.raises(ReleaseRefused):
        install(learner, number, tiny.files_of(learner.store.home, number))
    entry = slots.read_journal(home).entry(number)
    assert entry.state == "candidate"
    assert entry.reason.startswith("refused: found")


def test_how_much_accuracy_may_be_lost_is_a_setting(home):
    document = tiny.candidate(home, blind=True)
    with Home(home, settings(accuracy_drop_max=1.0)).learner() as learner:
        assert (
            install(learner, document.number, tiny.files_of(learner.store.home, document.number)).accuracy_after < 0.5
        )


def test_a_tail_that_is_much_slower_is_refused(home):
    document = tiny.candidate(home, slow=12)
    with Home(home, settings()).learner() as learner:
        with pytest.raises(ReleaseRefused, match=r"times as slow as the one that runs, expected at most 1\.5"):
            install(learner, document.number, tiny.files_of(learner.store.home, document.number))
        assert_unchanged(home, learner)


def test_a_tail_whose_numbers_are_not_finite_is_refused(home, learner):
    answers = {f"{precision}.embeddings": np.zeros((6, 16), np.float32) for precision in tiny.PRECISIONS}
    document = tiny.candidate(home, factor=float("nan"), answers=answers)
    with pytest.raises(ReleaseRefused, match="not finite"):
        install(learner, document.number, tiny.files_of(learner.store.home, document.number))
    assert_unchanged(home, learner)


def test_a_candidate_that_was_damaged_since_it_was_verified_is_refused(home, learner):
    (home / "releases" / "0002" / "tail.int8.onnx").write_bytes(b"damaged")
    with pytest.raises(ReleaseRefused, match=r"tail\.int8\.onnx"):
        install(learner, 2, tiny.files_of(learner.store.home, 2))
    assert_unchanged(home, learner)


def test_a_memory_of_another_trunk_is_refused_at_once(made, tmp_path):
    home = tiny.home_of(tmp_path / "home", made / "backbone")
    tiny.candidate(home)
    other = Backbone(tiny.backbone_folder(tmp_path / "other", gain=0.5), tiny.ONE_THREAD)
    with Home.at(home).learner() as learner:
        tiny.teach(learner.store, other, "cup")
        learner._memory_changed()
        with pytest.raises(BackboneMismatch):
            Swap(learner, 2, tiny.files_of(learner.store.home, 2))


def test_a_second_process_cannot_install_beside_the_first(home, learner):
    with pytest.raises(StoreBusy), Home.at(home).learner():
        pass


def test_what_is_no_candidate_is_refused_before_anything_is_done(home, learner):
    before = threading.active_count()
    for number, reason in ((1, "found release 1 good"), (9, "found no release 9")):
        with pytest.raises(ReleaseError, match=reason):
            Swap(learner, number, tiny.files_of(learner.store.home, number))
    assert threading.active_count() == before


# Coming and going


def test_a_delta_from_elsewhere_is_completed_with_what_is_here(made, tmp_path):
    workstation = tiny.home_of(tmp_path / "workstation", made / "backbone")
    document = tiny.candidate(workstation, tiny.owner_of(tmp_path))
    device = tiny.taught(tmp_path / "device", made / "backbone")
    data = packed(Folder(workstation / "releases" / "0002"), document, "int8", whole=False)
    assert len(data) < sum(path.stat().st_size for path in (workstation / "releases" / "0002").iterdir()) / 2
    with pytest.raises(ReleaseRefused):
        receive(device, Bundle(data, "sent"), tiny.SETTINGS)
    from edgecl.releases.signing import public_key, trust

    trust(device, public_key(tmp_path / "owner.pem"))
    receive(device, Bundle(data, "sent"), tiny.SETTINGS)
    with Home.at(device).learner() as learner:
        install(learner, 2, tiny.files_of(learner.store.home, 2))
        assert_one_release_answers(learner)
    assert (device / "releases" / "0002" / "trunk.int8.onnx").is_file()


def test_received_twice_it_is_a_candidate_once(made, tmp_path):
    workstation = tiny.home_of(tmp_path / "workstation", made / "backbone")
    tiny.candidate(workstation)
    device = tiny.home_of(tmp_path / "device", made / "backbone")
    for _ in range(2):
        receive(device, Folder(workstation / "releases" / "0002"), tiny.SETTINGS, unsigned=True)
    assert slots.read_journal(device).numbers == {1, 2}


def test_after_a_rollback_the_old_head_answers_and_knows_what_was_taught_meanwhile(home, learner):
    before = learner.predict(frame())
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    transitions.roll_back(home, "to see")
    learner.adopt(Backbone(slots.current(home), tiny.ONE_THREAD))
    assert learner.predict(frame()).top == before.top
    until = learner.store.revision
    tiny.teach(learner.store, learner.backbone, "knife")
    assert learner.store.revision == until + 1


def test_old_releases_take_their_embeddings_with_them(home):
    first = tiny.active_tail(home)
    with Home(home, settings(keep=0)).learner() as learner:
        install(learner, 2, tiny.files_of(home, 2))
        with slots.changing(home) as journal:
            slots.write_journal(home, journal.good(time.time(), "proved itself"))
        tiny.candidate(home, change=0.2)
        install(learner, 3, tiny.files_of(learner.store.home, 3))
        assert len(learner.store.missing_vectors(first)) == 24
        assert learner.store.heads.get(first, "softmax") is None
        assert_one_release_answers(learner)
        tidy(learner)
    assert not (home / "releases" / "0001").exists()


# A reader beside it


def test_a_reader_embeds_in_memory_what_this_tail_has_not_seen_and_writes_nothing(home):
    transitions.switch(home, 2, tiny.files_of(home, 2), "by hand", Trial())
    before = (home / "edgecl.db").read_bytes()
    with Home.at(home).learner(writable=False) as learner:
        assert learner.backbone.tail_digest == tiny.active_tail(home)
        assert_one_release_answers(learner)
    assert (home / "edgecl.db").read_bytes() == before


def test_a_reader_embeds_only_what_is_missing(home, learner):
    until_ready(Swap(learner, 2, tiny.files_of(learner.store.home, 2))).switch()
    old = Backbone(home / "releases" / "0001", tiny.ONE_THREAD)
    tiny.teach(learner.store, old, "knife")  # with the other tail
    with Store(home, writable=False) as store:
        reader = Learner(store, learner.backbone, tiny.SETTINGS)
        assert len(reader.view) == 32
        assert len(store.missing_vectors(learner.backbone.tail_digest)) == 8
        assert_one_release_answers(reader)


def test_the_same_backbone_is_as_fast_as_itself(made):
    first, second = (Backbone(made / "backbone", tiny.ONE_THREAD) for _ in range(2))
    assert 0.5 < compare_latency(first, second).ratio < 2.0
