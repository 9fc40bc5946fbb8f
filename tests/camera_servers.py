"""Real cameras on the loopback interface that can be told to misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np


def jpeg(level: int) -> bytes:
    """A plain grey picture, 64 × 48 px, whose level can be read back from it."""
    return cv2.imencode(".jpg", np.full((48, 64, 3), level % 256, np.uint8))[1].tobytes()


class Server(ThreadingHTTPServer):
    """`/stream` is MJPEG, `/snapshot` one JPEG, `/secret` a snapshot for those with the password, `/page` is HTML.

    `/bearer` wants a token, and `/secondtime` is a stream whose second answer never gets through its headers.
    """

    daemon_threads = False  # whoever counts threads afterwards finds none of its own
    allow_reuse_address = True

    def __init__(self, port: int = 0, pictures: int = 10**9, after: str = "close", every_s: float = 0.02) -> None:
        """Each stream sends `pictures` pictures; after them it is closed, or with `after`='stall' it falls silent.

        With `after`='drip' it goes on for ever, byte by byte, with what is no picture.
        """
        super().__init__(("127.0.0.1", port), Handler)
        self.pictures, self.after, self.every_s = pictures, after, every_s
        self.quiet = threading.Event()  # set when the server ends
        self.hung_up = threading.Event()  # set when a client leaves a stream
        self.opened = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.hung_up.set()

    def server_close(self) -> None:
        self.quiet.set()
        super().server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 5.0  # s for a client that is connected and reads no more

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/stream":
            self.stream()
        elif path == "/secondtime":
            if self.server.opened == 1:
                self.server.opened += 1
                self.drip(b"HTTP/1.0 200 OK\r\nX-Patience: ", b"x")
            else:
                self.stream()
        elif path == "/bearer":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Bearer realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/ftp":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/snapshot")
            self.end_headers()
        elif path == "/secret" and self.headers.get("Authorization") != "Basic YW5uOnAvd0Ax":  # ann:p/w@1
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path in ("/snapshot", "/secret"):
            self.answer("image/jpeg", jpeg(100))
        elif path == "/cut":
            self.answer("image/jpeg", jpeg(100)[:-20])
        elif path == "/page":
            self.answer("text/html", b"<html>a page</html>")
        elif path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/snapshot")
            self.end_headers()
        else:
            self.send_error(404)

    def answer(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self) -> None:
        self.server.opened += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.server.pictures):
            if self.server.quiet.wait(self.server.every_s):
                return
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(number) + b"\r\n")
        if self.server.after == "stall":
            self.server.quiet.wait(20)
        if self.server.after == "drip":
            self.drip(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"-")

    def drip(self, first: bytes, then: bytes) -> None:
        """Say a little, often, until the other side hangs up or the server ends."""
        self.wfile.write(first)
        while not self.server.quiet.wait(0.05):
            self.wfile.write(then)


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """The address of a listener that accepts every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
