"""Requests that come by MQTT: read within limits, done by one worker, answered with words whatever they hold."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edgecl.daemon.daemon import Daemon
from edgecl.errors import BodyTooLarge, Busy, DaemonEnded, EdgeclError, InputRefused
from edgecl.mqtt.commands import REQUESTS, Lasting, Request

log = logging.getLogger(__name__)

PAYLOAD_BYTES_MAX = 2**20
WAITING_MAX = 16  # requests
GLANCE_BYTES_MAX = 4096  # of a request that is turned away at once, to see its transaction
TRANSACTION_CHARACTERS_MAX = 200
IDLE_S, LESSON_S = 0.5, 0.05  # between two looks at lessons that are given: while there are none, and while there are

Record = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request as it came.

    Attributes:
        name: of what is asked for; it may be anything.
        payload: which may be anything.
        retained: whether a broker keeps it, so that it comes again with every connection.
    """

    name: str
    payload: bytes
    retained: bool


@dataclass(frozen=True)
class _Lesson:
    """One that is being given, or learned."""

    name: str
    transaction: str | int | None
    lasting: Lasting
    until: float


class Requests:
    """A bounded queue and its worker."""

    def __init__(self, daemon: Daemon, answer: Callable[[str, Record], None]) -> None:
        """Begin.

        Args:
            daemon: that is asked.
            answer: called with what was asked for and the answer; by any thread, and quick.
        """
        self._daemon, self._answer = daemon, answer
        self._waiting: queue.Queue[Asked | None] = queue.Queue(WAITING_MAX)
        self._lessons: list[_Lesson] = []
        self._stop = threading.Event()
        self._worker = threading.Thread(target=self._work, name="edgecl-mqtt-requests", daemon=True)
        self._worker.start()

    def take(self, asked: Asked) -> None:
        """Let it be done when its turn comes; returns at once, also where it is refused."""
        if asked.retained and not asked.payload:
            return  # so a retained one is taken back
        try:
            _check(asked)
            self._waiting.put_nowait(asked)
        except queue.Full:
            error = Busy(f"found {WAITING_MAX} requests waiting, expected fewer; ask again later")
            self._answer(asked.name, refusal(error, _glance(asked.payload)))
        except EdgeclError as error:
            self._answer(asked.name, refusal(error, _glance(asked.payload)))

    def close(self, wait_s: float) -> None:
        """Leave off; what waits is not done. Returns once the worker has ended, after `wait_s` at the latest."""
        self._stop.set()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._worker.join(wait_s)

    # The worker

    def _work(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                asked = self._waiting.get(timeout=LESSON_S if self._lessons else IDLE_S)
                if asked is not None and not self._stop.is_set():
                    self._serve(asked)
            self._look_after_lessons()
        for lesson in self._lessons:
            error = DaemonEnded("found the daemon ending during the lesson, which is kept; see the history")
            self._answer(lesson.name, refusal(error, lesson.transaction))

    def _serve(self, asked: Asked) -> None:
        transaction: str | int | None = None
        try:
            values = _values(asked.payload)
            transaction = _transaction(values)
            done = _request(asked.name, values).do(self._daemon)
            if isinstance(done, Lasting):
                until = time.monotonic() + done.patience_s
                self._lessons.append(_Lesson(asked.name, transaction, done, until))
            else:
                self._answer(asked.name, {"transaction": transaction, "ok": True, "result": done})
        except Exception as error:  # whatever it is: this one is answered, and the next one is served
            self._answer(asked.name, refusal(error, transaction))

    def _look_after_lessons(self) -> None:
        """Answer those that are over, or took too long."""
        for lesson in list(self._lessons):
            try:
                if not lesson.lasting.is_over(self._daemon) and time.monotonic() < lesson.until:
                    continue
                record = lesson.lasting.record()
                self._answer(lesson.name, {"transaction": lesson.transaction, "ok": True, "result": record})
            except Exception as error:  # likewise
                self._answer(lesson.name, refusal(error, lesson.transaction))
            self._lessons.remove(lesson)


def refusal(error: Exception, transaction: str | int | None) -> Record:
    """The answer to what could not be done; of errors that are none of ours the log has more."""
    if not isinstance(error, EdgeclError):
        log.error("a request by MQTT failed", exc_info=error)
        error = EdgeclError("found an error that nobody expected; what was known is kept, and the log says more")
    return {"transaction": transaction, "ok": False, "error": type(error).__name__, "message": str(error)}


def _check(asked: Asked) -> None:
    if asked.retained:
        raise InputRefused(
            f"found a retained request {asked.name[:40]!r}, which would be repeated with every connection, "
            "expected one that is not; take it back with an empty retained message there, and publish without retain"
        )
    if len(asked.payload) > PAYLOAD_BYTES_MAX:
        raise BodyTooLarge(
            f"found a payload of {len(asked.payload):,} bytes, expected at most {PAYLOAD_BYTES_MAX:,}; "
            "send a smaller one"
        )


def _values(payload: bytes) -> Record:
    try:
        values = json.loads(payload.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        shown = repr(payload[:40])[1:]
        raise InputRefused(f"found {shown} for a request, expected a JSON object such as {{}}: {error}") from error
    if not isinstance(values, dict):
        raise InputRefused(f"found {type(values).__name__} for a request, expected a JSON object such as {{}}")
    return values


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _transaction(values: Record) -> str | int | None:
    """Take it out."""
    found = values.pop("transaction", None)
    if isinstance(found, str) and len(found) <= TRANSACTION_CHARACTERS_MAX:
        return found
    if found is None or (isinstance(found, int) and abs(found) < 2**63):
        return found
    raise InputRefused(f"found {found!r:.40} for the transaction, expected a short text or an integer")


def _glance(payload: bytes) -> str | int | None:
    """The transaction of a request that is turned away, where it is found without effort."""
    try:
        return _transaction(_values(payload)) if len(payload) <= GLANCE_BYTES_MAX else None
    except InputRefused:
        return None


def _request(name: str, values: Record) -> Request:
    if name not in REQUESTS:
        raise InputRefused(f"found the request {name[:40]!r}, expected one of: {', '.join(REQUESTS)}")
    try:
        return REQUESTS[name].model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part)[:40] for part in fault['loc'])}: {fault['msg'].lower()}"
            for fault in error.errors()[:5]
        )
        raise InputRefused(f"found a request {name} that cannot be used: {faults}; mend it") from error
