"""Everything that runs: the owner of the memory and its cameras, for those who show it to people and machines."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from edgecl.cameras.process import CameraProcess, Condition
from edgecl.config import CameraEntry, CameraSettings, Roi, Settings
from edgecl.daemon.desk import Desk
from edgecl.daemon.heartbeat import Heartbeat, silent
from edgecl.daemon.owner import Eyes, Owner, Watched
from edgecl.daemon.pushed import PushedCamera
from edgecl.daemon.regions import Regions
from edgecl.daemon.snapshots import Live, State
from edgecl.daemon.thermometer import Thermometer
from edgecl.effort import FULL
from edgecl.errors import CameraUnavailable, ConfigRefused
from edgecl.home import Home
from edgecl.memory import backup
from edgecl.region import Region

BROWSER = "browser:"
STUCK_S = 10.0  # the owner does something in between at least so often, unless it hangs
LEARNS_S = 1800.0  # the most classes on the slowest board
Result = TypeVar("Result")


@dataclass(frozen=True)
class Camera:
    """A camera that is looked through.

    Attributes:
        entry: what the settings say of it.
        settings: time-outs and intervals.
        eyes: give its frames.
    """

    entry: CameraEntry
    settings: CameraSettings
    eyes: Eyes

    @property
    def condition(self) -> Condition:
        """How it is."""
        return self.eyes.condition

    @property
    def trouble(self) -> str | None:
        """Why it gives no pictures now, None while it does."""
        found = self.condition
        return found.trouble or (None if found.phase == "open" else "it is being opened")

    @property
    def pushed(self) -> PushedCamera | None:
        """Where to hand frames, if it is one whose frames others send."""
        return self.eyes if isinstance(self.eyes, PushedCamera) else None


class Daemon:
    """The running whole. Made by one thread; its methods may be called by any.

    Attributes:
        home: which it holds, with the settings that are in force.
        began_at: s, UTC since the epoch.
        cameras: by name, in their order; replaced whole.
    """

    def __init__(self, home: Home, cameras: Sequence[CameraEntry]) -> None:
        """Start; returns once frames can be answered.

        Args:
            home: which is held for writing until `close`.
            cameras: to look through, in the place of those of its settings.

        Raises:
            EdgeclError: the home cannot be used, or two cameras have one name.
        """
        named(cameras)
        self.home, self.began_at = home, time.time()
        self._listeners: set[Callable[[Live | None], None]] = set()
        self._lock, self._arranging = threading.Lock(), threading.Lock()
        self.cameras: Mapping[str, Camera] = {}
        self._regions = Regions(home.folder)
        self.owner = Owner(home, lambda: self._tell(None), self._tell)
        self.use(cameras)
        self._thermometer = Thermometer(home.settings.heat, self.owner.set_effort)

    # Cameras

    def use(self, cameras: Sequence[CameraEntry], settings: CameraSettings | None = None) -> None:
        """Look through these cameras from now on; those whose name, address and settings stay go on undisturbed.

        Raises:
            ConfigRefused: two have the same name.
        """
        wanted, settings = named(cameras), settings or self.home.settings.camera
        with self._arranging:
            before = self.cameras
            self.cameras = {
                name: Camera(entry, settings, self._same(name, entry, settings) or self._open(name, entry, settings))
                for name, entry in wanted.items()
            }
            in_force = {"cameras": tuple(cameras), "camera": settings}
            self.home = replace(self.home, settings=self.home.settings.model_copy(update=in_force))
            self._arrange()
        stay = [camera.eyes for camera in self.cameras.values()]
        for camera in before.values():
            if camera.eyes not in stay:
                camera.eyes.close()

    def set_region(self, name: str, roi: Roi) -> None:
        """Let this part of the camera's pictures count, also after the next start; None for what its settings say.

        Raises:
            CameraUnavailable: there is no such camera.
            StoreUnwritable: the disk refuses; it is as it was.
        """
        with self._arranging:
            self._regions.draw(name, self.camera(name).entry, roi)
            self._arrange()

    def camera(self, name: str) -> Camera:
        """The camera of this name.

        Raises:
            CameraUnavailable: there is none.
        """
        cameras = self.cameras
        if name not in cameras:
            there = ", ".join(cameras) or "none"
            raise CameraUnavailable(f"found no camera {name[:60]!r}, expected one of: {there}; name one of these")
        return cameras[name]

    def _arrange(self) -> None:
        self.owner.set_cameras(
            {
                name: Watched(camera.eyes, Region(self._regions.of(name, camera.entry)), camera.entry.rate_max_hz)
                for name, camera in self.cameras.items()
            }
        )

    # The memory

    @property
    def state(self) -> State:
        """As of the last change."""
        return self.owner.state

    @property
    def live(self) -> Mapping[str, Live]:
        """By camera, what was made of its newest frame."""
        return self.owner.live

    def ask(self, command: Callable[[Desk], Result]) -> Future[Result]:
        """Let the owner of the memory run a command between two frames."""
        return self.owner.ask(command)

    def restore(self, path: Path) -> Future[Path | None]:
        """Put the backup at `path` in the place of the memory; gives where the old one is now.

        The future raises what `backup.restore` raises; the memory is as it was then.
        """
        return self.owner.interrupt(lambda: backup.restore(self.home.folder, path))

    def listen(self, listener: Callable[[Live | None], None]) -> None:
        """Have `listener` called after every answer, and with None after every other change; it must be quick."""
        with self._lock:
            self._listeners = self._listeners | {listener}

    @contextlib.contextmanager
    def listening(self, listener: Callable[[Live | None], None]) -> Iterator[None]:
        """Do so for as long as the block lasts."""
        self.listen(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = self._listeners - {listener}

    # Health

    @property
    def trouble(self) -> str | None:
        """Why it does not answer commands any more, or None."""
        if self.owner.failure is not None:
            return f"the owner of the memory ended: {self.owner.failure}"
        return silent(
            (
                Heartbeat("the owner of the memory", lambda: self.owner.heartbeat, STUCK_S),
                Heartbeat("learning", lambda: self.owner.learning_since or time.monotonic(), LEARNS_S),
            )
        )

    def at_leisure(self) -> bool:
        """Whether nothing goes on but that frames are answered, and all of them are."""
        state = self.state
        return not (state.holds or state.learning or state.swap) and state.effort == FULL

    def not_ready(self) -> list[str]:
        """Why frames are not answered, a line each; empty while they are."""
        reasons = [] if self.trouble is None else [self.trouble]
        if self.state.answerer.mismatch is not None:
            reasons.append(str(self.state.answerer.mismatch))
        if not self.cameras:
            reasons.append("no camera is set up")
        return reasons + [f"{name}: {trouble}" for name, trouble in self.silent().items()]

    def silent(self) -> dict[str, str]:
        """By name, what is wrong with each camera that gives no pictures, though it should."""
        cameras = self.cameras
        own = {name: camera for name, camera in cameras.items() if camera.pushed is None}
        awaited = own or cameras  # a browser may come and go, where there is another camera
        return {name: trouble for name, camera in awaited.items() if (trouble := camera.trouble) is not None}

    def close(self) -> None:
        """End everything; lessons that are being given are committed first."""
        self._thermometer.close()
        self.owner.close()
        for camera in self.cameras.values():
            camera.eyes.close()

    # Inside

    def _same(self, name: str, entry: CameraEntry, settings: CameraSettings) -> Eyes | None:
        """The eyes that look there already."""
        found = self.cameras.get(name)
        same = found is not None and (found.entry.url, found.settings) == (entry.url, settings)
        return found.eyes if found is not None and same else None

    def _open(self, name: str, entry: CameraEntry, settings: CameraSettings) -> Eyes:
        if entry.url == BROWSER:
            return PushedCamera(name, settings, self.owner.wake)
        return CameraProcess(name, entry.url, settings, self.owner.wake)

    def _tell(self, live: Live | None) -> None:
        for listener in self._listeners:
            listener(live)


def named(cameras: Sequence[CameraEntry]) -> dict[str, CameraEntry]:
    """By name; those without one are called camera1, camera2 ….

    Raises:
        ConfigRefused: two have the same name.
    """
    found: dict[str, CameraEntry] = {}
    for number, entry in enumerate(cameras, start=1):
        name = entry.name or f"camera{number}"
        if name in found:
            raise ConfigRefused(f"found two cameras called {name!r}, expected different names; rename one")
        found[name] = entry
    return found


def settings_changed(before: Settings, after: Settings) -> list[str]:
    """Sections that differ and take effect only with the next start."""
    lasting = ("cameras", "camera")
    return [
        name for name in type(after).model_fields if name not in lasting and vars(before)[name] != vars(after)[name]
    ]
