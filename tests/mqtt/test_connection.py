"""The line to a broker: kept, opened again, and complained of once."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import broker, certificate, free_port, listening
from daemons import eventually
from mqtt_worlds import HALL, World

from edgecl.config import MqttSettings
from edgecl.daemon.daemon import Daemon
from edgecl.home import Home
from edgecl.mqtt import connection
from edgecl.mqtt.account import Account, Hearing
from edgecl.mqtt.client import Mqtt
from edgecl.mqtt.connection import Connection


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


@pytest.mark.parametrize(("password", "says"), [("right one", None), ("wrong one", "Not authorized")])
def test_whether_it_is_let_in_can_be_asked_beside_an_open_line(guarded, password, says):
    account = Account("127.0.0.1", guarded.port, False, "me", "me", "right one")
    open_line = line(guarded.port, username="me", password="right one")
    open_line.tend(time.monotonic())
    eventually(lambda: open_line.up)
    found = connection.refusal(dataclasses.replace(account, password=password))
    assert found is None if says is None else says in found
    assert open_line.up == 1
    open_line.close(1.0)


@contextlib.contextmanager
def speaking(words: bytes) -> Iterator[int]:
    """The port of someone who says these words, and hangs up if there are any."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as held:

        def answer() -> None:
            peer = held.enter_context(server.accept()[0])
            peer.recv(1000)
            peer.sendall(words)
            if words:
                peer.close()

        speaker = threading.Thread(target=answer)
        speaker.start()
        yield server.getsockname()[1]
        speaker.join()


@pytest.mark.parametrize(("words", "says"), [(b"", "does not answer"), (b"HTTP/1.1 400 Bad\r\n\r\n", "was cut")])
def test_who_is_no_broker_lets_nobody_in_and_leaves_no_thread(monkeypatch, words, says):
    monkeypatch.setattr(connection, "GREETING_S", 1.0)
    with speaking(words) as port:
        before = set(threading.enumerate())
        assert says in connection.refusal(Account("127.0.0.1", port, False, "me", None, None))
        assert set(threading.enumerate()) <= before


def test_a_broker_that_is_away_lets_nobody_in():
    assert "refused" in connection.refusal(Account("127.0.0.1", free_port(), False, "me", None, None))


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
