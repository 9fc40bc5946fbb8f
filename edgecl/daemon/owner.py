"""The thread that owns learner and memory: commands come in by a queue, frames from cameras, and nothing else does."""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from edgecl.board import Readings
from edgecl.cameras.process import Condition
from edgecl.daemon.desk import Desk
from edgecl.daemon.numbers import Numbers
from edgecl.daemon.snapshots import Live, State
from edgecl.effort import FULL, Effort
from edgecl.errors import Busy, DaemonEnded, NoAnswer, StoreBusy
from edgecl.golden import check_golden
from edgecl.home import Home
from edgecl.region import Region
from edgecl.releases import slots
from edgecl.releases.watch import Watch
from edgecl.types import Frame

log = logging.getLogger(__name__)

IDLE_S = 0.25  # between two looks at what is due, while nothing comes
BUSY_S = 0.01  # likewise, while something goes on
COMMAND_S = 50.0  # may be spent on one command: to forget is to write the memory anew, on an SD card
INTERLUDE_S = 600.0  # or while someone else has the memory
TAKEN_S = 1.0  # between two attempts to take it up again, where a command took it in between
SLOW = "found no answer of the daemon in time, expected one; it may still be done, so look before you ask again"
Result = TypeVar("Result")


class Eyes(Protocol):
    """A camera as the owner sees it."""

    name: str

    @property
    def condition(self) -> Condition:
        """How it is."""

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet."""

    def close(self) -> None:
        """Let go of it."""


class Watched:
    """A camera with what counts of its pictures, and how often they are looked at."""

    def __init__(self, eyes: Eyes, region: Region, rate_max_hz: float) -> None:
        self.eyes, self.region = eyes, region
        self._every_s = 0.95 / rate_max_hz  # a camera of that very rate would otherwise be missed by a hair
        self._next, self._taken = 0.0, 0

    def take(self, now: float, every: int) -> Frame | None:
        """The newest frame, if it is time for one, and of those each `every`-th."""
        if now < self._next:
            return None
        frame = self.eyes.take()
        if frame is not None:
            self._next = max(self._next + self._every_s, now - self._every_s)
            self._taken += 1
        return frame if self._taken % every == 0 else None


class Owner:
    """The thread, from outside.

    Attributes:
        heartbeat: s, monotonic, of its last round; lies ahead while it is at something that may take longer.
        failure: what ended it, None while it runs or if it was asked to end.
    """

    def __init__(self, home: Home, changed: Callable[[], None], looked: Callable[[Live], None]) -> None:
        """Start it; returns once the backbone has passed its self-test and the memory is open.

        Args:
            home: which is held for writing until `close`.
            changed: called on the thread after `state` became another one.
            looked: called on the thread after a frame was answered.

        Raises:
            EdgeclError: the home cannot be used.
        """
        self.heartbeat = time.monotonic()
        self.failure: Exception | None = None
        self._home, self._on_change, self._on_look = home, changed, looked
        self._commands: queue.SimpleQueue[tuple[Callable[[Desk], Any], Future[Any]]] = queue.SimpleQueue()
        self._cameras: Mapping[str, Watched] = {}
        self._seen: Mapping[str, Watched] = {}  # those of the last round
        self._board = FULL, Readings()
        self._interlude: tuple[Callable[[], Any], Future[Any]] | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._asking, self._over = threading.Lock(), False
        self._desk: Desk | None = None
        self._numbers = Numbers()
        self._told: State | None = None
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="edgecl-owner", daemon=True)
        self._thread.start()
        ready.result()

    @property
    def state(self) -> State:
        """As of the last change."""
        assert self._desk is not None, "set before the constructor returns"  # noqa: S101
        return self._desk.state

    @property
    def live(self) -> Mapping[str, Live]:
        """By camera, what was made of its newest frame."""
        return self._desk.live if self._desk is not None else {}

    @property
    def learning_since(self) -> float | None:
        """When the fit that goes on began, s, monotonic; None while there is none."""
        return self._desk.teaching.learning_since if self._desk is not None else None

    def wake(self) -> None:
        """There is something to do; may be called from any thread."""
        self._wake.set()

    def ask(self, command: Callable[[Desk], Result]) -> Future[Result]:
        """Let the thread run `command` between two frames.

        The future raises `DaemonEnded` where the thread ends first.
        """
        done: Future[Result] = Future()
        with self._asking:
            if not self._over:
                self._commands.put((command, done))
                self._wake.set()
                return done
        done.set_exception(ended())
        return done

    def interrupt(self, act: Callable[[], Result]) -> Future[Result]:
        """Let go of the memory, `act`, and take it up again; for what wants the memory to itself."""
        done: Future[Result] = Future()

        def begin(desk: Desk) -> None:
            if self._interlude is not None:
                raise Busy("found the memory being put back, expected one at a time; wait until it is done")
            self._interlude = act, done

        def begun(made: Future[None]) -> None:
            error = made.exception()
            if error is not None:
                done.set_exception(error)

        self.ask(begin).add_done_callback(begun)
        return done

    def set_cameras(self, cameras: Mapping[str, Watched]) -> None:
        """Take frames from these from now on."""
        self._cameras = dict(cameras)
        self._wake.set()

    def set_effort(self, effort: Effort, readings: Readings) -> None:
        """Do so much from now on, for what was read of the board."""
        self._board = effort, readings
        self._wake.set()

    def close(self) -> None:
        """End the thread; lessons that are being given are committed first."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    # The thread

    def _run(self, ready: Future[None]) -> None:
        waiting: Future[Any] = ready  # whoever waits for the memory to be taken up
        begun: Callable[[], None] = functools.partial(ready.set_result, None)
        try:
            while not self._stop.is_set():
                self._work(begun, first=waiting is ready)
                if self._interlude is not None:
                    (act, waiting), self._interlude = self._interlude, None
                    self.heartbeat = time.monotonic() + INTERLUDE_S
                    begun = _outcome(waiting, act)
        except Exception as error:  # the restart boundary: whoever supervises us sees it, and starts anew
            if ready.done():
                log.exception("the owner of the memory ended")
                self.failure = error
            if not waiting.done():
                waiting.set_exception(error)
        finally:
            if not waiting.done():  # ended in between: what was asked is done
                begun()
            self._refuse_the_rest()

    def _work(self, begun: Callable[[], None], first: bool) -> None:
        """Own the memory until asked to end, or to let go of it for a moment; `begun` is called once that is so."""
        with contextlib.ExitStack() as held:
            watch = self._take_up(held, first)
            if first:
                check_golden(watch.learner.backbone, slots.current(self._home.folder))
            desk = self._desk = Desk(watch, self.wake, self._numbers)
            begun()
            try:
                while not self._stop.is_set() and self._interlude is None:
                    self._round(desk)
            finally:
                desk.close()
                self._tell(desk)

    def _take_up(self, held: contextlib.ExitStack, first: bool) -> Watch:
        """The memory, which a command that came in between may have for as long as it takes."""
        end = time.monotonic() + INTERLUDE_S
        while True:
            try:
                return held.enter_context(self._home.watched(live=first, learns_at_once=False))
            except StoreBusy:
                if first or self._stop.is_set() or time.monotonic() > end:
                    raise
                self._stop.wait(TAKEN_S)

    def _round(self, desk: Desk) -> None:
        self._wake.wait(BUSY_S if desk.busy else IDLE_S)
        self._wake.clear()
        self.heartbeat = time.monotonic()
        self._look_through(desk, self._cameras)
        if self._board != (desk.effort, desk.state.board):
            desk.set_effort(*self._board)
        self._obey(desk)
        for watched in self._seen.values():
            frame = watched.take(time.monotonic(), desk.effort.every)
            if frame is not None:
                live = desk.look(frame)
                if live is not None:
                    self._on_look(live)
                self._obey(desk)
        desk.tick()
        self._tell(desk)

    def _look_through(self, desk: Desk, cameras: Mapping[str, Watched]) -> None:
        for name, watched in cameras.items():
            if name in self._seen and self._seen[name].eyes is not watched.eyes:
                desk.leave(name)
        self._seen = cameras
        desk.use({name: watched.region for name, watched in cameras.items()})

    def _obey(self, desk: Desk) -> None:
        """Run the commands that wait."""
        with contextlib.suppress(queue.Empty):
            while True:
                command, done = self._commands.get_nowait()
                self.heartbeat = time.monotonic() + COMMAND_S
                hand_over = _outcome(done, functools.partial(command, desk))
                try:
                    self._tell(desk)
                finally:
                    hand_over()
                self.heartbeat = time.monotonic()

    def _tell(self, desk: Desk) -> None:
        if desk.state is not self._told:
            self._told = desk.state
            self._on_change()

    def _refuse_the_rest(self) -> None:
        with self._asking:
            self._over = True
        if self._interlude is not None and not self._interlude[1].done():
            self._interlude[1].set_exception(ended())
        with contextlib.suppress(queue.Empty):
            while True:
                self._commands.get_nowait()[1].set_exception(ended())


def _outcome(done: Future[Any], act: Callable[[], Any]) -> Callable[[], None]:
    """`act`; what it gives or raises belongs to whoever asked, and is handed over when the result is called."""
    if not done.set_running_or_notify_cancel():
        return lambda: None
    try:
        return functools.partial(done.set_result, act())
    except Exception as error:  # raised on the thread that asked
        return functools.partial(done.set_exception, error)


def given_up(done: Future[Any]) -> NoAnswer:
    """What is said when a command was waited for in vain; one that was not begun is not done any more."""
    if done.cancel():
        return NoAnswer("found no answer of the daemon in time, expected one; nothing was done, so ask again")
    return NoAnswer(SLOW)


def ended() -> DaemonEnded:
    """What is said to whoever asks while it ends."""
    return DaemonEnded("found the daemon ending, expected it to run; ask again once it has started anew")
