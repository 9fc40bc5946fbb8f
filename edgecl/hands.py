"""Whoever may change a home: the learner of this process, which takes the lock, or the daemon that holds it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from edgecl import review
from edgecl.cameras import redact
from edgecl.config import Settings
from edgecl.daemon import note
from edgecl.errors import DeviceRefused, EdgeclError
from edgecl.gate import FrameGate
from edgecl.home import Home
from edgecl.images import encode_jpeg
from edgecl.learner import Learner, LessonReport
from edgecl.lesson import PICTURES_MAX, Burst
from edgecl.memory.forgetting import ForgetProof
from edgecl.records import lesson_of, proof_of, report_of, switched_of
from edgecl.releases.swap import Switched
from edgecl.remote import Device
from edgecl.types import Frame, Lesson

SIDE_PX = 640  # longest side of a frame that is sent: the network looks at less
QUALITY = 95  # of its JPEG
ANSWER_BYTES_MAX = 2**22
PATIENCE_S = 900.0  # longer than the daemon takes for anything: it says itself when something takes too long


class Hands(Protocol):
    """What a command does to a memory; it raises what the learner raises, or `DeviceRefused`."""

    def burst(self) -> Burst | Sending:
        """Begin a lesson."""

    def hold(self, url: str, label: str, seconds: float) -> LessonReport | None:
        """Teach what the daemon sees for so long through its camera at `url`; None where no daemon looks through it."""

    def teach(self, label: str, burst: Any, origin: str) -> LessonReport:
        """Commit a lesson, which `burst` gave, and learn it."""

    def undo(self) -> Lesson:
        """Take back the newest lesson."""

    def correct(self, example: int, label: str) -> Lesson:
        """Count an example as another class."""

    def rename(self, label: str, new: str) -> Lesson:
        """Give a class another name."""

    def merge(self, label: str, into: str) -> Lesson:
        """Let a class count as another."""

    def forget(self, label: str) -> ForgetProof:
        """Delete a class for good."""

    def teach_review(self, number: int, label: str) -> LessonReport:
        """Teach a frame that waits for a person."""

    def drop_review(self, number: int) -> None:
        """Let a frame wait no more."""


@contextlib.contextmanager
def hands_of(home: Home) -> Iterator[Hands]:
    """Those that may change `home` at this moment.

    Raises:
        StoreBusy: a process that is no daemon holds it.
        BackboneError, StoreError: see `Home.learner`.
    """
    daemon = daemon_of(home)
    if daemon is not None:
        yield daemon
        return
    with home.learner() as learner:
        yield Near(learner)


def daemon_of(home: Home) -> Afar | None:
    """The daemon that holds `home`, None where none does."""
    running = note.running(home.folder)
    if running is None:
        return None
    return Afar(Device(running.address, running.token), home.settings)


class Near:
    """The learner of this process."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.burst, self.teach, self.undo = learner.burst, learner.teach, learner.undo
        self.correct, self.rename, self.merge, self.forget = (
            learner.correct,
            learner.rename,
            learner.merge,
            learner.forget,
        )

    def hold(self, url: str, label: str, seconds: float) -> LessonReport | None:
        """There is no daemon here."""
        return None

    def teach_review(self, number: int, label: str) -> LessonReport:
        """Teach a frame that waits for a person."""
        return review.teach(self._learner, number, label)

    def drop_review(self, number: int) -> None:
        """Let a frame wait no more."""
        self._learner.store.reviews.take(number)


class Sending:
    """A lesson that is to be sent: frames as JPEGs, those that the gate refuses counted and left out.

    Attributes:
        seen: frames looked at.
        candidates: JPEGs.
        reasons: why frames were refused, with counts.
    """

    def __init__(self, settings: Settings) -> None:
        self._gate = FrameGate(settings.gate)
        self.seen = 0
        self.candidates: list[bytes] = []
        self.reasons: Counter[str] = Counter()

    def add(self, frame: Frame) -> str | None:
        """Look at one frame; gives why it was refused, or None."""
        self.seen += 1
        reason = self._gate.check(frame).reason
        if reason is None and len(self.candidates) < PICTURES_MAX:
            self.candidates.append(encode_jpeg(frame.image, SIDE_PX, QUALITY))
        elif reason is not None:
            self.reasons[reason] += 1
        return reason

    def reject(self, reason: str) -> None:
        """Count a frame that could not even be read."""
        self.seen += 1
        self.reasons[reason] += 1


class Afar:
    """The daemon that holds the home, by its API."""

    def __init__(self, device: Device, settings: Settings) -> None:
        self._device, self._settings = device, settings

    def burst(self) -> Sending:
        """Begin a lesson."""
        return Sending(self._settings)

    def hold(self, url: str, label: str, seconds: float) -> LessonReport | None:
        """Teach what the daemon sees for so long through its camera at `url`; None where it does not."""
        cameras = self._ask("GET", "/config")["cameras"]
        camera = next((one["name"] for one in cameras if one["url"] == redact(url)), None)
        if camera is None:
            return None
        begun = self._ask("POST", "/holds", {"camera": camera, "label": label, "seconds": seconds})
        return report_of(self._ask("GET", f"/holds/{begun['hold']}/report"))

    def teach(self, label: str, burst: Sending, origin: str) -> LessonReport:
        """Commit a lesson, and learn it."""
        query = urlencode({"label": label, "origin": origin, "rejected": json.dumps(dict(burst.reasons))})
        return report_of(self._ask("POST", f"/lessons?{query}", body=b"".join(burst.candidates)))

    def undo(self) -> Lesson:
        """Take back the newest lesson."""
        return lesson_of(self._ask("POST", "/undo", {}))

    def correct(self, example: int, label: str) -> Lesson:
        """Count an example as another class."""
        return lesson_of(self._ask("POST", f"/examples/{example}/correct", {"label": label}))

    def rename(self, label: str, new: str) -> Lesson:
        """Give a class another name."""
        return lesson_of(self._ask("PATCH", f"/classes/{quote(label, safe='')}", {"label": new}))

    def merge(self, label: str, into: str) -> Lesson:
        """Let a class count as another."""
        return lesson_of(self._ask("POST", f"/classes/{quote(label, safe='')}/merge", {"label": into}))

    def forget(self, label: str) -> ForgetProof:
        """Delete a class for good."""
        return proof_of(self._ask("DELETE", f"/classes/{quote(label, safe='')}"))

    def teach_review(self, number: int, label: str) -> LessonReport:
        """Teach a frame that waits for a person."""
        return report_of(self._ask("POST", f"/reviews/{number}", {"label": label}))

    def drop_review(self, number: int) -> None:
        """Let a frame wait no more."""
        self._ask("DELETE", f"/reviews/{number}")

    def restore(self, backup: bytes) -> tuple[list[str], str | None]:
        """Put a backup in the place of the memory; gives the classes, and the name of the file that it replaced."""
        told = self._ask("POST", "/memory/restore", body=backup)
        return told["classes"], told["kept"]

    def install(self, number: int) -> Switched:
        """Change to a release that lies in the home."""
        return switched_of(self._ask("POST", f"/releases/{number}/install", {}))

    def roll_back(self, reason: str) -> int:
        """Go back to the release before; gives the number of the one that runs then."""
        return int(self._ask("POST", "/releases/rollback", {"reason": reason})["active_now"])

    def bring(self, bundle: bytes) -> int:
        """Hand over a release as a single file, which the daemon verifies by its own trust; gives its number."""
        return int(self._ask("POST", "/releases", body=bundle)["number"])

    def keep_for_review(self, frame: Frame) -> int | None:
        """Let a frame wait for a person; gives its number there, None where the settings keep none."""
        query = urlencode({"camera": frame.camera, "taken_at": frame.taken_at})
        told = self._ask("POST", f"/reviews?{query}", body=encode_jpeg(frame.image, SIDE_PX, QUALITY))["review"]
        return None if told is None else int(told)

    def _ask(self, method: str, path: str, record: Any = None, body: bytes | None = None) -> Any:
        """What the daemon answers; its refusals as the errors that they are."""
        data = body if body is not None else None if record is None else json.dumps(record).encode("utf-8")
        kind = "application/octet-stream" if body is not None else "application/json" if data is not None else ""
        try:
            with self._device.asked(f"/api/v1{path}", data, kind, method, PATIENCE_S) as answer:
                text = answer.read(ANSWER_BYTES_MAX)
        except DeviceRefused as error:
            raise _own(error) from error
        return json.loads(text) if text else None


def _own(error: DeviceRefused) -> EdgeclError:
    """The daemon's refusal in its own class, so that a command ends as it would without a daemon."""
    from edgecl import errors

    try:
        told = json.loads(error.said)
        kind: Any = getattr(errors, told["error"], None)
        message = str(told["message"])
    except (ValueError, KeyError, TypeError):
        return error
    known = isinstance(kind, type) and issubclass(kind, EdgeclError)
    found: EdgeclError = kind(message) if known and kind not in (DeviceRefused, errors.ExtraMissing) else error
    return found
