"""The thread that owns the memory: whoever asked gets an answer, whatever happens to it."""

from __future__ import annotations

import threading
import time

import pytest
from daemons import eventually, thing, untaught

from edgecl.board import Readings
from edgecl.daemon.heartbeat import Heartbeat, silent
from edgecl.daemon.owner import Owner, Watched, given_up
from edgecl.effort import Effort
from edgecl.errors import Busy, DaemonEnded, StoreError
from edgecl.home import Home
from edgecl.region import Region
from edgecl.types import Frame


@pytest.fixture
def home(tmp_path):
    return Home.at(untaught(tmp_path))


@pytest.fixture
def owner(home):
    found = Owner(home, lambda: None, lambda live: None)
    yield found
    found.close()


def test_in_between_the_memory_is_let_go_of_and_taken_up_again(owner, home):
    def free():
        with home.learner() as learner:  # takes the lock
            return len(learner.names)

    assert owner.interrupt(free).result(30) == 0
    assert owner.ask(lambda desk: desk.learner.store.revision).result(30) >= 0


def test_what_fails_in_between_is_told_and_the_owner_goes_on(owner):
    def fail():
        raise StoreError("no such backup")

    with pytest.raises(StoreError, match="no such backup"):
        owner.interrupt(fail).result(30)
    assert owner.ask(lambda desk: desk.state.number).result(30) >= 0


def test_a_second_one_is_refused_while_one_waits(owner):
    hold = threading.Event()
    held = owner.ask(lambda desk: hold.wait(30))
    first, second = owner.interrupt(lambda: 1), owner.interrupt(lambda: 2)
    hold.set()
    assert held.result(30)
    assert first.result(30) == 1
    with pytest.raises(Busy):
        second.result(30)


def test_whoever_asked_is_told_when_the_memory_cannot_be_taken_up_again(owner, home):
    def damage():
        for file in home.folder.glob("edgecl.db*"):
            file.write_bytes(b"no database")

    with pytest.raises(StoreError):
        owner.interrupt(damage).result(30)
    eventually(lambda: owner.failure is not None)
    with pytest.raises(DaemonEnded):
        owner.ask(lambda desk: None).result(30)


def test_what_was_done_in_between_is_told_though_the_end_was_asked_for_meanwhile(owner):
    def end():
        owner._stop.set()
        return "put back"

    assert owner.interrupt(end).result(30) == "put back"


def test_a_command_that_takes_longer_is_no_hang(owner):
    hold = threading.Event()
    held = owner.ask(lambda desk: hold.wait(30))
    eventually(lambda: owner.heartbeat > time.monotonic())
    hold.set()
    assert held.result(30)
    eventually(lambda: owner.heartbeat <= time.monotonic())


def test_the_memory_being_put_back_is_no_hang(owner):
    hold = threading.Event()
    held = owner.interrupt(lambda: hold.wait(30))
    eventually(lambda: owner.heartbeat > time.monotonic() + 100)
    hold.set()
    assert held.result(30)


def test_what_has_not_beaten_for_too_long_is_named():
    beats = [Heartbeat("one", time.monotonic, 10.0), Heartbeat("the other", lambda: time.monotonic() - 12.1, 10.0)]
    assert silent(beats) == "the other has been silent for 12 s"
    assert silent(beats[:1]) is None


def test_a_command_that_takes_the_memory_in_between_may_have_it(owner, home, monkeypatch):
    monkeypatch.setattr("edgecl.daemon.owner.TAKEN_S", 0.05)
    taken, enough = threading.Event(), threading.Event()

    def take():
        with home.learner():
            taken.set()
            enough.wait(30)

    other = threading.Thread(target=take)

    def lose():
        other.start()
        return taken.wait(30)

    done = owner.interrupt(lose)
    assert taken.wait(30)
    time.sleep(0.3)
    assert not done.done()
    enough.set()
    assert done.result(30)
    other.join()
    assert owner.ask(lambda desk: desk.state.number).result(30) >= 0


def test_what_is_given_up_before_it_was_begun_is_not_done(owner):
    hold, done = threading.Event(), []
    held = owner.ask(lambda desk: hold.wait(30))
    given = owner.ask(lambda desk: done.append("undone"))
    assert "nothing was done" in str(given_up(given))
    hold.set()
    assert held.result(30)
    owner.ask(lambda desk: None).result(30)
    assert done == []


def test_what_is_given_up_while_it_goes_on_may_still_be_done(owner):
    begun, hold = threading.Event(), threading.Event()

    def long(desk):
        begun.set()
        return hold.wait(30)

    given = owner.ask(long)
    assert begun.wait(30)
    assert "it may still be done" in str(given_up(given))
    hold.set()
    assert given.result(30)


def test_whoever_asks_after_the_end_is_told(owner):
    owner.close()
    with pytest.raises(DaemonEnded):
        owner.ask(lambda desk: None).result(1)


def test_whoever_asked_is_answered_though_a_listener_fails(home):
    def fail():
        raise RuntimeError("a listener")

    failing = threading.Event()
    owner = Owner(home, lambda: fail() if failing.is_set() else None, lambda live: None)
    failing.set()
    assert owner.ask(lambda desk: desk.tell("news") or "done").result(30) == "done"
    eventually(lambda: owner.failure is not None)


class Film:
    """A camera that has a new frame whenever it is asked."""

    name = "camera1"

    def __init__(self):
        self.shown = 0

    def take(self):
        self.shown += 1
        return Frame(thing("cup", self.shown), 0.0, time.monotonic(), self.name, self.shown)


def test_at_half_the_pace_every_second_frame_is_left_out():
    watched, now = Watched(Film(), Region(), 30.0), 100.0
    seen = []
    for _ in range(30):
        now += 1 / 30
        frame = watched.take(now, every=2)
        if frame is not None:
            seen.append(frame.index)
    assert seen == list(range(2, 31, 2))


def test_the_pace_is_kept_when_the_memory_was_put_back(owner):
    slow = Effort(2, False, "it is 86 °C hot")
    owner.set_effort(slow, Readings(86.0))
    eventually(lambda: owner.state.effort == slow)
    owner.interrupt(lambda: None).result(30)
    assert owner.ask(lambda desk: desk.effort).result(30) == slow
