"""What a real broker hears of a real daemon, and what the daemon does that is asked there."""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from brokers import Broker, Listener, broker, certificate, free_port, listening
from daemons import eventually, jpeg, running, thing, untaught
from pydantic import ValidationError

import edgecl
from edgecl.config import CameraEntry, MqttSettings
from edgecl.daemon.daemon import Daemon
from edgecl.daemon.snapshots import Live, State
from edgecl.errors import ConfigRefused, ExtraMissing
from edgecl.home import Home
from edgecl.images import decode_image
from edgecl.lesson import Burst
from edgecl.mqtt import connection, discovery
from edgecl.mqtt.account import Account, Hearing, read_password
from edgecl.mqtt.client import Mqtt
from edgecl.mqtt.connection import Connection
from edgecl.mqtt.events import Events
from edgecl.mqtt.messages import Wanted, messages
from edgecl.mqtt.requests import PAYLOAD_BYTES_MAX, WAITING_MAX, Asked, Requests
from edgecl.mqtt.sighting import GONE_S, PAUSE_S, STEADY_S, Sighting
from edgecl.mqtt.topics import Topics, own_node, slug
from edgecl.overview import ClassSummary
from edgecl.releases.bundle import open_source
from edgecl.releases.installing import receive
from edgecl.releases.slots import release_folder
from edgecl.types import Frame, Prediction

ROOT = "edgecl/board"
CONFIG = "homeassistant/device/edgecl_board/config"
HALL = f"{ROOT}/hall"
NOTHING = "nothing"  # a dark picture, which is like no class


def teach(daemon: Daemon, label: str) -> None:
    """With pictures that are there."""
    burst: Burst = daemon.ask(lambda desk: desk.teaching.burst()).result(20)
    for view in range(8):
        frame = Frame(thing(label, view), 0.0, 0.0)
        daemon.ask(lambda desk, frame=frame: burst.add(frame)).result(20)
    daemon.ask(lambda desk: desk.teaching.teach(label, burst, "api")).result(20).result(20)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home in which cup and fork were taught; nobody changes it."""
    home = untaught(tmp_path_factory.mktemp("made"))
    with (home / "edgecl.toml").open("a") as settings:
        settings.write("[stream]\nsmoothing_s = 0.0\n[camera]\nread_timeout_s = 0.5\n")
    daemon = Daemon(Home.at(home), [])
    teach(daemon, "cup")
    teach(daemon, "fork")
    daemon.close()
    return home


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home", symlinks=True))


@pytest.fixture
def near(tmp_path):
    with broker(tmp_path) as found:
        yield found


class Showing:
    """Holds things before a camera, some pictures a second; None holds nothing, and sends no picture."""

    def __init__(self, daemon: Daemon, camera: str) -> None:
        self.label: str | None = None
        self._daemon, self._camera, self._stop = daemon, camera, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        view = 0
        while not self._stop.wait(0.03):
            pushed = self._daemon.pushed(self._camera)
            if self.label is not None and pushed is not None:
                pushed.push(tiny.BLACK if self.label == NOTHING else thing(self.label, view % 50))
                view += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class World:
    """A daemon with a camera called hall, its word to a broker, and who listens there."""

    def __init__(self, home: Path, near: Broker, ear: Listener) -> None:
        self.home, self.near, self.ear = home, near, ear
        self.daemon = Daemon(Home.at(home), [CameraEntry(url="browser:", name="hall")])
        self.hall = Showing(self.daemon, "hall")
        self.mqtt: Mqtt | None = None

    def settings(self, **more: Any) -> MqttSettings:
        return MqttSettings(**{"host": "127.0.0.1", "port": self.near.port, "node": "board"} | more)

    def begin(self, shows: str | None = "cup", **more: Any) -> World:
        """Let the camera show something, and the broker be told; returns once it was."""
        self.hall.label, after = shows, len(self.ear.heard)
        self.mqtt = Mqtt(self.daemon, self.settings(**more))
        if shows is None:
            self.ear.wait(f"{ROOT}/availability", lambda one: one.text == "online", after)
        else:
            self.ear.wait(f"{HALL}/availability", lambda one: one.text == "online", after)
        return self

    def ask(self, name: str, payload: Any) -> dict[str, Any]:
        """What is answered to a request."""
        after = len(self.ear.heard)
        self.ear.say(f"{ROOT}/request/{name}", payload)
        return self.ear.wait(f"{ROOT}/response/{name}", after=after).record

    def result(self, name: str, payload: Any) -> dict[str, Any]:
        answer = self.ask(name, payload)
        assert answer["ok"], answer
        return answer["result"]

    def refusal(self, name: str, payload: Any) -> str:
        """The name of the error, and what is said."""
        answer = self.ask(name, payload)
        assert set(answer) == {"transaction", "ok", "error", "message"}, answer
        assert not answer["ok"]
        return f"{answer['error']}: {answer['message']}"

    def cameras(self, *names: str) -> None:
        self.daemon.use([CameraEntry(url="browser:", name=name) for name in names])

    def close(self) -> None:
        if self.mqtt is not None:
            self.mqtt.close()
        self.hall.close()
        self.daemon.close()


@pytest.fixture
def world(home, near):
    with listening(near.port) as ear:
        found = World(home, near, ear)
        try:
            yield found
        finally:
            found.close()


# Topics and settings


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


def test_without_a_host_nobody_is_told():
    assert MqttSettings().host is None
    assert not MqttSettings().image


@pytest.mark.parametrize("topic", ["#", "a/#", "+", "/a", "a/", "a//b", "", "$SYS", "a b", "a\n"])
@pytest.mark.parametrize("setting", ["base_topic", "discovery_prefix"])
def test_a_topic_of_the_settings_has_no_wildcard(setting, topic):
    with pytest.raises(ValidationError):
        MqttSettings(**{setting: topic})


def test_a_password_belongs_to_a_user(tmp_path):
    with pytest.raises(ValidationError, match="username"):
        MqttSettings(password_file=tmp_path / "password")


def test_a_password_is_one_line_without_its_end(tmp_path):
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("pass word\n")
    assert read_password(path) == "pass word"


@pytest.mark.parametrize(
    ("mode", "text", "says"), [(0o640, "secret", "chmod 600"), (0o600, "", "no password"), (0o600, "a\nb", "one line")]
)
def test_a_password_that_others_read_or_that_is_none_is_refused(tmp_path, mode, text, says):
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigRefused, match=says):
        read_password(path)


def test_a_password_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigRefused, match="could not read"):
        read_password(tmp_path / "password")


def test_the_password_is_not_shown_with_the_account():
    assert "secret" not in repr(Account("broker", 1883, False, "me", "me", "secret"))


def test_without_paho_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "edgecl.mqtt.connection")
    monkeypatch.setitem(sys.modules, "paho", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ExtraMissing, match=r"edgecl\[mqtt\]"):
        Mqtt(None, MqttSettings(host="broker"))


def test_nothing_but_the_commands_knows_mqtt():
    package = Path(edgecl.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("mqtt", "cli"):
            continue
        names = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name and name.startswith("edgecl.mqtt")], path


def test_mqtt_knows_no_store_and_no_page():
    for path in (Path(edgecl.__file__).parent / "mqtt").glob("*.py"):
        names = [
            node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        assert not [name for name in names if name.startswith(("edgecl.memory", "edgecl.web", "edgecl.cli"))], path


# What is told of a camera


def state(*names: str, **more: Any) -> State:
    """A daemon that knows these classes."""
    fields: dict[str, Any] = dict.fromkeys((one.name for one in dataclasses.fields(State)), 0)
    classes = tuple(ClassSummary(number, name, 5, None, None) for number, name in enumerate(names, start=1))
    return State(**fields | {"classes": classes, "revision": 7, "release": 2, "news": ()} | more)


KNOWN = state("cup", "fork")
IMAGE = np.zeros((48, 64, 3), np.uint8)


class Seen:
    """A sighting, and what its camera shows, by a clock of its own."""

    def __init__(self, image_every_s: float | None = None) -> None:
        self.sighting, self.now, self.state, self.open = Sighting(image_every_s), 100.0, KNOWN, True

    def shows(self, label: str | None, seconds: float, probability: float = 0.9, rate_hz: float = 20.0) -> list[Any]:
        """Show a thing; gives all labels that were told on the way."""
        told, end = [], self.now + seconds
        while self.now < end - 1e-9:
            prediction = Prediction(label, probability, (("cup", probability),), 0.6 if label is None else 0.1)
            frame = Frame(IMAGE, self.now, self.now, "hall")
            self.sighting.hear(Live("hall", 0, frame, prediction, None, None, 20.0, 0.0, 0.0, None), self.now)
            told += self.waits(1.0 / rate_hz)
        return told

    def waits(self, seconds: float) -> list[Any]:
        """Show nothing more; likewise."""
        before = self.sighting.label if self.sighting.told else "not yet"
        self.now += seconds
        self.sighting.step(self.now, self.open, self.state)
        after = self.sighting.label if self.sighting.told else "not yet"
        return [] if after == before else [after]


def test_a_label_is_told_once_it_has_lasted():
    seen = Seen()
    assert seen.shows("cup", STEADY_S - 0.05) == []
    assert seen.shows("cup", 2.0) == ["cup"]


def test_what_flickers_is_not_told():
    seen = Seen()
    seen.shows("cup", 1.0)
    assert [seen.shows(label, 0.25) for label in ("fork", "cup", "fork", None, "fork", "cup")] == [[]] * 6


def test_unknown_is_told_too():
    seen = Seen()
    seen.shows("cup", 1.0)
    assert seen.shows(None, 1.0) == [None]


def test_a_class_called_unknown_differs_from_unknown_in_the_attributes():
    seen = Seen()
    seen.state = state("unknown", "cup")
    seen.shows("unknown", 1.0)
    named = told(seen)
    seen.shows(None, 1.0)
    assert (named[0], told(seen)[0]) == (b"unknown", b"unknown")
    assert (named[1]["label"], told(seen)[1]["label"]) == ("unknown", None)


def told(seen: Seen) -> tuple[bytes, dict[str, Any]]:
    """State and attributes as they are sent."""
    found = messages(Wanted(TOPICS, True, False), seen.state, {"hall": seen.sighting})
    return found[f"{HALL}/state"], json.loads(found[f"{HALL}/attributes"])


TOPICS = Topics("edgecl", "board", "homeassistant")


def test_the_attributes_say_how_sure_it_is_and_of_what_time():
    seen = Seen()
    seen.shows("cup", 1.0)
    names = {"label", "probability", "unknown_score", "top", "taken_at", "release", "revision"}
    assert set(told(seen)[1]) == names
    assert (told(seen)[1]["release"], told(seen)[1]["revision"]) == (2, 7)


def test_a_probability_that_hardly_moves_is_not_told_again():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    before = seen.sighting.telling
    seen.shows("cup", 5.0, 0.81)
    assert seen.sighting.telling == before


def test_a_probability_that_moves_is_told_once_a_second_at_most():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    changes = 0
    for number in range(100):  # 5 s
        before = seen.sighting.telling
        seen.shows("cup", 0.05, 0.9 if number % 2 else 0.5)
        changes += seen.sighting.telling != before
    assert 4 <= changes <= 5 / PAUSE_S


def test_attributes_agree_with_the_state_while_something_else_is_seen_for_a_moment():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    seen.shows("fork", 0.25, 0.4)
    assert (seen.sighting.label, seen.sighting.attributes["label"]) == ("cup", "cup")


def test_a_camera_that_comes_back_is_there_once_it_was_seen_what_it_shows():
    seen = Seen()
    seen.shows("cup", 1.0)
    seen.open = False
    seen.waits(0.1)
    assert not seen.sighting.available
    seen.open = True
    seen.shows("fork", 0.2)
    assert not seen.sighting.available
    seen.shows("fork", 0.3)
    assert (seen.sighting.available, seen.sighting.label) == (True, "fork")


def test_a_class_that_was_forgotten_is_told_no_longer_also_where_the_picture_stands_still():
    seen = Seen()
    seen.shows("cup", 1.0)
    seen.state = state("fork")
    assert seen.waits(0.1) == []
    assert seen.waits(GONE_S) == [None]
    assert "cup" not in json.dumps(seen.sighting.attributes)


def test_a_class_that_was_renamed_goes_over_into_its_new_name_without_unknown_between():
    seen = Seen()
    seen.shows("fork", 1.0)
    seen.state = state("cup", "spoon")
    assert seen.shows("spoon", 2.0) == ["spoon"]


def test_a_camera_that_cannot_be_answered_for_is_not_there():
    seen = Seen()
    seen.shows("cup", 1.0)
    frame = Frame(IMAGE, 0.0, 0.0, "hall")
    seen.sighting.hear(Live("hall", 0, frame, None, None, "another trunk", 20.0, 0.0, 0.0, None), seen.now)
    seen.waits(0.1)
    assert not seen.sighting.available


def test_no_picture_is_made_where_none_is_asked_for():
    seen = Seen()
    seen.shows("cup", 5.0)
    assert seen.sighting.image is None


def test_pictures_are_made_on_change_and_every_so_many_seconds():
    seen, made = Seen(image_every_s=10.0), []
    for label, seconds in (("cup", 5.0), ("fork", 26.0)):
        for _ in range(int(seconds / 0.05)):
            before = seen.sighting.image
            seen.shows(label, 0.05)
            if seen.sighting.image is not before:
                made.append(round(seen.now - 100.0, 1))
    assert made == pytest.approx([0.3, 5.3, 15.3, 25.3], abs=0.11)


# What Home Assistant is told


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


# What happened


def test_what_was_there_at_the_first_look_is_no_event():
    assert Events().of_state(state("cup", news=((1.0, "old"),))) == []


def test_a_class_another_release_and_words_of_the_daemon_are_events():
    events = Events()
    events.of_state(state("cup", news=((1.0, "old"),)))
    found = events.of_state(state("cup", "fork", release=3, news=((1.0, "old"), (2.0, "new"))))
    assert [one["event"] for one in found] == ["class_added", "release", "news"]
    assert (found[0]["label"], found[1]["release"], found[2]["text"]) == ("fork", 3, "new")


# At a broker


def test_it_is_online_and_that_is_kept(world):
    world.begin()
    with listening(world.near.port, f"{ROOT}/availability") as late:
        assert late.wait(f"{ROOT}/availability").text == "online"


def test_it_says_offline_when_it_ends_and_that_is_kept(world):
    world.begin()
    world.mqtt.close()
    world.ear.wait(f"{ROOT}/availability", lambda one: one.text == "offline")
    with listening(world.near.port) as late:
        assert late.wait(f"{ROOT}/availability").text == "offline"


PROCESS = """
import sys, threading
from pathlib import Path
from edgecl.config import CameraEntry
from edgecl.daemon.daemon import Daemon
from edgecl.home import Home
from edgecl.mqtt.client import Mqtt
from edgecl.config import MqttSettings
daemon = Daemon(Home.at(Path(sys.argv[1])), [CameraEntry(url="browser:", name="hall")])
mqtt = Mqtt(daemon, MqttSettings(host="127.0.0.1", port=int(sys.argv[2]), node="board"))
threading.Event().wait()
"""


def test_the_broker_says_offline_for_a_process_that_was_killed(home, near):
    with listening(near.port) as ear:
        process = subprocess.Popen([sys.executable, "-c", PROCESS, str(home), str(near.port)])
        try:
            ear.wait(f"{ROOT}/availability", lambda one: one.text == "online")
            process.send_signal(signal.SIGKILL)
            assert ear.wait(f"{ROOT}/availability", lambda one: one.text == "offline").retained
        finally:
            process.kill()
            process.wait()


def test_all_that_is_kept_is_told_again_to_a_broker_that_was_away(world):
    world.begin(image=True)
    before = {one.topic for one in world.ear.heard if one.retained}
    after = len(world.ear.heard)
    world.near.stop()
    world.near.start()
    world.ear.wait(f"{ROOT}/availability", lambda one: one.text == "online", after)
    for topic in before:
        world.ear.wait(topic, after=after)
    assert {f"{HALL}/{name}" for name in ("state", "attributes", "availability", "image")} < before


def test_frames_are_answered_and_lessons_given_while_the_broker_is_away(world):
    world.begin()
    world.near.stop()
    number = world.daemon.live["hall"].number
    teach(world.daemon, "plate")
    eventually(lambda: world.daemon.live["hall"].number > number + 3)
    assert "plate" in [one.name for one in world.daemon.state.classes]


def test_a_camera_that_is_silent_is_offline_and_online_again_when_it_is_back(world):
    world.begin()
    world.hall.label, after = None, len(world.ear.heard)
    world.ear.wait(f"{HALL}/availability", lambda one: one.text == "offline", after)
    world.hall.label, after = "cup", len(world.ear.heard)
    assert world.ear.wait(f"{HALL}/availability", lambda one: one.text == "online", after).retained


def test_a_label_is_told_when_it_changes_and_not_otherwise(world):
    world.begin()
    world.hall.label = "fork"
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "fork")
    eventually(lambda: world.daemon.live["hall"].number > 40)
    assert [one.text for one in world.ear.all(f"{HALL}/state")] == ["cup", "fork"]
    assert all(one.retained for one in world.ear.all(f"{HALL}/state"))


def test_attributes_come_with_the_label(world):
    world.begin()
    assert world.ear.wait(f"{HALL}/attributes").record["label"] == "cup"
    assert world.ear.wait(f"{HALL}/attributes").retained


def test_what_is_like_nothing_is_told_as_unknown(world):
    world.begin(NOTHING)
    assert world.ear.wait(f"{HALL}/state").text == "unknown"
    assert world.ear.wait(f"{HALL}/attributes").record["label"] is None


def test_no_picture_leaves_unless_it_is_asked_for_and_one_of_before_is_taken_back(world):
    world.ear.say(f"{HALL}/image", b"a picture of before", retain=True)
    world.begin()
    assert [one.payload for one in world.ear.all(f"{HALL}/image")] == [b"a picture of before", b""]


def test_a_picture_that_is_asked_for_is_a_jpeg_and_is_kept(world):
    world.begin(image=True)
    found = world.ear.wait(f"{HALL}/image")
    assert found.retained
    assert found.payload.startswith(b"\xff\xd8")
    assert decode_image(found.payload, "it").shape == (48, 64, 3)


def test_what_is_known_is_told_in_numbers(world):
    world.begin(shows=None)
    found = world.ear.wait(f"{ROOT}/state").record
    assert (found["classes"], found["labels"]) == (2, ["cup", "fork"])
    assert {"reviews", "newcomers", "release", "revision"} < set(found)


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


def test_topics_begin_as_the_settings_say(world):
    world.mqtt = Mqtt(world.daemon, world.settings(base_topic="house/edge", node="n1", discovery_prefix="ha"))
    assert world.ear.wait("house/edge/n1/availability").text == "online"
    assert world.ear.wait("ha/device/edgecl_n1/config").record["dev"]["ids"] == ["edgecl_n1"]


def test_the_node_is_this_machine_unless_another_is_named(world):
    world.mqtt = Mqtt(world.daemon, MqttSettings(host="127.0.0.1", port=world.near.port))
    world.ear.wait(f"edgecl/{own_node()}/availability")


def events(world: World) -> list[str]:
    return [one.record["event"] for one in world.ear.all(f"{ROOT}/event")]


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


# Requests


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


@pytest.mark.parametrize("transaction", ["x", 7, "ü 🍵 #+/", None])
def test_a_transaction_is_echoed(shared, transaction):
    assert shared.ask("classify", {"camera": "hall", "transaction": transaction})["transaction"] == transaction
    assert shared.ask("forget", {"label": "no", "transaction": transaction})["transaction"] == transaction


@pytest.fixture(scope="module")
def shared(made, tmp_path_factory):
    """A world in which requests are made that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    home = Path(shutil.copytree(made, folder / "home", symlinks=True))
    with broker(folder) as near, listening(near.port) as ear:
        found = World(home, near, ear)
        try:
            yield found.begin()
        finally:
            found.close()


DEEP = b'{"label": ' + b"[" * 200_000


@pytest.mark.parametrize(
    ("name", "payload", "says"),
    [
        ("undo", b"", "InputRefused: found '' for a request, expected a JSON object"),
        ("undo", b"PRESS", "InputRefused: found 'PRESS' for a request, expected a JSON object"),
        ("undo", b"\xff\xfe", "InputRefused: found"),
        ("undo", b"[]", "InputRefused: found list"),
        ("undo", b"null", "InputRefused: found NoneType"),
        ("forget", DEEP, "InputRefused: found"),
        ("teach", b'{"camera": "hall", "label": "x", "seconds": NaN}', "InputRefused: found"),
        ("undo", {"transaction": ["x"]}, "InputRefused: found ['x'] for the transaction"),
        ("undo", {"transaction": "x" * 201}, "InputRefused: found"),
        ("undo", {"label": "cup"}, "InputRefused: found a request undo that cannot be used: label: extra"),
        ("explode", {}, "InputRefused: found the request 'explode', expected one of: teach, undo"),
        ("forget", {}, "label: field required"),
        ("forget", {"label": 5}, "label: input should be a valid string"),
        ("forget", {"label": "no"}, "ClassUnknown: "),
        ("rename", {"label": "no", "new": "yes"}, "ClassUnknown: "),
        ("rename", {"label": "cup", "new": "unknown"}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "plate", "seconds": 0}, "seconds: input should be greater than 0"),
        ("teach", {"camera": "hall", "label": "plate", "seconds": 121}, "seconds: input should be less than"),
        ("teach", {"camera": "attic", "label": "plate", "seconds": 1}, "CameraUnavailable: found no camera 'attic'"),
        ("teach", {"camera": "hall/#", "label": "plate", "seconds": 1}, "CameraUnavailable: "),
        ("teach", {"camera": "hall", "label": "", "seconds": 1}, "LabelRefused: found an empty label"),
        ("teach", {"camera": "hall", "label": "a/b", "seconds": 1}, "LabelRefused: found a path"),
        ("teach", {"camera": "hall", "label": "</script>", "seconds": 1}, "LabelRefused: found a path"),
        ("teach", {"camera": "hall", "label": "a\nb", "seconds": 1}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "\ud800", "seconds": 1}, "InputRefused: "),
        ("teach", {"camera": "hall", "label": "Unknown", "seconds": 1}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "ä" * 101, "seconds": 1}, "LabelRefused: "),
        ("classify", {}, "InputRefused: found none or both of camera and image"),
        ("classify", {"camera": "hall", "image": "AAAA"}, "InputRefused: found none or both"),
        ("classify", {"camera": "attic"}, "CameraUnavailable: "),
        ("classify", {"image": "no base64!"}, "ImageRefused: "),
        ("classify", {"image": "AAAA"}, "ImageRefused: "),
        ("classify", {"image": "data:image/jpeg;base64,AAAA"}, "ImageRefused: "),
        ("rollback", {}, "ReleaseError: "),
        ("rollback", {"reason": ""}, "reason: "),
    ],
    ids=lambda one: repr(one)[:40],
)
def test_what_cannot_be_done_is_answered_with_words_and_changes_nothing(shared, name, payload, says):
    before = shared.daemon.state.revision
    assert says in shared.refusal(name, payload)
    assert shared.daemon.state.revision == before


def test_a_request_below_a_request_is_answered(shared):
    shared.ear.say(f"{ROOT}/request/teach/now", {})
    answer = shared.ear.wait(f"{ROOT}/response/{slug('teach/now')}").record
    assert "'teach/now'" in answer["message"]


def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(shared):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    assert "50,000" in shared.refusal("classify", {"image": base64.b64encode(png).decode()})


def test_a_payload_that_is_too_large_is_refused(shared):
    assert "BodyTooLarge: found 1,048,577 bytes" in shared.refusal("classify", b"x" * (PAYLOAD_BYTES_MAX + 1)).replace(
        "a payload of ", ""
    )


def test_a_payload_that_no_board_should_hold_stays_at_the_broker(shared):
    before = len(shared.ear.all(f"{ROOT}/response/undo"))
    shared.ear.say(f"{ROOT}/request/undo", b"x" * (connection.PACKET_BYTES_MAX + 1))
    assert shared.result("classify", {"camera": "hall"})["label"] == "cup"
    assert len(shared.ear.all(f"{ROOT}/response/undo")) == before


def test_a_silent_camera_is_not_classified(world):
    world.begin()
    world.hall.label = None
    world.ear.wait(f"{HALL}/availability", lambda one: one.text == "offline", len(world.ear.heard))
    assert "CameraStalled: found no picture of hall" in world.refusal("classify", {"camera": "hall"})


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


def test_a_flood_of_large_requests_is_answered_and_the_next_one_is_done(shared):
    before = len(shared.ear.all(f"{ROOT}/response/classify"))
    for _ in range(30):
        shared.ear.client.publish(f"{ROOT}/request/classify", b"x" * 200_000, 1)
    eventually(lambda: len(shared.ear.all(f"{ROOT}/response/classify")) == before + 30)
    assert shared.result("classify", {"camera": "hall"})["label"] == "cup"


# The line


def warnings(caplog) -> list[str]:
    return [
        one.getMessage() for one in caplog.records if one.name == "edgecl.mqtt.connection" and one.levelname != "INFO"
    ]


HEARING = {"request/#": Hearing(kept=True)}


def line(port: int, **more: Any) -> Connection:
    account = Account("127.0.0.1", port, False, "me", None, None)
    return Connection(dataclasses.replace(account, **more), ("will", b""), HEARING, lambda one: None, lambda: None)


def test_a_broker_that_is_away_is_asked_for_at_growing_distances_and_complained_of_once(caplog):
    away, now, waits = line(free_port()), 0.0, []
    for _ in range(9):
        away.tend(now)
        waits.append(away.due - now)
        now = away.due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("lasted_s", "wait_s"), [(20.0, 1.0), (2.0, 2.0)])
def test_a_line_that_held_is_opened_again_soon_and_one_that_did_not_later(near, lasted_s, wait_s):
    near.stop()
    found = line(near.port)
    found.tend(0.0)
    near.start()
    found.tend(found.due)
    eventually(lambda: found.up)
    opened = found.due
    near.stop()
    eventually(lambda: not found.up)
    eventually(lambda: (found.tend(opened + lasted_s), found.due > opened)[1])
    assert found.due == opened + lasted_s + wait_s


def test_an_error_in_what_is_heard_ends_the_line_and_is_told(near, caplog):
    account = Account("127.0.0.1", near.port, False, "me", None, None)
    found = Connection(account, ("will", b""), HEARING, lambda one: int(one.payload), lambda: None)
    found.tend(time.monotonic())
    eventually(lambda: found.up)
    with listening(near.port) as ear:
        ear.say("request/x", b"no number")
    eventually(lambda: (found.tend(time.monotonic()), warnings(caplog))[1])
    assert "cannot be used: ValueError" in warnings(caplog)[0]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".invalid", "\u0000"])
def test_a_host_that_is_none_is_complained_of(caplog, host):
    line(1883, host=host).tend(0.0)
    (said,) = warnings(caplog)
    assert "expected one; all else goes on" in said


def test_it_starts_without_a_broker_and_finds_it_when_it_comes(world, caplog):
    world.near.stop()
    world.mqtt, world.hall.label = Mqtt(world.daemon, world.settings()), "cup"
    eventually(lambda: warnings(caplog))
    after = len(world.ear.heard)
    world.near.start()
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "cup", after)
    assert len(warnings(caplog)) == 1


def test_it_ends_while_no_broker_is_there(world):
    world.near.stop()
    world.mqtt = Mqtt(world.daemon, world.settings())
    begun = time.monotonic()
    world.mqtt.close()
    assert time.monotonic() - begun < 5.0


@pytest.fixture
def guarded(tmp_path):
    """A broker that lets in nobody but me."""
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "me", "right one"], check=True)
    with broker(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'users'}") as found:
        yield found


def secret(folder: Path, text: str) -> Path:
    path = folder / "password"
    path.touch(0o600)
    path.write_text(text)
    return path


def test_with_the_right_password_it_is_let_in(home, guarded, tmp_path):
    with listening(guarded.port, username="me", password="right one") as ear:
        world = World(home, guarded, ear)
        try:
            world.begin(username="me", password_file=secret(tmp_path, "right one\n"))
        finally:
            world.close()


@pytest.mark.parametrize("who", [{}, {"username": "me", "password": "wrong one"}])
def test_with_a_wrong_password_it_says_so_once_and_not_the_password(home, guarded, tmp_path, caplog, who):
    daemon = Daemon(Home.at(home), [])
    more = {"username": "me", "password_file": secret(tmp_path, who["password"])} if who else {}
    mqtt = Mqtt(daemon, MqttSettings(host="127.0.0.1", port=guarded.port, **more))
    try:
        (said,) = eventually(lambda: warnings(caplog))
        assert "Not authorized" in said
        time.sleep(1.5)  # there has been another attempt
        assert len(warnings(caplog)) == 1
        assert "wrong one" not in caplog.text
        assert daemon.trouble is None
    finally:
        mqtt.close()
        daemon.close()


def test_a_second_client_of_the_same_name_is_told_of(world, caplog):
    world.begin(shows=None, client_id="twin")
    other = line(world.near.port, client_id="twin")
    other.tend(time.monotonic())
    (said,) = eventually(lambda: warnings(caplog))
    assert "no other client is called 'twin'" in said
    other.close(1.0)


def test_a_broker_with_a_certificate_that_is_trusted_is_spoken_to(home, tmp_path, monkeypatch):
    shown, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    with broker(tmp_path, f"certfile {shown}", f"keyfile {key}", "allow_anonymous true") as near:
        found = line(near.port, tls=True)
        found.tend(time.monotonic())
        eventually(lambda: found.up)
        found.close(1.0)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_with_a_certificate_of_its_own_making_is_not_spoken_to(tmp_path, caplog):
    shown, key = certificate(tmp_path)
    with broker(tmp_path, f"certfile {shown}", f"keyfile {key}", "allow_anonymous true") as near:
        line(near.port, tls=True).tend(time.monotonic())
    (said,) = warnings(caplog)
    assert "certificate verify failed" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (b"", "it does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not answer"),
        (b"\x20\x01\x00", "the line was cut"),  # half a greeting
        (b"\x20\x03\x00\x00\x00\x30\x02\x00\xff", "soon after it was opened"),  # a greeting, then half a message
    ],
)
def test_who_is_no_broker_is_left_and_complained_of(caplog, monkeypatch, words, says):
    monkeypatch.setattr(connection, "GREETING_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = line(server.getsockname()[1])
        found.tend(time.monotonic())
        with server.accept()[0] as peer:
            peer.recv(1000)
            peer.sendall(words)
            eventually(lambda: (found.tend(time.monotonic()), warnings(caplog))[1])
            assert says in warnings(caplog)[0]
    found.close(1.0)


# The command


def test_the_command_tells_the_broker_of_its_settings_and_says_goodbye(home, near):
    with (home / "edgecl.toml").open("a") as settings:
        settings.write(f'[mqtt]\nhost = "127.0.0.1"\nport = {near.port}\nnode = "board"\n')
    with listening(near.port) as ear, running(home, "--camera", "browser:") as process:
        ear.wait(f"{ROOT}/availability", lambda one: one.text == "online")
        assert process.end() == 0
        ear.wait(f"{ROOT}/availability", lambda one: one.text == "offline")


def test_the_command_ends_with_a_remedy_where_the_password_is_open_to_others(home, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    with (home / "edgecl.toml").open("a") as settings:
        settings.write(f'[mqtt]\nhost = "127.0.0.1"\nusername = "one"\npassword_file = "{password}"\n')
    command = [sys.executable, "-m", "edgecl", "run", "--home", str(home), "--camera", "browser:", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"chmod 600 {password}" in ended.stderr
