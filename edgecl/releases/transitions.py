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
from edgecl.releases.document import DOCUMENT_FILE, NUMBER_MAX
from edgecl.releases.journal import Journal, Trial


def put_candidate(home: Path, number: int, files: Mapping[str, bytes], reason: str) -> Path:
    """Write a release that may be installed, whole. The same one that is there already gets what it lacks.

    Raises:
        ReleaseError: the number was used already, by another candidate or by one that ran.
        StoreUnwritable: the disk refuses; the home is as it was.
    """
    with slots.changing(home) as before:
        _check_free(before, number)
        folder = slots.release_folder(home, number)
        known = _document_in(folder)
        if known is not None and slots.is_whole(home, number):
            if known != files[DOCUMENT_FILE]:
                raise ReleaseError(
                    f"found another release {number} in this home, expected a number that none has: it is never used "
                    f"twice; sign the new one with a higher number, or remove {folder}"
                )
            there = {path.name: path.read_bytes() for path in folder.iterdir()}
            if there.items() >= files.items():
                return folder
            files = there | dict(files)
        return put(home, before, number, files, reason)


def note(home: Path, number: int, reason: str) -> None:
    """Keep beside a candidate why it was refused, for whoever lists the releases; what runs is as it was."""
    with contextlib.suppress(ReleaseError, StoreUnwritable), slots.changing(home) as before:
        if before.entry(number).state == "candidate":
            journals.write(home, before.with_candidate(number, time.time(), f"refused: {reason}"))


def next_number(home: Path, journal: Journal) -> int:
    """The lowest number that no release of this home has or had.

    Raises:
        ReleaseError: they are used up.
    """
    folders = (int(path.name) for path in slots.folders(home))
    number = 1 + max([journal.highest, *journal.numbers, *folders])
    _check_free(journal, number)
    return number


def switch(home: Path, number: int, files: Mapping[str, bytes], reason: str, trial: Trial) -> Journal:
    """Make the candidate `number` the active release, in trial.

    Args:
        home: the folder.
        number: of the candidate.
        files: what was verified and tried, by name.
        reason: in words.
        trial: what it is held against.

    Raises:
        ReleaseError: it is no candidate here, not later than the highest that was ever active, or another one by now.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    with slots.changing(home) as before:
        require_candidate(home, before, number)
        folder = slots.release_folder(home, number)
        if not _holds(folder, files):
            raise ReleaseError(f"found {folder} changed since it was verified; install the release again")
        return slots.decide(home, before.switched(number, time.time(), reason, trial))


def roll_back(home: Path, reason: str, number: int | None = None, wait: bool = True) -> Journal:
    """Make the release before the active one active again; if that is not whole any more, the one before that.

    Args:
        home: the folder.
        reason: why, in words.
        number: of the release that is to go; where another one is active by now, nothing is done.
        wait: see `slots.changing`.

    Raises:
        ReleaseError: there is none before it that is whole; the active release is as it was.
        StoreBusy: another process is changing the releases, and we do not wait.
        StoreUnwritable: the disk refuses; likewise.
    """
    with slots.changing(home, wait) as before:
        if number is not None and before.active != number:
            return before
        return slots.decide(home, before.rolled_back(time.time(), reason, way_back(home, before)))


def way_back(home: Path, journal: Journal) -> int | None:
    """Number of the newest release before the active one that is whole; None if none is."""
    return next((number for number in journal.before_active() if slots.is_whole(home, number)), None)


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
    there = folder.exists()
    folder_durably(folder, files, exchange=True)
    try:
        journals.write(home, before.with_candidate(number, time.time(), reason))
    except StoreUnwritable:
        if not there:
            slots.remove(folder)
        raise
    return folder


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether these files lie there. The manifest's bytes are compared: whoever loads another file compares its digest.

    Reading all of them would take as long as answering a frame or two.
    """
    try:
        sizes = {name: (folder / name).stat().st_size for name in files}
        return sizes == {name: len(data) for name, data in files.items()} and (
            (folder / MANIFEST_FILE).read_bytes() == files[MANIFEST_FILE]
        )
    except OSError:
        return False


def _document_in(folder: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return (folder / DOCUMENT_FILE).read_bytes()
    return None


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
