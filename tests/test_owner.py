"""The thread that owns the memory: whoever asked gets an answer, whatever happens to it."""

from __future__ import annotations

import threading
import time

import pytest
from daemons import eventually, untaught

from edgecl.daemon.heartbeat import Heartbeat, silent
from edgecl.daemon.owner import Owner
from edgecl.errors import Busy, DaemonEnded, StoreError
from edgecl.home import Home


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
