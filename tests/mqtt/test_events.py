"""What happened, told once and not kept."""

from __future__ import annotations

from daemons import eventually
from mqtt_worlds import ROOT, state, teach

from edgecl.mqtt.events import Events


def test_what_was_there_at_the_first_look_is_no_event():
    assert Events().of_state(state("cup", news=((1.0, "old"),))) == []


def test_a_class_another_release_and_words_of_the_daemon_are_events():
    events = Events()
    events.of_state(state("cup", news=((1.0, "old"),)))
    found = events.of_state(state("cup", "fork", release=3, news=((1.0, "old"), (2.0, "new"))))
    assert [one["event"] for one in found] == ["class_added", "release", "news"]
    assert (found[0]["label"], found[1]["release"], found[2]["text"]) == ("fork", 3, "new")


def test_a_lesson_a_new_class_and_an_undo_are_events_that_are_not_kept(world):
    world.begin()
    eventually(lambda: "classes" in world.ear.wait(f"{ROOT}/state").record)
    teach(world.daemon, "plate")
    taught = world.ear.wait(f"{ROOT}/event", lambda one: one.record["event"] == "taught")
    assert taught.record["lesson"]["label"] == "plate"
    added = world.ear.wait(f"{ROOT}/event", lambda one: one.record["event"] == "class_added")
    assert added.record["label"] == "plate"
    world.daemon.ask(lambda desk: desk.shelf.undo()).result(20)
    undone = world.ear.wait(f"{ROOT}/event", lambda one: one.record["event"] == "undone")
    assert undone.record["lesson"]["lesson"] == taught.record["lesson"]["lesson"]
    assert not any(one.retained for one in (taught, added, undone))
