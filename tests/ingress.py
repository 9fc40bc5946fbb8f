"""A reverse proxy that shows another server below a path of its own; by default as Home Assistant's ingress does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import urlsplit

PREFIX = "/api/hassio_ingress/Zm9yIHRoZSB0ZXN0"
SESSION = "ingress_session=of-someone-who-is-logged-in"
FROM = IPv4Address("127.0.0.2")  # so that it is told from all others on this machine
HEAD_MAX = 65_536


@dataclass(frozen=True)
class Ingress:
    """The proxy.

    Attributes:
        address: of the other server's page, as a browser asks for it here.
    """

    address: str


@contextlib.contextmanager
def ingress(server: str, keeps_host: bool = False) -> Iterator[Ingress]:
    """Show what answers at `server`, `http://HOST:PORT`, to who is logged in, for as long as the block lasts.

    With `keeps_host` it says nothing of itself, and asks for the host that the browser asked for.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening, urlsplit(server).port, keeps_host), daemon=True)
        accepting.start()
        yield Ingress(f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}/")
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(listening: socket.socket, port: int, keeps_host: bool) -> None:
    with contextlib.suppress(OSError):  # it is closed
        while True:
            browser, _ = listening.accept()
            threading.Thread(target=_pass_on, args=(browser, port, keeps_host), daemon=True).start()


def _pass_on(browser: socket.socket, port: int, keeps_host: bool) -> None:
    with browser, contextlib.suppress(OSError):
        said = b""
        while b"\r\n\r\n" not in said:
            more = browser.recv(HEAD_MAX)
            if not more:
                return
            said += more
        head, _, body = said.partition(b"\r\n\r\n")
        asked = _rewritten(head.decode("latin-1"), keeps_host)
        if asked is None:
            browser.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port), source_address=(str(FROM), 0)) as server:
            server.sendall(asked.encode("latin-1") + b"\r\n\r\n" + body)
            answering = threading.Thread(target=_pump, args=(server, browser), daemon=True)
            answering.start()
            _pump(browser, server)
            answering.join()


def _rewritten(head: str, keeps_host: bool) -> str | None:
    """What is asked of the other server; None for whoever is not logged in, or asks for something else."""
    first, *lines = head.split("\r\n")
    method, path, version = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    given = {name.lower(): value for name, value in headers}
    if SESSION not in given.get("cookie", "") or not path.startswith(f"{PREFIX}/"):
        return None
    passed = [one for one in headers if one[0].lower() != "connection"]
    passed.append(("Connection", "Upgrade" if "upgrade" in given else "close"))
    if not keeps_host:
        passed = [one for one in passed if one[0].lower() != "host"]
        passed += [("Host", "supervisor"), ("X-Ingress-Path", PREFIX), ("X-Forwarded-Host", given["host"])]
        passed += [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "http")]
    lines = [f"{name}: {value}" for name, value in passed]
    return "\r\n".join([f"{method} {path.removeprefix(PREFIX)} {version}", *lines])


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until it ends; then say so."""
    with contextlib.suppress(OSError):
        while data := source.recv(HEAD_MAX):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
