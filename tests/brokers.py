"""Brokers for tests: Debian's mosquitto on a port of its own, and a client that writes down all that it hears."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import itertools
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from daemons import PATIENCE_S, eventually
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

MOSQUITTO = Path("/usr/sbin/mosquitto")
_NUMBERS = itertools.count(1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Broker:
    """One mosquitto. It keeps nothing over a restart."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """Start it with these lines in its configuration, beside the port; anonymous clients are let in without."""
        assert MOSQUITTO.exists(), f"found no {MOSQUITTO}, expected Debian's broker: apt-get install mosquitto"
        self.port = free_port()
        self.config = folder / f"mosquitto-{next(_NUMBERS)}.conf"
        lines = lines or ("allow_anonymous true",)
        text = [f"listener {self.port} 127.0.0.1", *lines, "log_dest stderr", "max_queued_messages 0"]
        text.append("user root")  # where root starts it; else it may not read what lies in a test's folder
        self.config.write_text("\n".join(text) + "\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self.config.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stdout=log, stderr=log)
        eventually(self._answers, f"mosquitto; see {self.config.with_suffix('.log')}")

    def stop(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.config.with_suffix(".log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False


@contextlib.contextmanager
def broker(folder: Path, *lines: str) -> Iterator[Broker]:
    """A broker for as long as the block lasts."""
    found = Broker(folder, *lines)
    try:
        yield found
    finally:
        found.stop()


@dataclass(frozen=True)
class Heard:
    """One message: where, what, whether it was sent to be kept, and when (s, monotonic)."""

    topic: str
    payload: bytes
    retained: bool
    at: float

    @property
    def text(self) -> str:
        return self.payload.decode()

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.payload)


class Listener:
    """A client that hears everything below `topic`, in order."""

    def __init__(self, port: int, topic: str = "#", username: str | None = None, password: str | None = None) -> None:
        self.heard: list[Heard] = []
        self._ready = threading.Event()
        version = MQTTProtocolVersion.MQTTv5
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self.client.username, self.client.password = username, password
        self.client.on_message = self._hear
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_connect = lambda *_: self.client.subscribe(topic, options=SubscribeOptions(1, False, True))
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _hear(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, message.payload, message.retain, time.monotonic()))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def say(self, topic: str, payload: Any, retain: bool = False) -> None:
        """Publish: bytes as they are, all else as JSON."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(topic, data, 1, retain).wait_for_publish(PATIENCE_S)

    def all(self, topic: str) -> list[Heard]:
        return [one for one in list(self.heard) if one.topic == topic]

    def last(self, topic: str) -> Heard | None:
        return next(iter(reversed(self.all(topic))), None)

    def wait(self, topic: str, is_it: Callable[[Heard], Any] = lambda one: True, after: int = 0) -> Heard:
        """The first message at a topic that is it, not counting the first `after` of all."""

        def found() -> Heard | None:
            return next((one for one in self.heard[after:] if one.topic == topic and is_it(one)), None)

        try:
            return eventually(found, f"{topic}")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; heard {[(one.topic, one.payload[:80]) for one in self.heard[-30:]]}"
            ) from None


@contextlib.contextmanager
def listening(port: int, topic: str = "#", **who: str) -> Iterator[Listener]:
    """A listener for as long as the block lasts."""
    found = Listener(port, topic, **who)
    try:
        yield found
    finally:
        found.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a broker in a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
