"""Daemons for tests: in this process with a tiny backbone, or as the real command."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import tiny

from edgecl.config import CameraEntry
from edgecl.daemon.daemon import Daemon
from edgecl.home import Home
from edgecl.web.access import Access, Address
from edgecl.web.app import application
from edgecl.web.server import Server

PATIENCE_S = 30.0  # for a busy machine; what is waited for takes moments


def eventually(found: Callable[[], Any], what: str = "") -> Any:
    """What `found` gives, as soon as that is true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE_S:g} s for {what or found}")


def thing(label: str, view: int = 0) -> np.ndarray:
    """A view of a thing, uint8 (48, 64, 3) BGR: coarse noise that belongs to the label, and a little of its own."""
    coarse = np.random.default_rng(sum(label.encode())).integers(40, 216, (6, 8, 3))
    own = np.random.default_rng(view).normal(0, 20, (6, 8, 3))
    return np.kron(np.clip(coarse + own, 0, 255).astype(np.uint8), np.ones((8, 8, 1), np.uint8))


def jpeg(image: np.ndarray) -> bytes:
    """As a browser sends it."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def untaught(folder: Path) -> Path:
    """A home with the tiny backbone in which nothing was taught."""
    home = tiny.home_of(folder / "home", tiny.backbone_folder(folder / "backbone"))
    with (home / "edgecl.toml").open("a") as settings:  # to so small a network all views are nearly alike
        settings.write("[memory]\nredundant_cosine = 0.9999\n")
    return home


@dataclass
class Served:
    """A daemon in this process, and how to ask it."""

    daemon: Daemon
    client: httpx.Client
    address: str

    def show(self, label: str, view: int = 0, camera: str = "camera1") -> None:
        """Let the browser's camera see a thing, and wait until that was answered."""
        before = self.daemon.live[camera].number if camera in self.daemon.live else 0
        answer = self.client.put(f"/api/v1/cameras/{camera}/frame", content=jpeg(thing(label, view)))
        assert answer.status_code == 204, answer.text
        eventually(lambda: camera in self.daemon.live and self.daemon.live[camera].number > before, "an answer")

    def teach(self, label: str, views: int = 8) -> dict[str, Any]:
        """Teach a thing with pictures that are there."""
        pictures = b"".join(jpeg(thing(label, view)) for view in range(views))
        answer = self.client.post("/api/v1/lessons", params={"label": label}, content=pictures)
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextlib.contextmanager
def served(
    home: Path,
    urls: Sequence[str] = ("browser:",),
    token: str = "",
    names: tuple[str, ...] = (),
    trusted_proxy: Address | None = None,
) -> Iterator[Served]:
    """A daemon that answers on a port of its own for as long as the block lasts."""
    daemon = Daemon(Home.at(home), [CameraEntry(url=url) for url in urls])
    try:
        server = Server(application(daemon, Access(token, names, trusted_proxy)), "127.0.0.1", 0)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(base_url=server.address, headers=headers, timeout=PATIENCE_S) as client:
                eventually(lambda: _answers(client), "the server")
                yield Served(daemon, client, server.address)
        finally:
            server.close()
    finally:
        daemon.close()


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/healthz").status_code == 200
    return False


class Running:
    """`edgecl run` as a process of its own."""

    def __init__(self, home: Path, *arguments: object, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "edgecl", "run", "--home", str(home), "--port", "0", "--json"]
        command += map(str, arguments)
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, text=True, env=environment, **both)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = json.loads(self.expect('{"address": '))["address"]
        self.client = httpx.Client(base_url=self.address, timeout=PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                self.said.append(line.rstrip("\n"))

    def expect(self, words: str) -> str:
        """The line that it says with these words in it."""

        def line() -> str | None:
            assert self._reader.is_alive() or any(words in one for one in self.said), "\n".join(self.said)
            return next((one for one in self.said if words in one), None)

        return eventually(line, words)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; gives its status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Stop it, whatever it does, and wait until all that it said is read."""
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)


@contextlib.contextmanager
def running(home: Path, *arguments: object, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """The daemon as a process, for as long as the block lasts."""
    found = Running(home, *arguments, environment=environment)
    try:
        yield found
    finally:
        found.close()
