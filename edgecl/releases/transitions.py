"""What can happen to a release of a home: it comes as a candidate, is switched to, is rolled back, is deleted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgecl.errors import BackboneError, ReleaseError, StoreUnwritable
from edgecl.files import folder_durably
from edgecl.manifest import MANIFEST_FILE, read_manifest
from edgecl.releases import journal as journals
from edgecl.releases import slots
from edgecl.releases.document import NUMBER_MAX
from edgecl.releases.journal import Journal, Trial


def put_candidate(home: Path, number: int, files: Mapping[str, bytes], reason: str) -> Path:
    """Write a release that may be installed, whole; one of this number that is a candidate is replaced.

    Raises:
        ReleaseError: the number was used already.
        StoreUnwritable: the disk refuses; what is active is as it was.
    """
    with slots.changing(home) as before:
        _check_free(before, number)
        return put(home, before, number, files, reason)


def note(home: Path, number: int, reason: str) -> None:
    """Keep beside a candidate why it was refused, for whoever lists the releases; what runs is as it was."""
    with contextlib.suppress(ReleaseError, StoreUnwritable), slots.changing(home) as before:
        if before.entry(number).state == "candidate":
            journals.write(home, before.with_candidate(number, time.time(), f"refused: {reason}"))


def next_number(home: Path, journal: Journal) -> int:
    """The lowest number that no release of this home has or had."""
    folders = (int(path.name) for path in slots.folders(home))
    return 1 + max([journal.highest, *journal.numbers, *folders])


def switch(home: Path, number: int, reason: str, trial: Trial) -> Journal:
    """Make the candidate `number` the active release, in trial.

    Raises:
        ReleaseError: it is no candidate here, or not later than the highest that was ever active.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    with slots.changing(home) as before:
        require_candidate(home, before, number)
        return slots.decide(home, before.switched(number, time.time(), reason, trial))


def roll_back(home: Path, reason: str, number: int | None = None) -> Journal:
    """Make the release before the active one active again.

    Args:
        home: the folder.
        reason: why, in words.
        number: of the release that is to go; where another one is active by now, nothing is done.

    Raises:
        ReleaseError: there is none before it, or it is not whole.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    with slots.changing(home) as before:
        if number is not None and before.active != number:
            return before
        after = before.rolled_back(time.time(), reason)
        if not (slots.release_folder(home, after.active) / MANIFEST_FILE).is_file():
            raise ReleaseError(
                f"found no {slots.release_folder(home, after.active)}, expected the release before {before.active}; "
                "install another release, or run `edgecl export`"
            )
        return slots.decide(home, after)


def retire(home: Path, keep: int) -> set[str]:
    """Delete the releases that need not be kept, see `Journal.retired`; returns digests of tails that are gone.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    with slots.changing(home) as before:
        gone = before.retired(keep)
        if not gone:
            return set()
        tails = _tails(home, gone) - _tails(home, before.numbers - gone)
        for number in gone:  # first the folders: what no journal names might be taken for a new candidate
            slots.remove(slots.release_folder(home, number))
        journals.write(home, before.without(gone))
        return tails


def _tails(home: Path, numbers: Iterable[int]) -> set[str]:
    found = set()
    for number in numbers:
        with contextlib.suppress(BackboneError):  # what cannot be read runs no more
            manifest = read_manifest(slots.release_folder(home, number))
            found |= {graphs.tail.sha256 for graphs in manifest.graphs.values()}
    return found


def put(home: Path, before: Journal, number: int, files: Mapping[str, bytes], reason: str) -> Path:
    """Write a candidate and tell the journal; whoever calls it holds the lock, see `changing`."""
    folder = slots.release_folder(home, number)
    slots.remove(folder)
    folder_durably(folder, files)
    try:
        journals.write(home, before.with_candidate(number, time.time(), reason))
    except StoreUnwritable:
        slots.remove(folder)
        raise
    return folder


def require_candidate(home: Path, journal: Journal, number: int) -> None:
    """Whether release `number` may be switched to.

    Raises:
        ReleaseError: it is no candidate here, or not later than the highest that was ever active.
    """
    state = journal.entry(number).state
    if state != "candidate" or not (slots.release_folder(home, number) / MANIFEST_FILE).is_file():
        raise ReleaseError(f"found release {number} {state}, expected a candidate; see: edgecl release list")
    _check_free(journal, number)


def _check_free(journal: Journal, number: int) -> None:
    if number <= journal.highest or (number in journal.numbers and journal.entry(number).state != "candidate"):
        raise ReleaseError(
            f"found release {number}, expected a number above {journal.highest}, the highest that ever ran here"
        )
    if number > NUMBER_MAX:
        raise ReleaseError(f"found release {number}, expected at most {NUMBER_MAX}; start a new home")
