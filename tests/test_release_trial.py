"""A release in trial: what speaks for it, what against it, and what any process that answers frames does about it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from full_disk import FullDisk

from edgecl.config import ReleaseSettings, Settings
from edgecl.errors import NotFinite, StoreBusy, StoreUnwritable
from edgecl.files import exclusive
from edgecl.home import Home
from edgecl.releases import slots, transitions, watch
from edgecl.releases.installing import install
from edgecl.releases.journal import Trial
from edgecl.releases.latency import Latency
from edgecl.releases.trial import HEALTHY_FRAMES, Seen, Verdict, judge, judge_start
from edgecl.releases.watch import FRAMES_JUDGED, Watch, begin, watching
from edgecl.unknown import mean_accuracy

RULES = ReleaseSettings()
PICTURE = tiny.pictures(1)[0]


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home in which release 2 is in trial."""
    root = tmp_path_factory.mktemp("made")
    home = tiny.taught(root / "home", tiny.backbone_folder(root / "backbone"))
    tiny.candidate(home, change=0.1, small=0.0)
    with Home.at(home).learner() as learner:
        install(learner, 2, tiny.files_of(home, 2))
    return root


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made / "home", tmp_path / "home", symlinks=True))


def place(home, **release):
    return Home(home, Settings(backbone=tiny.ONE_THREAD, release=ReleaseSettings(**release)))


def shown(watch, clock, frames, every_s=0.1):
    for _ in range(frames):
        clock.now += every_s
        watch.see(PICTURE)


def state(home, number=2):
    return slots.read_journal(home).entry(number).state


def trial_of(home):
    return slots.read_journal(home).trial


# The decision


@pytest.mark.parametrize(
    ("trial", "seen", "state", "why"),
    [
        (Trial(seconds=599, frames=9999), Seen(), None, ""),
        (Trial(seconds=9999, frames=299), Seen(), None, ""),
        (Trial(seconds=600, frames=300), Seen(), "good", "300 frames in 10 minutes"),
        (Trial(), Seen(finite=False), "rolled-back", "not finite"),
        (Trial(seconds=600, frames=300), Seen(finite=False), "rolled-back", "not finite"),
        (Trial(accuracy=0.9), Seen(accuracy=0.86), None, ""),
        (Trial(accuracy=0.9), Seen(accuracy=0.84), "rolled-back", "84.0 %"),
        (Trial(accuracy=0.9), Seen(accuracy=None), None, ""),
        (Trial(accuracy=None), Seen(accuracy=0.1), None, ""),
        (Trial(frame_ms=10.0), Seen(frame_ms=19.0), None, ""),
        (Trial(frame_ms=10.0), Seen(frame_ms=21.0), "rolled-back", "21.0 ms"),
        (Trial(frame_ms=0.0), Seen(frame_ms=21.0), None, ""),
    ],
)
def test_the_verdict(trial, seen, state, why):
    verdict = judge(trial, seen, RULES)
    assert (verdict and verdict.state) == state
    assert why in (verdict.reason if verdict else "")


@pytest.mark.parametrize(("starts", "state"), [(0, None), (2, None), (3, "rolled-back"), (9, "rolled-back")])
def test_three_starts_that_came_to_nothing_are_enough(starts, state):
    verdict = judge_start(Trial(starts=starts), RULES)
    assert (verdict and verdict.state) == state


def test_how_long_a_trial_lasts_is_a_setting():
    rules = ReleaseSettings(trial_minutes=0.5, trial_frames=3)
    assert judge(Trial(seconds=30, frames=3), Seen(), rules) == Verdict("good", "answered 3 frames in 0 minutes")


# What a process does about it


def test_frames_and_the_time_in_which_they_came_are_counted(home):
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock)
        shown(found, clock, 50)
        found.close()
    trial = trial_of(home)
    assert trial.frames == 50
    assert trial.seconds == pytest.approx(4.9, abs=0.01)


def test_progress_survives_a_restart(home):
    for _ in range(2):
        clock = Clock()
        with place(home).learner() as learner:
            found = Watch(learner, clock)
            shown(found, clock, 20)
            found.close()
    assert trial_of(home).frames == 40


def test_a_process_that_only_reads_counts_too(home):
    clock = Clock()
    with place(home).learner(writable=False) as learner:
        found = Watch(learner, clock)
        shown(found, clock, 20)
        found.close()
    assert trial_of(home).frames == 20


def test_two_processes_count_together(home):
    clock = Clock()
    with place(home).learner() as learner, place(home).learner(writable=False) as reader:
        watches = [Watch(learner, clock), Watch(reader, clock)]
        for one in watches:
            shown(one, clock, 20)
        for one in watches:
            one.close()
    assert trial_of(home).frames == 40


def test_the_time_in_which_a_camera_is_silent_does_not_count(home):
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock)
        shown(found, clock, 3, every_s=3600.0)
        found.close()
    assert trial_of(home).seconds <= 10.0


def test_the_journal_is_written_rarely(home):
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock)
        shown(found, clock, HEALTHY_FRAMES + 5)
        before = (home / "releases" / "journal.json").stat().st_mtime_ns
        shown(found, clock, 200)
        assert (home / "releases" / "journal.json").stat().st_mtime_ns == before


def test_a_release_that_answered_enough_becomes_good(home):
    clock = Clock()
    with place(home, trial_minutes=1.0, trial_frames=300).learner() as learner:
        found = Watch(learner, clock)
        shown(found, clock, 299, every_s=1.0)
        assert state(home) == "trial"
        shown(found, clock, 2, every_s=1.0)
        assert state(home) == "good"
        assert found.news() == ["release 2 is good: answered 300 frames in 5 minutes"]
        assert found.news() == []


def test_numbers_that_are_not_finite_bring_back_the_release_before_within_the_same_frame(home):
    with place(home).learner() as learner:
        found = Watch(learner, Clock())
        sight = found.see(tiny.BLACK)
        assert sight.embedding.tail == learner.backbone.tail_digest == tiny.active_tail(home)
        assert learner.recogniser.head.tail == sight.embedding.tail
    assert state(home) == "rolled-back"
    assert slots.current(home).name == "0001"


def test_without_a_release_to_go_back_to_such_numbers_are_an_error(home):
    with slots.changing(home) as journal:
        slots.write_journal(home, journal.good(0.0, "by hand"))
    with place(home).learner() as learner:
        found = Watch(learner, Clock())
        with pytest.raises(NotFinite):
            found.see(tiny.BLACK)


def blind_in_trial(made, tmp_path):
    """A home whose release 2 recognises next to nothing, though more is said to have been recognised at the switch."""
    home = Path(shutil.copytree(made / "home", tmp_path / "blind", symlinks=True))
    transitions.roll_back(home, "for another")
    number = tiny.candidate(home, blind=True).number
    with place(home, accuracy_drop_max=1.0).learner() as learner:
        install(learner, number, tiny.files_of(home, number))
    with slots.changing(home) as journal:
        slots.write_journal(home, journal.progressed(journal.trial.model_copy(update={"accuracy": 1.0})))
    return home, number


def test_a_class_learned_worse_than_at_the_switch_brings_back_the_release_before(made, tmp_path):
    home, number = blind_in_trial(made, tmp_path)
    with place(home).learner() as learner:
        shown(Watch(learner, Clock()), Clock(), 1)
    journal = slots.read_journal(home)
    assert (journal.active, journal.entry(number).state) == (1, "rolled-back")
    assert "at the switch" in journal.entry(number).reason


def test_what_a_memory_lost_is_not_held_against_the_release_where_the_one_before_does_no_better(home, monkeypatch):
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock)
        for label in tiny.LABELS:  # what was known is taught again as something else
            rng = np.random.default_rng(3)
            for other in tiny.LABELS:
                if other != label:
                    ids = [e.id for e in learner.store.examples(learner.store.class_id(other))]
                    learner.store.correct(int(rng.choice(ids)), label)
        learner._memory_changed()
        learner.relearn()
        shown(found, clock, 1)
        fitted = []
        monkeypatch.setattr(found, "_accuracy_before", lambda known: fitted.append(known))
        clock.now += 60.0
        shown(found, clock, 1)
        assert not fitted, "it was found once, and is not looked for again with every look"
        worse = mean_accuracy(learner.recogniser.held_out, trial_of(home).class_ids)
        assert worse < trial_of(home).accuracy - learner.settings.release.accuracy_drop_max
    assert state(home) == "trial"


@pytest.mark.parametrize("refusal", ["full", "busy"])
def test_what_cannot_be_written_is_let_go_of_all_the_same_and_noted_later(home, monkeypatch, refusal):
    error = StoreBusy("held") if refusal == "busy" else StoreUnwritable("full")

    def refuse(*given, **more):
        raise error

    clock = Clock()
    with place(home).learner() as learner:
        bad, found = learner.backbone.tail_digest, Watch(learner, clock)
        with monkeypatch.context() as patched:
            patched.setattr(transitions, "roll_back", refuse)
            found.see(tiny.BLACK)
            assert learner.backbone.tail_digest != bad
            for _ in range(3):  # also when it looks into the journal, which says otherwise
                clock.now += 60.0
                found.see(PICTURE)
                assert learner.backbone.tail_digest != bad
        assert state(home) == "trial"
        clock.now += 60.0
        found.see(PICTURE)
    assert state(home) == "rolled-back"
    assert "not finite" in slots.read_journal(home).entry(2).reason


def test_answering_does_not_wait_for_a_process_that_changes_the_releases(home):
    with place(home).learner() as learner:
        found, clock = Watch(learner, Clock()), Clock()
        with exclusive(home / "releases" / slots.LOCK):
            begun = time.monotonic()
            begin(home, ReleaseSettings())
            shown(found, clock, 40)
            found.close()
            assert time.monotonic() - begun < 20.0
    assert state(home) == "trial"


@pytest.mark.parametrize(("ratio", "expected"), [(2.5, "rolled-back"), (1.1, "trial")])
def test_slow_frames_are_held_against_the_release_only_if_it_is_to_blame(home, ratio, expected):
    with slots.changing(home) as journal:
        slots.write_journal(home, journal.progressed(journal.trial.model_copy(update={"frame_ms": 1e-6})))
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock, compare=lambda new, old: Latency(ratio, 1.0))
        shown(found, clock, FRAMES_JUDGED)
        clock.now += 60.0
        shown(found, clock, 1)
    assert state(home) == expected


def test_a_process_follows_when_another_one_rolls_back(home):
    clock = Clock()
    with place(home).learner() as learner:
        found = Watch(learner, clock)
        shown(found, clock, 5)
        transitions.roll_back(home, "by hand")
        clock.now += 31.0
        shown(found, clock, 2)
        assert learner.backbone.tail_digest == tiny.active_tail(home)
        assert "release 1 answers now" in found.news()


def test_what_was_taught_in_trial_is_known_after_the_rollback(home):
    with place(home).learner() as learner:
        found = Watch(learner, Clock())
        tiny.teach(learner.store, learner.backbone, "knife")
        learner._memory_changed()
        learner.relearn()
        found.see(tiny.BLACK)
        assert "knife" in learner.names.values()
        assert len(learner.recogniser.head.class_ids) == 4
        assert learner.store.missing_vectors(learner.backbone.tail_digest) == ()


def test_a_reader_rolls_back_too_and_embeds_in_memory(home):
    with place(home).learner() as learner:
        tiny.teach(learner.store, learner.backbone, "knife")
    with place(home).learner(writable=False) as learner:
        found = Watch(learner, Clock())
        found.see(tiny.BLACK)
        assert len(learner.recogniser.head.class_ids) == 4
    assert slots.current(home).name == "0001"


# Starts


def started(home, how):
    """A long-running process that ends in this way after its first frames."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import tiny
from pathlib import Path
from edgecl.home import Home
with Home.at(Path({str(home)!r})).watched(live=True) as found:
    found.see(tiny.pictures(1)[0])
    {how}
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode


def test_three_starts_that_are_killed_bring_back_the_release_before_at_the_fourth(home):
    for number in range(3):
        assert started(home, "os._exit(9)") == 9
        assert trial_of(home).starts == number + 1
    assert started(home, "pass") == 0
    journal = slots.read_journal(home)
    assert (journal.active, journal.entry(2).state) == (1, "rolled-back")
    assert "3 starts" in journal.entry(2).reason


def test_a_process_that_ends_because_it_was_asked_to_is_no_failed_start(home):
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt), place(home).watched(live=True) as found:
            found.see(PICTURE)
            raise KeyboardInterrupt
    assert state(home) == "trial"
    assert trial_of(home).starts == 0


def test_a_process_that_breaks_is_a_failed_start(home):
    with pytest.raises(ZeroDivisionError), place(home).watched(live=True):
        raise ZeroDivisionError
    assert trial_of(home).starts == 1


def test_a_process_that_answered_for_a_while_is_healthy(home):
    for _ in range(2):
        started(home, "os._exit(9)")
    started(home, f"[found.see(tiny.pictures(1)[0]) for _ in range({HEALTHY_FRAMES})]; os._exit(9)")
    assert trial_of(home).starts == 0


def test_a_short_command_is_no_start(home):
    with pytest.raises(ZeroDivisionError), place(home).watched(live=False):
        raise ZeroDivisionError
    assert trial_of(home).starts == 0


def test_without_a_trial_a_start_writes_nothing(home):
    transitions.roll_back(home, "")
    before = tiny.tree(home)
    watch.begin(home, RULES)
    assert tiny.tree(home) == before


def test_on_a_full_disk_it_is_watched_all_the_same(home):
    clock = Clock()
    with place(home).learner(writable=False) as learner, FullDisk(0), watching(learner, clock) as found:
        shown(found, clock, HEALTHY_FRAMES + 1)
    assert trial_of(home).frames == 0


def test_what_could_not_be_kept_on_a_full_disk_is_kept_once_there_is_room(home):
    clock = Clock()
    with place(home).learner(writable=False) as learner, watching(learner, clock) as found:
        with FullDisk(0):
            shown(found, clock, HEALTHY_FRAMES + 1)
        shown(found, clock, 1, every_s=40.0)
        assert trial_of(home).frames == HEALTHY_FRAMES + 2
