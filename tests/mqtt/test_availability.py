"""Whether it is there, also where it cannot say so itself."""

from __future__ import annotations

import signal
import subprocess
import sys

from brokers import listening
from daemons import eventually
from mqtt_worlds import HALL, ROOT, teach


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
