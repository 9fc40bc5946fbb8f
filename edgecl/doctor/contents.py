"""The home: its folder, its memory, its releases."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from edgecl.config import Settings
from edgecl.doctor.finding import Finding
from edgecl.errors import StoreBusy, StoreUnwritable
from edgecl.heads import fit_of
from edgecl.manifest import MANIFEST_FILE
from edgecl.memory.backup import DATABASE
from edgecl.memory.store import Store
from edgecl.releases.journal import JOURNAL_FILE
from edgecl.releases.slots import read_journal, release_folder, unsettled

FREE_MIN, FREE_WARN = 50 * 10**6, 500 * 10**6  # bytes


def home(folder: Path) -> Finding:
    """Whether it can be used, and by its owner alone."""
    if not folder.exists():
        return Finding("home", "ok", f"{folder} is not there yet; the first lesson makes it")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(
            "home", "fail", f"{folder} cannot be read by this user", "give it to this user: chown, chmod 700"
        )
    if not os.access(folder, os.W_OK):
        return Finding(
            "home",
            "warn",
            f"{folder} is read-only: nothing can be taught",
            "mount its disk for writing, or give it to this user",
        )
    if mode & 0o077:
        remedy = f"chmod 700 {folder}"
        return Finding(
            "home", "warn", f"{folder} is open to other users (mode {mode:03o}); it shows what the camera saw", remedy
        )
    return Finding("home", "ok", f"{folder}, for its owner alone")


def disk(folder: Path) -> Finding:
    """How much room is left on its disk."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e6:,.0f} MB free"
    if free < FREE_WARN:
        return Finding("disk", "fail" if free < FREE_MIN else "warn", found, f"free some space on the disk of {place}")
    return Finding("disk", "ok", found)


def memory(folder: Path) -> Finding:
    """Whether all of it is as it was written.

    Raises:
        StoreError: it cannot be opened.
    """
    if not any((folder / f"{DATABASE}{end}").exists() for end in ("", "-wal")):
        return Finding("memory", "ok", "nothing was taught yet")
    beside = ""
    try:
        opened = Store(folder)  # for writing: brings a memory of an older version up to date
    except StoreBusy:
        opened, beside = Store(folder, writable=False), "; another process is writing to it"
    except StoreUnwritable:
        opened, beside = Store(folder, writable=False), "; it can only be read"
    with opened as store:
        faults = store.check()
        if faults:
            remedy = "put back a backup with: edgecl restore BACKUP"
            return Finding("memory", "fail", f"{len(faults)} faults: {'; '.join(faults[:3])}", remedy)
        count = sum(store.counts().values())
        found = f"sound; classes: {len(store.classes())}, examples: {count}, revision {store.revision}"
    return Finding("memory", "ok", found + beside)


def head(settings: Settings) -> Finding:
    """Whether there is one of that name.

    Raises:
        ConfigRefused: there is none.
    """
    fit_of(settings.head.name)
    return Finding("head", "ok", settings.head.name)


def releases(folder: Path, settings: Settings) -> Finding:
    """What runs, and whether it may stay.

    Raises:
        ReleaseError: the journal cannot be read.
    """
    if not (folder / JOURNAL_FILE).exists():
        return Finding("releases", "ok", "no other came since the backbone was exported, or installed with the wheel")
    journal = read_journal(folder)
    entry, trial = journal.current, journal.trial
    apart = unsettled(folder, journal)
    if apart is not None:
        return Finding("releases", "warn", apart, "the next command that writes settles it")
    if not (release_folder(folder, entry.number) / MANIFEST_FILE).is_file():
        remedy = "go back with: edgecl release rollback"
        return Finding("releases", "fail", f"the folder of release {entry.number}, the active one, is gone", remedy)
    found = f"release {entry.number} is {entry.state}: {entry.reason}"
    if trial is None:
        return Finding("releases", "ok", found)
    rules = settings.release
    found = f"release {entry.number} is in trial: {trial.frames} of {rules.trial_frames} frames in "
    found += f"{trial.seconds / 60:.1f} of {rules.trial_minutes:g} minutes"
    if trial.starts:
        remedy = f"after {rules.starts_max} such starts the release before comes back"
        return Finding("releases", "warn", f"{found}; {trial.starts} starts have not become healthy", remedy)
    return Finding("releases", "ok", found)
