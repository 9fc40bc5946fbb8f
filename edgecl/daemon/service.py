"""The daemon as a service: started, watched, reloaded, ended."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from edgecl.accelerator.beside import measuring
from edgecl.accelerator.starts import counted, let_go_of
from edgecl.config import CameraEntry, load_settings
from edgecl.daemon import note, notify
from edgecl.daemon.daemon import Daemon, settings_changed
from edgecl.daemon.heartbeat import Heartbeat, silent
from edgecl.errors import DaemonEnded, EdgeclError
from edgecl.home import Home
from edgecl.runtime import Execution

log = logging.getLogger(__name__)

LOOK_S = 0.5


@dataclass(frozen=True)
class Door:
    """What shows the daemon to others.

    Attributes:
        address: where.
        heartbeats: of what it consists of.
        close: ends it.
    """

    address: str
    heartbeats: Sequence[Heartbeat]
    close: Callable[[], None]


class Service:
    """One run. `run` returns when it is asked to end, or when a part of it has failed."""

    def __init__(
        self,
        home: Home,
        cameras: Sequence[CameraEntry],
        token: str,
        open_door: Callable[[Daemon], Door],
        ready: Callable[[str], None],
    ) -> None:
        """What is to be run.

        Args:
            home: which is held.
            cameras: given on the command line; those of the home's settings without.
            token: that machines show, empty without one.
            open_door: lets others see the daemon.
            ready: told the address, once it answers.
        """
        self._home, self._cameras, self._token = home, cameras, token
        self._open_door, self._ready = open_door, ready
        self._ended, self._reload = threading.Event(), threading.Event()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reads the settings anew.

        Raises:
            EdgeclError: it could not start, or a part of it has failed.
        """
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        if hasattr(signal, "SIGHUP"):
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._hear)
        try:
            self._run()
        finally:
            notify.notify("STOPPING=1")
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> None:
        self._began_with = load_settings(self._home.folder)
        gone = let_go_of(self._home.folder) if self._began_with.backbone.provider == "auto" else None
        if gone is not None:
            log.warning("%s; the CPU runs in its place; to take it up again: edgecl doctor --measure", gone)
        with counted(self._home.folder, Execution.of(self._home.settings.backbone)) as goes_well:
            self._serve(goes_well)

    def _serve(self, goes_well: Callable[[], None]) -> None:
        daemon = Daemon(self._home, self._cameras or self._home.settings.cameras)
        try:
            door = self._open_door(daemon)
            try:
                note.leave(self._home.folder, door.address, self._token)
                notify.notify("READY=1", f"STATUS=answers at {door.address}")
                self._ready(door.address)
                with measuring(self._home.folder, self._began_with.backbone, daemon.at_leisure):
                    self._watch(daemon, door, goes_well)
            finally:
                note.take_back(self._home.folder)
                door.close()
        finally:
            daemon.close()

    def _watch(self, daemon: Daemon, door: Door, goes_well: Callable[[], None]) -> None:
        """Look after all that runs; who feeds the watchdog answers frames and requests, and not only the clock."""
        told = False
        while not self._ended.wait(LOOK_S):
            if self._reload.is_set():
                self._reload.clear()
                self._read_anew(daemon)
            if daemon.owner.failure is not None:
                raise DaemonEnded(
                    f"{daemon.trouble}; what was taught is kept; start it again"
                ) from daemon.owner.failure
            trouble = daemon.trouble or silent(door.heartbeats)
            if trouble is None:
                notify.notify("WATCHDOG=1")
                goes_well()
            if told != (trouble is not None):
                told = not told
                log.log(logging.ERROR if told else logging.INFO, "%s", trouble or "all goes on again")

    def _read_anew(self, daemon: Daemon) -> None:
        notify.reloading()
        try:
            settings = load_settings(self._home.folder)
            waiting = settings_changed(self._began_with, settings)
            daemon.use(self._cameras or settings.cameras, settings.camera)
            log.info("read the settings anew")
            if waiting:
                log.warning("the sections %s take effect with the next start", ", ".join(waiting))
        except EdgeclError as error:  # what runs goes on as it is
            log.error("the settings could not be read anew: %s", error)
        notify.notify("READY=1")

    def _hear(self, number: int, frame: FrameType | None) -> None:
        (self._reload if number == getattr(signal, "SIGHUP", None) else self._ended).set()
