"""What became of every release of a home: releases/journal.json. It decides which one runs; the link follows.

All but `read` and `write` is pure: a journal is a value, and a change of state makes a new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgecl.errors import ReleaseError
from edgecl.files import write_durably
from edgecl.releases.document import Number, Share

JOURNAL_FILE = Path("releases", "journal.json")
JOURNAL_BYTES_MAX = 1_048_576
REASON_CHARACTERS_MAX = 500

State = Literal["candidate", "trial", "good", "rolled-back"]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Closed):
    """How far the trial of the active release is, and what it is held against.

    Attributes:
        seconds: in which it answered frames.
        frames: that it answered.
        starts: of long-running processes that have not become healthy since.
        accuracy: held out, on the device's own memory, when it was switched to; mean over `class_ids`. None while
            nothing was taught.
        class_ids: the classes known then.
        frame_ms: from picture to embedding with the release before, when it was switched from.
    """

    seconds: Amount = 0.0
    frames: Annotated[int, Field(ge=0)] = 0
    starts: Annotated[int, Field(ge=0)] = 0
    accuracy: Share | None = None
    class_ids: tuple[int, ...] = ()
    frame_ms: Amount = 0.0


class Entry(_Closed):
    """What became of one release.

    Attributes:
        number: of the release.
        state: candidate, trial, good or rolled-back.
        since: s, UTC since the epoch.
        reason: why, in words.
        previous: number of the release that ran before it here, to which it is rolled back; None without one.
    """

    number: Number
    state: State
    since: Amount
    reason: str
    previous: Number | None = None


class Journal(_Closed):
    """The state of a home's releases.

    Attributes:
        active: number of the release that runs.
        highest: the highest number that was ever active here; what is not higher is refused.
        releases: by rising number.
        trial: of the active release, while it is in trial.
    """

    format: Literal[1] = 1
    active: Number
    highest: Number
    releases: tuple[Entry, ...]
    trial: Trial | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Journal:
        numbers = [entry.number for entry in self.releases]
        if numbers != sorted(set(numbers)) or self.active not in numbers or self.active > self.highest:
            raise ValueError("the releases are not sorted, or the active one is not among them")
        if (self.entry(self.active).state == "trial") != (self.trial is not None):
            raise ValueError("a trial without a release, or a release in trial without one")
        return self

    @classmethod
    def beginning(cls, number: int, at: float, reason: str, highest: int | None = None) -> Journal:
        """Of a home whose only release is `number`, good from the start."""
        entry = Entry(number=number, state="good", since=at, reason=reason)
        return cls(active=number, highest=max(number, highest or number), releases=(entry,))

    def entry(self, number: int) -> Entry:
        """The entry of one release.

        Raises:
            ReleaseError: there is none of this number.
        """
        for entry in self.releases:
            if entry.number == number:
                return entry
        raise ReleaseError(
            f"found no release {number} in this home, expected one of "
            f"{', '.join(str(entry.number) for entry in self.releases)}; see: edgecl release list"
        )

    @property
    def current(self) -> Entry:
        """The entry of the active release."""
        return self.entry(self.active)

    @property
    def numbers(self) -> set[int]:
        """Of all releases in it."""
        return {entry.number for entry in self.releases}

    def with_candidate(self, number: int, at: float, reason: str) -> Journal:
        """With one more release, that may be installed; or with another reason for one that is a candidate."""
        return self._with(Entry(number=number, state="candidate", since=at, reason=_short(reason)))

    def switched(self, number: int, at: float, reason: str, trial: Trial) -> Journal:
        """With `number` active and in trial; a rollback goes back to the last one that proved itself.

        A trial that it cuts short was not passed: that release is not gone back to.
        """
        before, previous = self, self.active
        if self.trial is not None and self.current.previous is not None:
            before = self._ended(at, f"followed by release {number} while in trial")
            previous = self.current.previous
        entry = Entry(number=number, state="trial", since=at, reason=_short(reason), previous=previous)
        return before._with(entry, active=number, highest=max(self.highest, number), trial=trial)

    def before_active(self) -> list[int]:
        """Numbers of the releases that can be gone back to, the nearest first."""
        found: list[int] = []
        entry = self.current
        while entry.previous is not None and entry.previous in self.numbers and entry.previous not in found:
            entry = self.entry(entry.previous)
            found.append(entry.number)
        return found

    def rolled_back(self, at: float, reason: str, to: int | None) -> Journal:
        """With `to`, one of `before_active`, active again.

        Raises:
            ReleaseError: there is none.
        """
        if to is None or to not in self.before_active():
            raise ReleaseError(
                f"found no whole release before {self.active} in this home, expected one to roll back to; "
                "install another release, or run `edgecl export`"
            )
        return self._ended(at, reason).model_copy(update={"active": to})

    def good(self, at: float, reason: str) -> Journal:
        """With the active release good, and its trial over."""
        entry = self.current.model_copy(update={"state": "good", "since": at, "reason": _short(reason)})
        return self._with(entry, trial=None)

    def progressed(self, trial: Trial) -> Journal:
        """With the trial so far."""
        return self.model_copy(update={"trial": trial})

    def without(self, numbers: Iterable[int]) -> Journal:
        """Without these releases, none of which is active."""
        gone = set(numbers)
        return self.model_copy(update={"releases": tuple(e for e in self.releases if e.number not in gone)})

    def retired(self, keep: int) -> set[int]:
        """Numbers of the releases that need not be kept.

        Kept are the active one, the one before it, candidates that may still be installed, and `keep` more, the newest.
        """
        held = {self.active, self.current.previous}
        held |= {e.number for e in self.releases if e.state == "candidate" and e.number > self.highest}
        rest = sorted((e.number for e in self.releases if e.number not in held), reverse=True)
        return set(rest[keep:])

    def _ended(self, at: float, reason: str) -> Journal:
        """With the active release rolled back, for another one to be made active."""
        entry = self.current.model_copy(update={"state": "rolled-back", "since": at, "reason": _short(reason)})
        return self._with(entry, trial=None)

    def _with(self, entry: Entry, **changes: object) -> Journal:
        others = [known for known in self.releases if known.number != entry.number]
        releases = tuple(sorted([*others, entry], key=lambda one: one.number))
        return self.model_copy(update={"releases": releases, **changes})


def read(home: Path) -> Journal | None:
    """The journal of a home, None where it has none: then its release was exported or came with the wheel.

    Raises:
        ReleaseError: it cannot be read, or is damaged.
    """
    path = home / JOURNAL_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ReleaseError(f"could not read {path}: {error}; check the disk and the rights of the file") from error
    try:
        if len(data) > JOURNAL_BYTES_MAX:
            raise ValueError(f"{len(data)} bytes")
        return Journal.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ReleaseError(
            f"found {path} damaged ({fault}), expected the journal of this home's releases; predicting goes on with "
            "what `current` points to; remove the file, and that release counts as good"
        ) from error


def write(home: Path, journal: Journal) -> None:
    """Put `journal` on disk, whole or not at all.

    Raises:
        StoreUnwritable: the disk refuses; the journal is as it was.
    """
    data = json.dumps(journal.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False) + "\n"
    write_durably(home / JOURNAL_FILE, data.encode())


def _short(reason: str) -> str:
    return reason if len(reason) <= REASON_CHARACTERS_MAX else reason[: REASON_CHARACTERS_MAX - 1] + "…"
