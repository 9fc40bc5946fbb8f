"""A home folder with everything in it: settings, the active release, the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecl import releases
from edgecl.accelerator.execution import execution_of
from edgecl.backbone import Backbone
from edgecl.config import Settings, default_home, load_settings
from edgecl.learner import Learner
from edgecl.manifest import Precision
from edgecl.memory.store import Store
from edgecl.releases import watch
from edgecl.releases.watch import Watch


@dataclass(frozen=True)
class Home:
    """Where one device keeps what it knows.

    Attributes:
        folder: which may not exist yet.
        settings: from its edgecl.toml; what they leave open of the backbone is closed by what was measured here.
    """

    folder: Path
    settings: Settings

    @classmethod
    def at(cls, folder: Path | None = None) -> Home:
        """The home in `folder`, or the user's.

        Raises:
            ConfigRefused: its edgecl.toml cannot be used.
        """
        folder = folder or default_home()
        settings = load_settings(folder)
        return cls(folder, settings.model_copy(update={"backbone": execution_of(folder, settings.backbone)}))

    def store(self, writable: bool = True) -> Store:
        """Open the memory; for reading only, beside a process that writes.

        Raises:
            StoreError: see `Store`.
        """
        return Store(self.folder, writable)

    def backbone(self, precision: Precision | None = None) -> Backbone:
        """Load the active release, in another `precision` than the settings' if need be.

        Raises:
            BackboneError: there is none, or it is damaged.
        """
        settings = self.settings.backbone
        if precision is not None:
            settings = settings.model_copy(update={"precision": precision})
        return Backbone(releases.current(self.folder), settings)

    @contextlib.contextmanager
    def watched(self, writable: bool = True, live: bool = False, learns_at_once: bool = True) -> Iterator[Watch]:
        """The learner of a process that answers frames, with the watch that it keeps over a release in trial.

        Args:
            writable: whether to write to the memory; the trial is kept either way.
            live: whether the process goes on until it is told to end, so that a start counts.
            learns_at_once: see `Learner`.

        Raises:
            BackboneError, StoreError: see `learner`.
        """
        if live:
            watch.begin(self.folder, self.settings.release)
        with self.learner(writable, learns_at_once) as learner, watch.watching(learner) as found:
            yield found

    @contextlib.contextmanager
    def learner(self, writable: bool = True, learns_at_once: bool = True) -> Iterator[Learner]:
        """The learner over this home's memory, for as long as the block lasts.

        Raises:
            BackboneError: there is no backbone, it is damaged, or the memory was taught with another.
            StoreError: see `Store`.
        """
        if writable:
            releases.settle(self.folder)
        backbone = self.backbone()
        with self.store(writable) as store:
            yield Learner(store, backbone, self.settings, learns_at_once)
