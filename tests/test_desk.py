"""What the owner of the learner does between two frames, with a clock that the test holds."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from daemons import eventually, thing, untaught

from edgecl.board import Readings
from edgecl.daemon import newcomers
from edgecl.daemon.desk import Desk
from edgecl.daemon.hold import LONGEST_S, SILENT_S
from edgecl.daemon.numbers import Numbers
from edgecl.effort import FULL, Effort
from edgecl.errors import (
    CameraUnavailable,
    ItemUnknown,
    LessonBusy,
    LessonOver,
    NothingKept,
    NothingToUndo,
    ReleaseBusy,
)
from edgecl.home import Home
from edgecl.region import Region
from edgecl.releases.installing import receive, source_of
from edgecl.types import Frame

CAMERA = "camera1"


class Bench:
    """A desk with one camera, before which things are held."""

    def __init__(self, home, watch):
        self.now, self.home = 1000.0, home
        self.desk = Desk(watch, lambda: None, Numbers(), clock=lambda: self.now)
        self.desk.use({CAMERA: Region()})
        self.views = 0

    def show(self, label, views=1, every_s=0.2, camera=CAMERA):
        """Let the camera see new views of a thing."""
        for _ in range(views):
            self.now += every_s
            self.views += 1
            live = self.desk.look(Frame(thing(label, self.views), self.now, self.now, camera, self.views))
        return live

    def hold(self, label, views=8):
        """Teach as someone does who holds the button."""
        count = self.desk.teaching.begin(CAMERA, label, "camera", None)
        for _ in range(views):
            self.show(label)
            self.desk.teaching.beat(count.hold)
        return self.settled(self.desk.teaching.end(count.hold))

    def settled(self, future):
        """What comes of `future`, while the desk does what is due."""
        self.until(future.done)
        return future.result()

    def until(self, reached):
        """Let the desk do what is due until that is so."""

        def look():
            self.desk.tick()
            return reached()

        eventually(look)

    def answer(self, label):
        """What the camera's next view of a thing is answered with, once all is learned and nothing older counts."""
        self.until(lambda: not self.desk.learner.due)
        self.now += 100.0
        return self.show(label).prediction.label

    def best(self, label):
        """The most probable class, accepted or not."""
        self.answer(label)
        return self.desk.live[CAMERA].prediction.top[0][0]


@pytest.fixture
def bench(tmp_path):
    home = untaught(tmp_path)
    with Home.at(home).watched(learns_at_once=False) as watch:
        bench = Bench(home, watch)
        yield bench
        bench.desk.close()


# Teaching


def test_two_things_that_were_held_before_the_camera_are_told_apart(bench):
    bench.hold("cup")
    bench.hold("fork")
    assert [bench.answer("cup"), bench.answer("fork")] == ["cup", "fork"]


def test_a_lesson_is_counted_while_it_is_given(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    bench.show("cup", 3)
    same = thing("cup", bench.views)
    bench.now += 0.2
    live = bench.desk.look(Frame(same, bench.now, bench.now, CAMERA, 9))
    assert (live.hold.hold, live.hold.seen, live.hold.kept, live.hold.last) == (hold, 4, 3, "unchanged")
    assert dict(live.hold.reasons) == {"unchanged": 1}


def test_what_is_kept_is_about_what_was_forecast(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    forecast = bench.show("cup", 9).hold.kept
    report = bench.settled(bench.desk.teaching.end(hold))
    assert report.lesson.kept == forecast


def test_a_report_tells_of_the_class_and_of_the_others(bench):
    bench.hold("cup")
    report = bench.hold("fork")
    held_out = bench.desk.learner.recogniser.held_out
    assert (report.lesson.label, report.others_before) == ("fork", 1.0)
    assert (report.accuracy, report.others_after) == (held_out.of(2), held_out.of(1))


def test_a_lesson_ends_by_itself_when_its_time_is_over(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", 1.0).hold
    bench.show("cup", 4)
    bench.desk.tick()
    assert bench.desk.teaching.on(CAMERA) is not None
    bench.now += 0.3
    bench.desk.tick()
    assert bench.desk.teaching.on(CAMERA) is None
    assert bench.settled(bench.desk.teaching.end(hold)).lesson.seen == 4


def test_a_lesson_of_someone_who_is_gone_ends_by_itself(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    bench.show("cup", 4)
    bench.desk.teaching.beat(hold)
    bench.now += SILENT_S + 0.1
    bench.desk.tick()
    assert bench.desk.teaching.on(CAMERA) is None
    assert [lesson.seen for lesson in bench.desk.shelf.lessons()] == [4]


def test_nobody_holds_for_ever(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    for _ in range(int(LONGEST_S)):
        bench.show("cup", every_s=1.0)
        bench.desk.teaching.beat(hold)
    bench.now += 1.0
    bench.desk.tick()
    assert bench.desk.teaching.on(CAMERA) is None


def test_two_cannot_teach_on_one_camera_at_once(bench):
    bench.desk.teaching.begin(CAMERA, "cup", "camera", None)
    with pytest.raises(LessonBusy, match="'cup'"):
        bench.desk.teaching.begin(CAMERA, "fork", "camera", None)


def test_two_can_teach_on_two_cameras_at_once(bench):
    bench.desk.use({CAMERA: Region(), "desk": Region()})
    holds = [
        bench.desk.teaching.begin(camera, label, "camera", None).hold
        for camera, label in ((CAMERA, "cup"), ("desk", "fork"))
    ]
    for _ in range(8):
        bench.show("cup")
        bench.show("fork", camera="desk")
    reports = [bench.desk.teaching.end(hold) for hold in holds]
    assert [bench.settled(report).lesson.label for report in reports] == ["cup", "fork"]


def test_a_lesson_without_a_good_frame_changes_nothing_and_says_so(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    with pytest.raises(NothingKept):
        bench.settled(bench.desk.teaching.end(hold))
    assert bench.desk.state.revision == 0
    assert "found no new view of 'cup'" in bench.desk.state.news[-1][1]


def test_a_lesson_that_was_cancelled_leaves_nothing(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    bench.show("cup", 4)
    waiting = bench.desk.teaching.ended(hold)
    bench.desk.teaching.cancel(hold)
    assert isinstance(waiting.exception(timeout=0), LessonOver), "whoever waits for its report waits no more"
    with pytest.raises(LessonOver):
        bench.desk.teaching.end(hold)
    assert bench.desk.state.revision == 0


def test_a_lesson_ends_with_its_camera(bench):
    bench.desk.teaching.begin(CAMERA, "cup", "camera", None)
    bench.show("cup", 4)
    bench.desk.use({})
    assert [lesson.label for lesson in bench.desk.shelf.lessons()] == ["cup"]
    assert dict(bench.desk.live) == {}


def test_an_undo_while_a_lesson_is_being_learned_leaves_nothing_of_it(bench):
    bench.hold("cup")
    hold = bench.desk.teaching.begin(CAMERA, "fork", "camera", None).hold
    bench.show("fork", 6)
    bench.desk.teaching.end(hold)
    bench.desk.tick()  # the worker begins
    bench.desk.shelf.undo()
    bench.until(lambda: not bench.desk.learner.due)
    assert bench.desk.learner.recogniser.head.class_ids.tolist() == [1]


def test_frames_are_answered_while_something_is_learned(bench):
    bench.hold("cup")
    bench.desk.teaching.begin(CAMERA, "fork", "camera", 1.0)
    bench.show("fork", 6)
    bench.desk.tick()
    assert bench.desk.learner.due
    assert bench.show("cup").prediction is not None


def test_what_closes_in_mid_lesson_commits_it(tmp_path):
    home = untaught(tmp_path)
    with Home.at(home).watched(learns_at_once=False) as watch:
        bench = Bench(home, watch)
        bench.desk.teaching.begin(CAMERA, "cup", "camera", None)
        bench.show("cup", 5)
        bench.desk.close()
    with Home.at(home).store(writable=False) as store:
        assert [lesson.label for lesson in store.history()] == ["cup"]


# Changing


def test_every_change_is_learned_a_moment_later(bench):
    for label in ("cup", "fork", "plate"):
        bench.hold(label)
    bench.desk.shelf.merge("plate", "fork")
    assert bench.answer("plate") == "fork"
    bench.desk.shelf.undo()
    assert bench.answer("plate") == "plate"
    bench.desk.shelf.rename("plate", "dish")
    assert bench.answer("plate") == "dish"


def test_a_class_that_is_gone_is_not_answered_before_that_is_learned(bench):
    bench.hold("cup")
    bench.hold("fork")
    bench.desk.shelf.undo()
    assert bench.desk.learner.due
    assert bench.show("fork").prediction.top == (("cup", 1.0),)


def test_what_is_forgotten_is_answered_no_more_and_shown_no_more(bench):
    bench.hold("cup")
    bench.now += 10.0
    bench.show("cup", 3, every_s=1.1)
    assert bench.desk.moments.of(CAMERA)
    proof = bench.desk.forget("cup")
    assert (proof.examples > 0, proof.found) == (True, 0)
    assert bench.desk.moments.of(CAMERA) == []
    assert bench.show("cup").prediction.label is None


def test_nothing_is_left_to_undo_at_some_point(bench):
    bench.hold("cup")
    bench.desk.shelf.undo()
    with pytest.raises(NothingToUndo):
        bench.desk.shelf.undo()


# Looking


def test_only_the_region_counts(bench):
    for label in ("cup", "fork"):
        bench.hold(label)
    bench.desk.use({CAMERA: Region((0.5, 0.0, 1.0, 1.0))})
    bench.until(lambda: not bench.desk.learner.due)
    both = np.concatenate([thing("fork", 1), thing("cup", 1)], axis=1)
    bench.now += 100.0
    live = bench.desk.look(Frame(both, bench.now, bench.now, CAMERA, 1))
    assert live.prediction.label == "cup"
    assert live.frame.image.shape == both.shape, "the whole picture is shown"


def test_frames_are_numbered_on_when_the_region_changes(bench):
    before = bench.show("cup", 5).number
    bench.desk.use({CAMERA: Region((0.5, 0.0, 1.0, 1.0))})
    assert bench.show("cup").number == before + 1


def test_the_last_moments_are_kept_once_a_second(bench):
    bench.show("cup", 40, every_s=0.25)
    moments = bench.desk.moments.of(CAMERA)
    gaps = np.diff([moment.candidate.taken_at for moment in moments])
    assert len(moments) == 10
    assert gaps.max() <= -1.0


def test_a_moment_is_taught_as_what_it_was(bench):
    bench.hold("cup")
    bench.now += 10.0
    bench.show("fork", 6, every_s=1.1)
    chosen = [moment.candidate for moment in bench.desk.moments.of(CAMERA)]
    bench.settled(bench.desk.teaching.teach_seen("fork", chosen))
    assert bench.answer("fork") == "fork"


def test_a_moment_that_was_too_long_ago_is_gone(bench):
    bench.show("cup", 3, every_s=1.1)
    with pytest.raises(ItemUnknown):
        bench.desk.moments.find(CAMERA, 99)


def test_what_is_said_not_to_be_a_class_is_answered_with_it_no_more(bench):
    for label in ("cup", "fork"):
        bench.hold(label)
    assert bench.answer("cup") == "cup"
    bench.desk.shelf.deny("cup", bench.desk.moments.of(CAMERA)[0].candidate)
    bench.until(lambda: not bench.desk.learner.due)
    bench.now += 100.0
    same = bench.desk.look(Frame(thing("cup", bench.views), bench.now, bench.now, CAMERA, 1))
    assert same.prediction.label != "cup"
    bench.desk.shelf.undo()
    assert bench.answer("cup") == "cup"


def test_an_answer_is_explained_by_what_was_taught(bench):
    for label in ("cup", "fork"):
        bench.hold(label)
    assert bench.answer("fork") == "fork"
    why = bench.desk.why(CAMERA)
    assert (why.label, why.runner_up, why.nearest[0][1]) == ("fork", "cup", "fork")
    assert why.margin > 0
    cosines = [cosine for _, _, cosine in why.nearest]
    assert cosines == sorted(cosines, reverse=True)


def test_the_answer_that_is_shown_is_explained_though_the_last_frame_says_another(bench):
    for label in ("cup", "fork"):
        bench.hold(label)
    assert bench.answer("cup") == "cup"
    for _ in range(20):
        bench.show("cup", every_s=0.02)
    assert bench.show("fork", every_s=0.001).prediction.label == "cup"
    why = bench.desk.why(CAMERA)
    assert (why.label, why.nearest[0][1]) == ("cup", "cup")


def test_nothing_is_explained_before_the_first_lesson(bench):
    bench.show("cup")
    assert bench.desk.why(CAMERA) is None
    with pytest.raises(CameraUnavailable):
        bench.desk.why("nowhere")


def test_the_state_shows_an_example_for_each_class(bench):
    bench.hold("cup")
    examples = {example.id for example in bench.desk.shelf.examples("cup")}
    assert bench.desk.state.covers[1] in examples
    assert bench.desk.shelf.example_picture(bench.desk.state.covers[1]).startswith(b"\xff\xd8")


# Releases


def candidate(bench):
    """A release of another tail, verified."""
    tiny.candidate(bench.home, change=0.1)
    settings = bench.desk.learner.settings
    return receive(bench.home, source_of(bench.home, "2"), settings, unsigned=True).files


def test_frames_are_answered_and_lessons_given_while_a_release_is_installed(bench):
    bench.hold("cup")
    done = bench.desk.releases.begin(2, candidate(bench))
    with pytest.raises(ReleaseBusy):
        bench.desk.releases.begin(2, {})
    bench.hold("fork")
    switched = bench.settled(done)
    assert (switched.number, bench.desk.state.release) == (2, 2)
    assert [bench.best("cup"), bench.best("fork")] == ["cup", "fork"]


def test_a_release_is_rolled_back_at_once(bench):
    bench.hold("cup")
    bench.settled(bench.desk.releases.begin(2, candidate(bench)))
    before = bench.desk.learner.backbone.tail_digest
    assert bench.desk.releases.roll_back("a test") == 1
    assert bench.desk.learner.backbone.tail_digest != before
    assert bench.answer("cup") == "cup"


def test_a_lesson_that_is_committed_just_before_a_change_of_releases_is_reported(bench):
    bench.hold("cup")
    bench.settled(bench.desk.releases.begin(2, candidate(bench)))
    hold = bench.desk.teaching.begin(CAMERA, "fork", "camera", None).hold
    bench.show("fork", 8)
    report = bench.desk.teaching.end(hold)
    bench.desk.releases.roll_back("a test")
    assert bench.settled(report).lesson.label == "fork"
    assert bench.answer("fork") == "fork"


def test_a_lesson_that_is_given_across_a_change_of_releases_is_learned(bench):
    bench.hold("cup")
    files = candidate(bench)
    hold = bench.desk.teaching.begin(CAMERA, "fork", "camera", None).hold
    bench.show("fork", 4)
    bench.settled(bench.desk.releases.begin(2, files))
    bench.show("fork", 4)
    assert bench.settled(bench.desk.teaching.end(hold)).lesson.kept == 8
    assert bench.answer("fork") == "fork"


def test_a_camera_that_is_left_ends_its_lesson_and_is_forgotten(bench):
    hold = bench.desk.teaching.begin(CAMERA, "cup", "camera", None).hold
    bench.show("cup", 8)
    bench.desk.leave(CAMERA)
    assert bench.settled(bench.desk.teaching.ended(hold)).lesson.label == "cup"
    assert CAMERA not in bench.desk.live


# New things


@pytest.fixture
def keen(bench, monkeypatch):
    """A bench that takes every view for another one: to so small a network all are nearly alike."""
    monkeypatch.setattr(newcomers, "REDUNDANT", 2.0)
    return bench


def come_twice(bench, label):
    for _ in range(2):
        bench.show(label, newcomers.VIEWS, every_s=1.1)
        bench.now += newcomers.APART_S


def spoon_comes(bench):
    """To who knows two other things."""
    bench.hold("cup")
    bench.hold("fork")
    bench.until(lambda: not bench.desk.learner.due)
    come_twice(bench, "spoon")


def test_while_nothing_was_taught_nothing_is_new(keen):
    come_twice(keen, "spoon")
    assert keen.desk.state.newcomers == 0


def test_what_is_unknown_and_comes_back_is_asked_about(keen):
    spoon_comes(keen)
    assert keen.desk.state.newcomers == 1


def test_what_is_taught_in_another_way_is_asked_about_no_more(keen):
    spoon_comes(keen)
    keen.hold("spoon")
    keen.until(lambda: not keen.desk.learner.due)
    assert keen.desk.state.newcomers == 0


def test_what_is_still_unknown_after_another_lesson_is_still_asked_about(keen):
    spoon_comes(keen)
    keen.hold("cup")
    keen.until(lambda: not keen.desk.learner.due)
    assert keen.desk.state.newcomers == 1


def test_where_all_was_taken_back_nothing_is_new_any_more(keen):
    spoon_comes(keen)
    for _ in range(2):
        keen.desk.shelf.undo()
        keen.until(lambda: not keen.desk.learner.due)
    assert keen.desk.state.newcomers == 0


# On a hot board

HOT = Effort(2, False, "it is 86 °C hot")


def test_on_a_hot_board_a_lesson_is_kept_and_learned_once_it_has_cooled(bench):
    bench.hold("cup")
    bench.desk.set_effort(HOT, Readings(86.0))
    report = bench.hold("fork")
    assert (report.waits, report.accuracy, report.lesson.kept) == ("it is 86 °C hot", None, 8)
    bench.desk.tick()
    assert bench.desk.learner.due
    bench.desk.set_effort(FULL, Readings(70.0))
    assert [bench.answer("cup"), bench.answer("fork")] == ["cup", "fork"]


def test_a_lesson_that_is_being_learned_when_it_becomes_hot_is_learned(bench):
    count = bench.desk.teaching.begin(CAMERA, "cup", "camera", None)
    bench.show("cup", 8)
    future = bench.desk.teaching.end(count.hold)
    bench.desk.tick()
    assert bench.desk.teaching.learning_since is not None
    bench.desk.set_effort(HOT, Readings(86.0))
    assert bench.settled(future).waits is None


def test_what_is_done_and_why_is_told(bench):
    readings = Readings(86.0, ("it is throttled",))
    bench.desk.set_effort(HOT, readings)
    assert (bench.desk.state.effort, bench.desk.state.board) == (HOT, readings)


def test_on_a_hot_board_a_release_waits_where_it_is(bench):
    bench.hold("cup")
    done = bench.desk.releases.begin(2, candidate(bench))
    bench.desk.set_effort(HOT, Readings(86.0))
    before = bench.desk.state.swap
    for _ in range(20):
        bench.desk.tick()
    assert bench.desk.state.swap == before
    assert not done.done()
    bench.desk.set_effort(FULL, Readings(70.0))
    assert bench.settled(done).number == 2
