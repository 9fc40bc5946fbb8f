"""What is done that was asked for at a broker."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import tiny
from daemons import eventually, jpeg, thing
from mqtt_worlds import HALL, ROOT

from edgecl.mqtt.requests import WAITING_MAX, Asked, Requests
from edgecl.releases.bundle import open_source
from edgecl.releases.installing import receive
from edgecl.releases.slots import release_folder


def test_a_lesson_is_held_learned_and_answered(world):
    world.begin("plate")
    found = world.result("teach", {"camera": "hall", "label": "plate", "seconds": 0.4})
    assert (found["label"], found["origin"], found["kind"]) == ("plate", "mqtt", "teach")
    assert found["kept"] > 0
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "plate")


def test_other_requests_are_done_while_a_lesson_is_held(world):
    world.begin()
    world.ear.say(f"{ROOT}/request/teach", {"camera": "hall", "label": "plate", "seconds": 60})
    eventually(lambda: world.daemon.state.holds)
    assert world.result("classify", {"camera": "hall"})["label"] == "cup"
    assert "LessonBusy" in world.refusal("teach", {"camera": "hall", "label": "other", "seconds": 1})


def test_a_lesson_that_somebody_else_drops_is_answered(world):
    world.begin()
    world.ear.say(f"{ROOT}/request/teach", {"camera": "hall", "label": "plate", "seconds": 60, "transaction": 5})
    (count,) = eventually(lambda: list(world.daemon.state.holds.values()))
    world.daemon.ask(lambda desk: desk.teaching.cancel(count.hold)).result(20)
    answer = world.ear.wait(f"{ROOT}/response/teach").record
    assert (answer["transaction"], answer["error"]) == (5, "LessonOver")


def test_a_lesson_that_is_held_when_it_ends_is_answered(world):
    world.begin()
    world.ear.say(f"{ROOT}/request/teach", {"camera": "hall", "label": "plate", "seconds": 60})
    eventually(lambda: world.daemon.state.holds)
    world.mqtt.close()
    assert world.ear.wait(f"{ROOT}/response/teach").record["error"] == "DaemonEnded"


def test_the_last_lesson_is_undone(world):
    world.begin()
    assert world.result("undo", {})["label"] == "fork"
    assert [one.name for one in world.daemon.state.classes] == ["cup"]


def test_a_class_is_renamed(world):
    world.begin()
    assert world.result("rename", {"label": "fork", "new": "🍴 fork"})["label"] == "🍴 fork"


def test_a_class_is_forgotten_with_the_proof(world):
    world.begin()
    proof = world.result("forget", {"label": "cup"})
    assert (proof["label"], proof["found"]) == ("cup", 0)
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "fork" or one.text == "unknown")


def test_a_picture_that_is_sent_is_classified(world):
    world.begin(shows=None)
    image = base64.b64encode(jpeg(thing("fork"))).decode()
    found = world.result("classify", {"image": image})
    assert (found["label"], found["source"]) == ("fork", "mqtt")


def test_another_release_is_an_event_and_is_rolled_back(world):
    tiny.candidate(world.home, change=0.1)
    world.begin()
    verified = receive(world.home, open_source(release_folder(world.home, 2)), world.daemon.home.settings, True)
    world.daemon.ask(lambda desk: desk.releases.begin(2, verified.files)).result(20).result(20)
    installed = world.ear.wait(f"{ROOT}/event", lambda one: one.record["event"] == "release")
    assert installed.record["release"] == 2
    assert world.result("rollback", {"reason": "a test"}) == {"active_now": 1}
    news = world.ear.wait(f"{ROOT}/event", lambda one: "runs again: a test" in one.record.get("text", ""))
    assert news.record["event"] == "news"


def test_a_request_that_was_kept_before_is_not_done(world):
    world.ear.say(f"{ROOT}/request/forget", {"label": "cup"}, retain=True)
    world.begin(shows=None)
    answer = world.ear.wait(f"{ROOT}/response/forget").record
    assert (answer["ok"], answer["error"]) == (False, "InputRefused")
    assert "retained" in answer["message"]
    assert [one.name for one in world.daemon.state.classes] == ["cup", "fork"]


def test_a_request_that_is_sent_to_be_kept_is_not_done(world):
    world.begin(shows=None)
    world.ear.say(f"{ROOT}/request/undo", {"transaction": "x"}, retain=True)
    answer = world.ear.wait(f"{ROOT}/response/undo").record
    assert (answer["ok"], answer["transaction"]) == (False, "x")
    assert [one.name for one in world.daemon.state.classes] == ["cup", "fork"]


def test_taking_back_a_request_that_was_kept_is_none(world):
    world.begin(shows=None)
    world.ear.say(f"{ROOT}/request/undo", b"", retain=True)
    world.result("rename", {"label": "cup", "new": "mug"})
    assert world.ear.all(f"{ROOT}/response/undo") == []


def test_an_error_that_nobody_expected_is_answered_and_the_next_request_is_done(caplog):
    answers: list[dict[str, Any]] = []
    requests = Requests(object(), lambda name, record: answers.append(record))  # no daemon at all
    for number in (1, 2):
        requests.take(Asked("undo", json.dumps({"transaction": number}).encode(), retained=False))
    eventually(lambda: len(answers) == 2)
    requests.close(5.0)
    assert [(one["transaction"], one["ok"], one["error"]) for one in answers] == [
        (1, False, "EdgeclError"),
        (2, False, "EdgeclError"),
    ]
    assert "AttributeError" in caplog.text


def test_a_flood_is_answered_with_busy_while_the_owner_is_at_work(world):
    world.begin(shows=None)
    release = threading.Event()
    world.daemon.ask(lambda desk: release.wait(30))
    try:
        for number in range(WAITING_MAX + 10):
            world.ear.say(f"{ROOT}/request/undo", {"transaction": number})
        answers = eventually(lambda: len(found := world.ear.all(f"{ROOT}/response/undo")) >= 9 and found)
        assert {one.record["error"] for one in answers} == {"Busy"}
        assert WAITING_MAX + 9 in [one.record["transaction"] for one in answers]
    finally:
        release.set()
    eventually(lambda: len(world.ear.all(f"{ROOT}/response/undo")) == WAITING_MAX + 10, "an answer to each")
