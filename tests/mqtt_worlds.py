"""What tests of MQTT share: a daemon that tells a broker, who listens there, and what a camera seems to have seen."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from brokers import Broker, Listener
from daemons import thing

from edgecl.config import CameraEntry, MqttSettings
from edgecl.daemon.daemon import Daemon
from edgecl.daemon.snapshots import Live, State
from edgecl.home import Home
from edgecl.lesson import Burst
from edgecl.mqtt.client import Mqtt
from edgecl.mqtt.sighting import Sighting
from edgecl.mqtt.topics import Topics
from edgecl.overview import ClassSummary
from edgecl.types import Frame, Prediction

ROOT = "edgecl/board"
CONFIG = "homeassistant/device/edgecl_board/config"
HALL = f"{ROOT}/hall"
TOPICS = Topics("edgecl", "board", "homeassistant")
NOTHING = "nothing"  # a dark picture, which is like no class


def teach(daemon: Daemon, label: str) -> None:
    """With pictures that are there."""
    burst: Burst = daemon.ask(lambda desk: desk.teaching.burst()).result(20)
    for view in range(8):
        frame = Frame(thing(label, view), 0.0, 0.0)
        daemon.ask(lambda desk, frame=frame: burst.add(frame)).result(20)
    daemon.ask(lambda desk: desk.teaching.teach(label, burst, "api")).result(20).result(20)


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
            camera = self._daemon.cameras.get(self._camera)
            if self.label is not None and camera is not None and camera.pushed is not None:
                camera.pushed.push(tiny.BLACK if self.label == NOTHING else thing(self.label, view % 50))
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
