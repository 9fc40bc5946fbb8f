"""A daemon's word to a broker: what is kept there always says what is so, and requests from there are done."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from edgecl.config import MqttSettings
from edgecl.daemon.daemon import Daemon
from edgecl.daemon.snapshots import Live, State
from edgecl.errors import EdgeclError, ExtraMissing
from edgecl.mqtt import discovery
from edgecl.mqtt.account import Account, Hearing, Message
from edgecl.mqtt.events import LOOK_BACK, Events
from edgecl.mqtt.messages import Wanted, messages, said
from edgecl.mqtt.requests import Asked, Requests
from edgecl.mqtt.sighting import Sighting
from edgecl.mqtt.topics import Topics, own_node, slug

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgecl.mqtt.connection import Connection
    from edgecl.types import Lesson

log = logging.getLogger(__name__)

LOOK_S = 0.1  # between two looks at the daemon
CLOSE_S = 3.0  # for each of the steps of ending
AGAIN_S = 10.0  # after an error that nobody expected


class Mqtt:
    """One daemon and one broker. The daemon does as well without it.

    Attributes:
        heartbeat: s, monotonic, of its last round.
    """

    def __init__(self, daemon: Daemon, settings: MqttSettings) -> None:
        """Begin; returns at once, whether or not the broker is there.

        Args:
            daemon: of which is told, and that is asked.
            settings: with a host.

        Raises:
            ConfigRefused: the password cannot be read, or others can read it.
            ExtraMissing: paho-mqtt is not installed.
        """
        node = settings.node or own_node()
        self._daemon, self._settings = daemon, settings
        self._topics = Topics(settings.base_topic, node, settings.discovery_prefix)
        self._wake, self._stop = threading.Event(), threading.Event()
        self._connection = self._line(settings, node)
        self._sightings: dict[str, Sighting] = {}
        self._told_by: int | None = None  # number of the line
        self._kept: dict[str, bytes] = {}  # what the broker keeps, as far as that line told it
        self._basis: object = None  # of what is told
        self._shown: frozenset[str] = frozenset()
        self._greeted = threading.Event()  # Home Assistant has started
        self._announced: dict[str, str] = {}  # components it knows or knew → their platform
        self._before: queue.SimpleQueue[bytes] = queue.SimpleQueue()  # what it was told by an earlier run
        self._events = Events()
        self._asking: Future[tuple[Lesson, ...]] | None = None
        self._revision: int | None = None
        self._requests = Requests(daemon, self._answer)
        self.heartbeat = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="edgecl-mqtt", daemon=True)
        self._thread.start()

    @property
    def up(self) -> bool:
        """Whether the broker lets us in."""
        return self._connection.up is not None

    def close(self) -> None:
        """Say that we are gone, and hang up; before the daemon is closed."""
        self._requests.close(CLOSE_S)
        self._stop.set()
        self._wake.set()
        self._thread.join(4 * CLOSE_S)

    def _line(self, settings: MqttSettings, node: str) -> Connection:
        try:
            from edgecl.mqtt.connection import Connection
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "paho":
                raise
            raise ExtraMissing("MQTT", "mqtt") from error

        account, topics = Account.of(settings, f"edgecl-{node}"), self._topics
        hearing = {topics.requests: Hearing(kept=True, as_published=True)}
        if settings.discovery:
            hearing |= {topics.config: Hearing(kept=True), topics.birth: Hearing(kept=False)}
        will = topics.availability, discovery.OFFLINE.encode("ascii")
        return Connection(account, will, hearing, self._hear, self._wake.set)

    # On other threads, and quick

    def _looked(self, live: Live | None) -> None:
        sighting = None if live is None else self._sightings.get(live.camera)
        if live is not None and sighting is not None:
            sighting.hear(live, time.monotonic())

    def _hear(self, message: Message) -> None:
        topics = self._topics
        if message.topic == topics.birth:
            if message.payload == discovery.ONLINE.encode("ascii"):
                self._greeted.set()
                self._wake.set()
        elif message.topic == topics.config:
            if message.retained:
                self._before.put(message.payload)
        else:
            self._requests.take(Asked(topics.request(message.topic), message.payload, message.retained))

    def _answer(self, request: str, record: dict[str, Any]) -> None:
        self._connection.publish(self._topics.response(request), said(record), retain=False)

    # Our own

    def _run(self) -> None:
        with self._daemon.listening(self._looked):
            while not self._stop.is_set():
                self.heartbeat = time.monotonic()
                try:
                    self._connection.tend(time.monotonic())
                    self._look()
                except Exception:  # the daemon does not end for it
                    log.exception("telling the MQTT broker failed; it is tried again")
                    self._stop.wait(AGAIN_S)
                self._wake.wait(LOOK_S)
                self._wake.clear()
        self._connection.close(CLOSE_S)

    def _look(self) -> None:
        """Tell what is not told yet."""
        state, number = self._daemon.state, self._connection.up
        self._see(state)
        events = [*self._events.of_state(state), *self._lessons(state.revision)]
        if number != self._told_by or self._greeted.is_set():
            self._greeted.clear()
            self._told_by, self._kept, self._basis = number, {}, None  # all is told anew
        if number is None:
            return
        self._tell(state)
        for event in events:
            self._connection.publish(self._topics.event, said(event), retain=False)

    def _see(self, state: State) -> None:
        now, every_s = time.monotonic(), self._settings.image_every_s if self._settings.image else None
        cameras = self._daemon.cameras
        if tuple(cameras) != tuple(self._sightings):  # replaced whole: the owner's thread reads it
            self._sightings = {name: self._sightings.get(name) or Sighting(every_s) for name in cameras}
        for name, camera in cameras.items():
            self._sightings[name].step(now, camera.trouble is None, state)

    def _tell(self, state: State) -> None:
        wanted = self._wanted()
        basis = state, wanted, [one.telling for one in self._sightings.values()]
        if basis == self._basis:
            return
        self._basis = None
        for topic, payload in messages(wanted, state, self._sightings).items():
            if self._kept.get(topic) != payload:
                if not self._connection.publish(topic, payload, retain=True):
                    return  # what comes behind has to wait for it
                self._kept[topic] = payload
        # A label that was told stays an option until another one was told in its place.
        told = {name: one.label for name, one in self._sightings.items() if one.told and one.label is not None}
        stays = frozenset(told.values()) == self._shown
        self._shown = frozenset(told.values())
        self._basis = basis if stays else None

    def _wanted(self) -> Wanted:
        now = discovery.components(map(slug, self._sightings), self._settings.image)
        with contextlib.suppress(queue.Empty):
            while True:
                self._announced |= discovery.announced(self._before.get_nowait())
        self._announced |= now
        gone = {key: platform for key, platform in self._announced.items() if key not in now}
        left = frozenset(camera for key in gone if (camera := discovery.camera_of(key)) is not None)
        return Wanted(self._topics, self._settings.discovery, self._settings.image, self._shown, gone, left)

    def _lessons(self, revision: int) -> list[dict[str, Any]]:
        """What became of the history, asked for when the memory was changed, and told when it is there."""
        found: list[dict[str, Any]] = []
        if self._asking is not None and self._asking.done():
            told, self._asking = self._asking, None
            with contextlib.suppress(EdgeclError, CancelledError):  # the daemon is ending
                found = self._events.of_lessons(told.result())
        if self._asking is None and revision != self._revision:
            self._revision = revision
            self._asking = self._daemon.ask(lambda desk: desk.shelf.lessons(LOOK_BACK))
        return found
