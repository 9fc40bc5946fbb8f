"""What a swap needs beforehand, made by a worker at the lowest priority while predictions go on.

The worker reads the memory through a connection of its own and writes nothing: what it makes it hands to the thread
that owns the store.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import Settings
from edgecl.embedding import embedded, whole_view
from edgecl.errors import BackboneError, EdgeclError, FrameUnusable, ReleaseRefused
from edgecl.golden import check_golden
from edgecl.manifest import Files
from edgecl.memory.store import Store
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser
from edgecl.releases.latency import Latency, compare_latency
from edgecl.runtime import RUNTIME_ERRORS

CHUNK = 32  # examples: what the owner commits between two frames
AHEAD = 2  # chunks that wait to be committed
LOWEST = 19
POLL_S = 0.1


@dataclass(frozen=True)
class Opened:
    """The candidate runs here: its backbone, with all the threads that it is going to have, and how fast it is."""

    backbone: Backbone
    latency: Latency
    missing: int


@dataclass(frozen=True)
class Chunk:
    """Embeddings to be kept: ids (n,) and float32 (n, D)."""

    ids: list[int]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """The memory at one revision through the new tail, and what was learned from it; None of an empty memory."""

    view: MemoryView
    recogniser: Recogniser | None


@dataclass(frozen=True)
class Failed:
    """The candidate cannot run here, or the worker broke down."""

    error: Exception


class Migration:
    """A worker thread that embeds a whole memory by the tail of a candidate, and learns from it."""

    def __init__(self, files: Files, home: Path, running: Backbone, settings: Settings) -> None:
        """Start it.

        Args:
            files: of the candidate, by name.
            home: with the memory.
            running: the backbone that answers at the moment; several threads may run it.
            settings: of the home.
        """
        self._files, self._home, self._running, self._settings = files, home, running, settings
        self._made: queue.Queue[Opened | Chunk | Fitted | Failed] = queue.Queue(AHEAD)
        self._again, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="edgecl-migration", daemon=True)
        self._thread.start()

    def take(self, wait_s: float = 0.0) -> Opened | Chunk | Fitted | Failed | None:
        """What was made next, None if nothing is ready within `wait_s`."""
        with contextlib.suppress(queue.Empty):
            return self._made.get(block=wait_s > 0.0, timeout=wait_s or None)
        return None

    def again(self) -> None:
        """The memory has changed: embed what came, and learn anew."""
        self._again.set()

    def stop(self) -> None:
        """Leave off; returns once the thread has ended."""
        self._stopped.set()
        self._again.set()
        while self._thread.is_alive():
            self.take()
            self._thread.join(POLL_S)

    def _work(self) -> None:
        try:
            self._migrate()
        except _Stopped:
            pass
        except Exception as error:  # handed to the owner, who raises it
            with contextlib.suppress(_Stopped):
                self._hand(Failed(_refusal(error)))

    def _migrate(self) -> None:
        # At the priority of the process: the threads of a session inherit that of the thread which opens it.
        backbone = Backbone(self._files, self._settings.backbone)
        latency = compare_latency(backbone, self._running)
        _lowest_priority()
        one_thread = self._settings.backbone.model_copy(update={"threads": 1})  # this one, which gives way
        worker = backbone if self._settings.backbone == one_thread else Backbone(self._files, one_thread)
        check_golden(worker, self._files)
        with Store(self._home, writable=False) as store:
            self._hand(Opened(backbone, latency, len(store.missing_vectors(worker.tail_digest))))
            view: MemoryView | None = None
            while True:
                self._again.clear()
                self._embed(store, worker)
                view = whole_view(store, worker, view)
                self._hand(Fitted(view, Recogniser.fit(view, self._settings.head.name)))
                self._again.wait()
                if self._stopped.is_set():
                    return

    def _embed(self, store: Store, worker: Backbone) -> None:
        missing = store.missing_vectors(worker.tail_digest)
        for start in range(0, len(missing), CHUNK):
            ids, vectors = embedded(store, worker, missing[start : start + CHUNK])
            if ids:
                self._hand(Chunk(ids, vectors))

    def _hand(self, made: Opened | Chunk | Fitted | Failed) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._made.put(made, timeout=POLL_S)
                return
        raise _Stopped


class _Stopped(Exception):
    """No error: the way out of the worker."""


def _refusal(error: Exception) -> Exception:
    if isinstance(error, BackboneError | FrameUnusable):
        return ReleaseRefused(f"the release is refused: {error}")
    if isinstance(error, RUNTIME_ERRORS) and not isinstance(error, EdgeclError):
        return ReleaseRefused(f"the release is refused: ONNX Runtime could not run its graphs: {error}")
    return error


def _lowest_priority() -> None:
    """Of this thread alone, where the system has such a thing."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
