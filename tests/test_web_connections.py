"""Connections that ask nothing, ask for ever, or are too many: others are answered all the same."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest
import websockets
from daemons import PATIENCE_S, Served, eventually, jpeg, served, thing, untaught

from edgecl.web.access import Rates
from edgecl.web.connections import CLIENT_MAX, CONNECTIONS_MAX, _host
from edgecl.web.parts.live import VIEWERS_MAX

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A daemon with one camera, to which the tests send pictures."""
    with served(untaught(tmp_path_factory.mktemp("connections"))) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch):
    """Half a second is too long for it."""
    monkeypatch.setattr("edgecl.web.connections.WAIT_S", 0.5)


@pytest.fixture
def connect(there):
    """Connects to the daemon from an address of this machine; all is closed at the end."""
    with contextlib.ExitStack() as opened:

        def connection(host: str = "127.0.0.1", said: bytes = b"") -> socket.socket:
            port = int(there.address.rpartition(":")[2])
            found = socket.create_connection(("127.0.0.1", port), PATIENCE_S, (host, 0))
            opened.enter_context(found)
            found.sendall(said)
            return found

        yield connection
    eventually(lambda: answer(there) == 200, "the others to be gone")


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        (("10.0.0.7", 5), "10.0.0.7"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("::ffff:10.0.0.7", 5, 0, 0), "10.0.0.7"),
        (None, ""),
    ],
)
def test_a_machine_is_one_however_many_addresses_it_has(peer, host):
    assert _host(SimpleNamespace(get_extra_info=lambda what: peer)) == host


def test_those_who_look_on_and_do_not_read_make_room_for_others(there, impatient, monkeypatch):
    monkeypatch.setattr(Rates, "take", lambda rates, client: True)  # it is asked faster than anybody may ask
    noise = jpeg(np.random.default_rng(5).integers(0, 256, (720, 960, 3), np.uint8))
    path, port = "/api/v1/cameras/camera1/stream.mjpg", int(there.address.rpartition(":")[2])

    def another() -> int:
        with there.client.stream("GET", path) as answer:
            return answer.status_code

    there.show("cup")
    with contextlib.ExitStack() as opened:
        for _ in range(VIEWERS_MAX):
            viewer = opened.enter_context(socket.socket())
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.connect(("127.0.0.1", port))
            viewer.sendall(f"GET {path}?fps=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("ascii"))
            assert viewer.recv(12) == b"HTTP/1.1 200"
        assert another() == 503

        def is_free() -> bool:
            there.client.put("/api/v1/cameras/camera1/frame", content=noise)
            return another() == 200

        eventually(is_free)


def test_who_looks_on_when_it_ends_leaves_no_trace_in_the_log(tmp_path, caplog):
    with socket.socket() as viewer:
        with served(untaught(tmp_path)) as there:
            there.show("cup")
            viewer.connect(("127.0.0.1", int(there.address.rpartition(":")[2])))
            viewer.sendall(b"GET /api/v1/cameras/camera1/stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert viewer.recv(12) == b"HTTP/1.1 200"
        assert is_closed(viewer)
    assert "Traceback" not in caplog.text


def answer(there: Served) -> int:
    return there.client.get("/healthz").status_code


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it, having said whatever it said."""
    connection.settimeout(0.01)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_who_opens_many_connections_shuts_out_nobody_else(there, connect):
    held = [connect("127.0.0.2") for _ in range(CONNECTIONS_MAX)]
    eventually(lambda: sum(map(is_closed, held)) == CONNECTIONS_MAX - CLIENT_MAX)
    assert answer(there) == 200
    held[0].sendall(ALIVE)
    assert held[0].recv(12) == b"HTTP/1.1 200"


def test_a_connection_that_is_over_makes_room(there, connect):
    for connection in [connect("127.0.0.2") for _ in range(CLIENT_MAX)]:
        connection.close()

    def is_let_in() -> bool:
        with contextlib.suppress(ConnectionError):
            return connect("127.0.0.2", ALIVE).recv(12) == b"HTTP/1.1 200"
        return False

    eventually(is_let_in)


def test_there_is_an_end_to_all_connections_and_those_that_are_there_go_on(there, connect):
    assert answer(there) == 200  # by a connection that stays
    held = [connect(f"127.0.1.{client}") for client in range(1, 6) for _ in range(CONNECTIONS_MAX // 4)]
    eventually(lambda: sum(map(is_closed, held)) > CONNECTIONS_MAX // 4)
    assert is_closed(connect("127.0.2.1", ALIVE))
    assert answer(there) == 200


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\n", b"X"),
        (ALIVE + b"GET", b"X"),
        (b"POST /nothing HTTP/1.1\r\nHost: x.example\r\nContent-Length: 99999\r\n\r\n", b" "),
    ],
    ids=["nothing", "half a request", "half of the next request", "more of what was refused"],
)
def test_who_asks_nothing_is_not_waited_for(impatient, connect, first, more):
    connection = connect(said=first)

    def is_left() -> bool:
        with contextlib.suppress(ConnectionError):
            connection.sendall(more)
        return is_closed(connection)

    eventually(is_left)


def test_who_is_being_answered_is_waited_for(impatient, there, connect):
    picture = jpeg(thing("cup"))
    slow = connect(
        said=b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(picture)
    )
    time.sleep(1.0)
    slow.sendall(picture)
    assert slow.recv(12) == b"HTTP/1.1 200"


def test_who_listens_is_waited_for(impatient, there):
    async def listen() -> bool:
        async with websockets.connect(there.address.replace("http", "ws") + "/api/v1/live") as listening:
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                await asyncio.wait_for(listening.recv(), PATIENCE_S)
            return True

    assert asyncio.run(listen())


@pytest.mark.parametrize("path", ["predict", "holds"])
def test_who_stops_in_the_middle_of_a_body_is_told(connect, monkeypatch, path):
    monkeypatch.setattr("edgecl.web.guard.SLOW_S", 0.2)
    slow = connect(
        said=b"POST /api/v1/" + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"
    )
    assert slow.recv(12) == b"HTTP/1.1 408"
