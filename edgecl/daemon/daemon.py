"""Everything that runs: the owner of the memory and its cameras, for those who show it to people and machines."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from edgecl.cameras.process import CameraProcess, Condition
from edgecl.config import CameraEntry, CameraSettings, Roi, Settings
from edgecl.daemon.desk import Desk
from edgecl.daemon.owner import Eyes, Owner, Watched
from edgecl.daemon.pushed import PushedCamera
from edgecl.daemon.snapshots import Live, State
from edgecl.errors import ConfigRefused
from edgecl.files import write_durably
from edgecl.home import Home
from edgecl.memory import backup
from edgecl.region import Region

log = logging.getLogger(__name__)

BROWSER = "browser:"
REGIONS = "regions.json"  # in the home: parts of cameras' pictures that were set while it ran
STUCK_S = 10.0  # the owner does something in between at least so often, unless it hangs
Result = TypeVar("Result")


class Daemon:
    """The running whole. Made by one thread; its methods may be called by any.

    Attributes:
        home: which it holds.
        began_at: s, UTC since the epoch.
    """

    def __init__(self, home: Home, cameras: Sequence[CameraEntry]) -> None:
        """Start; returns once frames can be answered.

        Args:
            home: which is held for writing until `close`.
            cameras: to look through.

        Raises:
            EdgeclError: the home cannot be used, or two cameras have one name.
        """
        self.home, self.began_at = home, time.time()
        self._listeners: set[Callable[[Live | None], None]] = set()
        self._lock = threading.Lock()
        self._entries = named(cameras)
        self._cameras: dict[str, Eyes] = {}
        self._regions = _regions(home.folder / REGIONS)
        self.owner = Owner(home, lambda: self._tell(None), self._tell)
        self.use(cameras)

    # Cameras

    @property
    def cameras(self) -> Mapping[str, CameraEntry]:
        """By name, in their order."""
        return self._entries

    def condition(self, camera: str) -> Condition:
        """How a camera is."""
        return self._cameras[camera].condition

    def pushed(self, camera: str) -> PushedCamera | None:
        """The camera, if it is one whose frames others send."""
        found = self._cameras.get(camera)
        return found if isinstance(found, PushedCamera) else None

    def use(self, cameras: Sequence[CameraEntry], settings: CameraSettings | None = None) -> None:
        """Look through these cameras from now on; those whose address stays go on undisturbed.

        Raises:
            ConfigRefused: two have the same name.
        """
        settings, before, wanted = settings or self.home.settings.camera, self._entries, named(cameras)
        stay = {
            name: eyes
            for name, eyes in self._cameras.items()
            if name in wanted and wanted[name].url == before[name].url
        }
        gone = [eyes for name, eyes in self._cameras.items() if name not in stay]
        cameras_now = {name: stay.get(name) or self._open(name, wanted[name], settings) for name in wanted}
        self._cameras = self._cameras | cameras_now  # whoever asks meanwhile finds every camera that is listed
        self._entries = wanted
        self._cameras = cameras_now
        self._arrange()
        for eyes in gone:
            eyes.close()

    def set_region(self, camera: str, roi: Roi) -> None:
        """Let this part of the camera's pictures count, also after the next start; None for what its settings say.

        Raises:
            StoreUnwritable: the disk refuses; it is as it was.
        """
        regions = {name: one for name, one in self._regions.items() if name != camera}
        if roi is not None:
            regions[camera] = roi
        write_durably(self.home.folder / REGIONS, json.dumps(regions, indent=1).encode("utf-8"))
        self._regions = regions
        self._arrange()

    def _arrange(self) -> None:
        self.owner.set_cameras(
            {
                name: Watched(self._cameras[name], self._region(name, entry), entry.rate_max_hz)
                for name, entry in self._entries.items()
            }
        )

    def _region(self, name: str, entry: CameraEntry) -> Region:
        return Region(self._regions.get(name, entry.roi))

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
        silent_s = time.monotonic() - self.owner.heartbeat
        return f"the owner of the memory has been silent for {silent_s:.0f} s" if silent_s > STUCK_S else None

    def not_ready(self) -> list[str]:
        """Why frames are not answered, a line each; empty while they are."""
        reasons = [] if self.trouble is None else [self.trouble]
        if not self._cameras:
            reasons.append("no camera is set up")
        own = [name for name in self._cameras if self.pushed(name) is None]
        for name in own or self._cameras:  # a browser may come and go, where there is another camera
            found = self._cameras[name].condition
            if found.trouble is not None or found.phase != "open":
                reasons.append(f"{name}: {found.trouble or 'it is being opened'}")
        return reasons

    def close(self) -> None:
        """End everything; lessons that are being given are committed first."""
        self.owner.close()
        for eyes in self._cameras.values():
            eyes.close()

    # Inside

    def _open(self, name: str, entry: CameraEntry, settings: CameraSettings) -> Eyes:
        if entry.url == BROWSER:
            return PushedCamera(name, settings, self.owner.wake)
        return CameraProcess(name, entry.url, settings, self.owner.wake)

    def _tell(self, live: Live | None) -> None:
        for listener in self._listeners:
            listener(live)


def _regions(path: Path) -> dict[str, Roi]:
    """Those that were set while it ran; none where the file cannot be read."""
    try:
        entries = {name: CameraEntry(url="-", roi=roi) for name, roi in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s cannot be used, and cameras are seen as edgecl.toml says: %s", path, error)
        return {}
    return {name: entry.roi for name, entry in entries.items()}


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
