"""The releases of a home, for whoever looks on."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from edgecl.errors import ReleaseError
from edgecl.releases import slots
from edgecl.releases.document import REPORT_FILE, SIGNATURE_FILE, ReleaseDocument
from edgecl.releases.journal import Entry, Journal, Trial


@dataclass(frozen=True)
class Listed:
    """One release.

    Attributes:
        entry: what became of it here.
        active: whether it runs.
        document: what it says of itself, None of an export, or where it is damaged.
        created_at: s, UTC since the epoch; of an export, when it came to this home.
        key: id of the key that signed it, as the signature says; None without one.
        bytes: of its folder.
        trial: how far its trial is, None where it is not in trial.
    """

    entry: Entry
    active: bool
    document: ReleaseDocument | None
    created_at: float
    key: str | None
    bytes: int
    trial: Trial | None


def releases_of(home: Path) -> list[Listed]:
    """All releases of a home, by rising number. Writes nothing.

    Raises:
        BackboneMissing: there is none.
        ReleaseError: the journal is damaged.
    """
    journal = slots.read_journal(home)
    return [_listed(home, journal, entry) for entry in journal.releases]


def release_of(home: Path, number: int) -> Listed:
    """One of them.

    Raises:
        ReleaseError: there is none of this number.
        BackboneMissing: there is none at all.
    """
    journal = slots.read_journal(home)
    return _listed(home, journal, journal.entry(number))


def report_of(home: Path, number: int) -> str | None:
    """The acceptance report of a release as Markdown, None where it has none."""
    try:
        return (slots.release_folder(home, number) / REPORT_FILE).read_text("utf-8", "replace")
    except OSError:
        return None


def _listed(home: Path, journal: Journal, entry: Entry) -> Listed:
    folder = slots.release_folder(home, entry.number)
    document = None
    with contextlib.suppress(ReleaseError):
        document = slots.read_document(folder)
    return Listed(
        entry,
        entry.number == journal.active,
        document,
        document.created_at if document is not None else entry.since,
        _key_of(folder),
        sum(path.stat().st_size for path in folder.glob("*")),
        journal.trial if entry.number == journal.active else None,
    )


def _key_of(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / SIGNATURE_FILE).read_text("ascii"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
