"""What Home Assistant is told, so that nobody has to write a line there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mqtt_worlds import CONFIG, HALL, KNOWN, ROOT, TOPICS, Seen

from edgecl.mqtt import discovery
from edgecl.mqtt.messages import Wanted, messages


def config(*labels: str, image: bool = True, gone: dict[str, str] | None = None) -> dict[str, Any]:
    return discovery.config(TOPICS, {"hall": "hall", "yard": "yard"}, labels, image, gone or {})


def test_the_device_says_who_it_is_and_who_says_so():
    found = config("cup")
    assert {"dev", "o", "cmps"} == set(found)
    assert found["dev"]["ids"] == ["edgecl_board"]
    assert found["o"]["name"] == "edgecl"


def test_every_component_has_a_platform_and_an_id_of_its_own():
    parts = config("cup")["cmps"]
    assert all(one["p"] for one in parts.values())
    assert len({one["unique_id"] for one in parts.values()}) == len(parts)


def test_no_id_depends_on_a_label():
    ids = [[one["unique_id"] for one in config(*labels)["cmps"].values()] for labels in (("cup", "fork"), ("mug",), ())]
    assert ids[0] == ids[1] == ids[2]


def test_the_class_of_a_camera_may_be_any_label_or_unknown_each_once():
    found = config("cup", "unknown", "<b>&amp;", "🍵", "a #+ b")["cmps"]["hall_class"]
    assert found["options"] == ["cup", "unknown", "<b>&amp;", "🍵", "a #+ b"]
    assert (found["p"], found["device_class"]) == ("sensor", "enum")


def test_a_picture_is_announced_only_where_it_is_asked_for():
    assert config("cup", image=True)["cmps"]["hall_image"]["p"] == "image"
    assert "hall_image" not in config("cup", image=False)["cmps"]


def test_the_connection_and_the_release_are_diagnostics():
    parts = config("cup")["cmps"]
    assert (parts["hall_connectivity"]["device_class"], parts["hall_connectivity"]["p"]) == (
        "connectivity",
        "binary_sensor",
    )
    assert {parts[name]["entity_category"] for name in ("hall_connectivity", "release")} == {"diagnostic"}
    assert parts["release"]["enabled_by_default"] is False


def test_the_button_sends_a_request_that_can_be_read():
    button = config()["cmps"]["undo"]
    assert (button["p"], button["command_topic"]) == ("button", f"{ROOT}/request/undo")
    assert json.loads(button["payload_press"]) == {}


def test_the_components_that_are_listed_are_those_that_are_announced():
    for image in (True, False):
        parts = {key: one["p"] for key, one in config("cup", image=image)["cmps"].items()}
        assert discovery.components(["hall", "yard"], image) == parts


def test_a_component_that_is_no_more_has_nothing_but_its_platform():
    assert config("cup", gone={"porch_class": "sensor"})["cmps"]["porch_class"] == {"p": "sensor"}


def test_what_was_announced_before_is_read_back_without_what_was_removed():
    parts = config("cup", gone={"porch_class": "sensor"})
    assert discovery.announced(json.dumps(parts).encode()) == discovery.components(["hall", "yard"], True)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b'{"cmps": 1}',
        b'{"cmps": {"a": 1}}',
        b'{"cmps": {"a": {"q": 1, "r": 2}}}',
        b"[" * 10**5,
        b'{"cmps": {"a": {"p": ["x"], "r": 2}}}',
        b'{"cmps": {"a": {"p": "light", "r": 2}}}',
    ],
)
def test_what_others_left_in_our_place_is_not_taken_for_ours(payload):
    assert discovery.announced(payload) == {}


def test_options_are_told_before_the_state_and_hold_what_is_on_its_way_out():
    seen = Seen()
    seen.shows("cup", 1.0)
    wanted = Wanted(TOPICS, True, False, shown=frozenset({"mug"}))
    found = list(messages(wanted, KNOWN, {"hall": seen.sighting}).items())
    assert found[0][0] == CONFIG
    assert json.loads(found[0][1])["cmps"]["hall_class"]["options"] == ["cup", "fork", "mug", "unknown"]


def test_options_are_there_before_a_state_needs_them(world):
    world.begin()
    world.result("rename", {"label": "cup", "new": "mug"})
    found = world.ear.wait(f"{HALL}/state", lambda one: one.text == "mug")
    for one in world.ear.all(f"{HALL}/state"):
        before = [other for other in world.ear.heard[: world.ear.heard.index(one)] if other.topic == CONFIG]
        assert one.text in before[-1].record["cmps"]["hall_class"]["options"]
    last = world.ear.wait(CONFIG, after=world.ear.heard.index(found))  # then the old name is no option any more
    assert last.record["cmps"]["hall_class"]["options"] == ["mug", "fork", "unknown"]


def test_an_option_stays_while_its_label_is_told(world):
    world.begin()
    world.result("rename", {"label": "cup", "new": "mug"})
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "mug")
    shown, options = "unknown", []
    for one in world.ear.heard:
        if one.topic == CONFIG:
            options = one.record["cmps"]["hall_class"]["options"]
        elif one.topic == f"{HALL}/state":
            shown = one.text
        assert not options or shown in options


def test_home_assistant_is_told_anew_when_it_starts(world):
    world.begin()
    after = len(world.ear.heard)
    world.ear.say("homeassistant/status", b"online")
    first = world.ear.wait(CONFIG, after=after)
    assert first.retained
    world.ear.wait(f"{HALL}/state", after=world.ear.heard.index(first))


def test_home_assistant_is_not_told_anew_when_it_ends(world):
    world.begin()
    after = len(world.ear.heard)
    world.ear.say("homeassistant/status", b"offline")
    world.result("classify", {"camera": "hall"})
    assert CONFIG not in [one.topic for one in world.ear.heard[after:]]


def test_a_camera_that_is_taken_away_is_taken_back_everywhere(world):
    world.begin()
    world.cameras("yard")
    gone = world.ear.wait(CONFIG, lambda one: "yard_class" in one.record["cmps"]).record["cmps"]
    assert (gone["hall_class"], gone["hall_connectivity"]) == ({"p": "sensor"}, {"p": "binary_sensor"})
    for name in ("state", "attributes", "availability"):
        assert world.ear.wait(f"{HALL}/{name}", lambda one: one.payload == b"").retained


def test_a_camera_that_was_there_in_an_earlier_run_is_taken_back(world):
    world.cameras("hall", "yard")
    world.begin()
    world.ear.wait(CONFIG, lambda one: len(one.record["cmps"]["yard_class"]) > 1)
    world.mqtt.close()
    world.cameras("hall")
    world.begin()
    found = world.ear.wait(CONFIG, lambda one: one.record["cmps"].get("yard_class") == {"p": "sensor"})
    assert len(found.record["cmps"]["hall_class"]) > 1
    world.ear.wait(f"{ROOT}/yard/availability", lambda one: one.payload == b"")


def test_without_discovery_home_assistant_is_told_nothing_and_what_it_was_told_is_taken_back(world):
    world.ear.say(CONFIG, b'{"cmps": {}}', retain=True)
    world.begin(shows=None, discovery=False)
    assert [one.payload for one in world.ear.all(CONFIG)] == [b'{"cmps": {}}', b""]
