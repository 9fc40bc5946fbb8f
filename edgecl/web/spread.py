"""News of the daemon for any number of listeners: each gets the newest, and none is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from edgecl.daemon.daemon import Daemon
from edgecl.daemon.snapshots import Live
from edgecl.images import encode_jpeg

WIDTH_PX = 960  # longest side of the pictures that are sent
BEAT_S = 1.0


@dataclass(frozen=True)
class Picture:
    """A camera's picture as it is sent: the number of its frame, and a JPEG."""

    number: int
    jpeg: bytes


class Spread:
    """Between the owner's thread and the event loop.

    Attributes:
        heartbeat: s, monotonic, of the loop.
        count: of the news so far.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.heartbeat = time.monotonic()
        self.count = 0
        self._daemon = daemon
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._pictures: dict[str, Picture] = {}
        self._encoding: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Listen to the daemon while the application runs."""
        self._loop = asyncio.get_running_loop()
        beat = asyncio.create_task(self._beat())
        try:
            with self._daemon.listening(self._heard):
                yield
        finally:
            beat.cancel()
            self._news.set()

    async def change(self, since: int, wait_s: float) -> int:
        """Return once there is news after what was counted as `since`, or after `wait_s`; gives the count by then."""
        if self.count == since:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)
        return self.count

    async def picture(self, camera: str) -> Picture | None:
        """The camera's newest frame; encoded once, however many ask. None while there is none."""
        live = self._daemon.live.get(camera)
        if live is None:
            return None
        async with self._encoding.setdefault(camera, asyncio.Lock()):
            known = self._pictures.get(camera)
            if known is None or known.number < live.number:
                known = await run_in_threadpool(_encoded, live)
                self._pictures[camera] = known
        return known

    def _heard(self, live: Live | None) -> None:
        """On the owner's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        self.count += 1
        self._news.set()
        self._news = asyncio.Event()

    async def _beat(self) -> None:
        while True:
            self.heartbeat = time.monotonic()
            await asyncio.sleep(BEAT_S)


def _encoded(live: Live) -> Picture:
    return Picture(live.number, encode_jpeg(live.frame.image, WIDTH_PX))
