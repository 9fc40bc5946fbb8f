"""Under which topics it speaks: names that any broker can bear, and as the settings say."""

from __future__ import annotations

import pytest
from mqtt_worlds import CONFIG, HALL, ROOT
from pydantic import ValidationError

from edgecl.config import MqttSettings
from edgecl.mqtt.client import Mqtt
from edgecl.mqtt.topics import Topics, own_node, slug


@pytest.mark.parametrize(
    "name", ["a/b", "#", "+", "a+b", "$SYS", "", "ä", "🍵", "a\nb", "\0", "x" * 300, "\ud800", ".."]
)
def test_no_name_forms_more_than_one_level_of_a_topic(name):
    assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert 0 < len(slug(name)) < 80


def test_names_that_differ_have_topics_that_differ():
    names = ["a/b", "a+b", "a_b", "a#b", "A_b", "request", "request_", "response", "x" * 64, "x" * 65, "x" * 66]
    assert len({slug(name) for name in names}) == len(names)


def test_a_camera_that_may_be_one_keeps_its_name():
    assert [slug(name) for name in ("hall", "Hall-2", "camera_1")] == ["hall", "Hall-2", "camera_1"]


def test_a_camera_called_request_is_not_heard_as_one():
    assert not Topics("edgecl", "board", "ha").camera(slug("request"), "state").startswith("edgecl/board/request/")


@pytest.mark.parametrize("topic", ["#", "a/#", "+", "/a", "a/", "a//b", "", "$SYS", "a b", "a\n"])
@pytest.mark.parametrize("setting", ["base_topic", "discovery_prefix"])
def test_a_topic_of_the_settings_has_no_wildcard(setting, topic):
    with pytest.raises(ValidationError):
        MqttSettings(**{setting: topic})


def test_topics_begin_as_the_settings_say(world):
    world.mqtt = Mqtt(world.daemon, world.settings(base_topic="house/edge", node="n1", discovery_prefix="ha"))
    assert world.ear.wait("house/edge/n1/availability").text == "online"
    assert world.ear.wait("ha/device/edgecl_n1/config").record["dev"]["ids"] == ["edgecl_n1"]


def test_the_node_is_this_machine_unless_another_is_named(world):
    world.mqtt = Mqtt(world.daemon, MqttSettings(host="127.0.0.1", port=world.near.port))
    world.ear.wait(f"edgecl/{own_node()}/availability")


@pytest.mark.parametrize("label", ["#", "+", "a #+ b", "<img onerror=x>", "🍵", "{{ states }}", "\\u0022 '"])
def test_a_label_may_be_strange_and_no_topic_has_it(world, label):
    world.begin()
    if "\\" in label:
        label = label.replace("\\u0022", '"')
    world.result("rename", {"label": "cup", "new": label})
    world.ear.wait(f"{HALL}/state", lambda one: one.text == label)
    allowed = {ROOT, "homeassistant"}
    assert {one.topic for one in world.ear.heard if not one.topic.startswith(tuple(allowed))} == set()
    names = ("state", "attributes", "availability", "image")
    known = {CONFIG, f"{ROOT}/state", f"{ROOT}/availability", f"{ROOT}/event"} | {f"{HALL}/{name}" for name in names}
    assert {one.topic for one in world.ear.heard} <= known | {f"{ROOT}/{way}/rename" for way in ("request", "response")}
