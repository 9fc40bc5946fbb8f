"""The home's releases on disk: `releases/NNNN/` each, `current` points to the active one, the journal decides which.

A change of the active release is written into the journal first, and `current` follows. Whoever opens the home for
writing settles what a crash between the two has left.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecl.errors import BackboneError, BackboneMissing, ReleaseError, StoreUnwritable
from edgecl.files import (
    exclusive,
    finish_link,
    folder_durably,
    link_durably,
    prepare_link,
    private_folder,
)
from edgecl.manifest import MANIFEST_FILE, read_manifest, read_verified
from edgecl.releases import journal as journals
from edgecl.releases.document import DOCUMENT_BYTES_MAX, DOCUMENT_FILE, NUMBER_MAX, ReleaseDocument
from edgecl.releases.journal import Journal

CURRENT = "current"
BUNDLED = Path(__file__).parents[1] / "backbones" / "efficientnet-lite0"  # in wheels built by `make wheel`
LOCK = ".lock"  # held while a release is being installed, or the journal changes
_NUMBER = re.compile(r"(?!0000)[0-9]{4}")
log = logging.getLogger(__name__)


def release_folder(home: Path, number: int) -> Path:
    """Where release `number` lies."""
    return home / "releases" / f"{number:04d}"


def current(home: Path) -> Path:
    """The folder of the active release; the backbone that came with the wheel is installed where there never was one.

    Where `current` is lost, the journal says which it is; without a journal, the only one that there is.

    Raises:
        BackboneMissing: nothing was exported and nothing came with the wheel, or none of the home's releases can run.
        BackboneDamaged: what came with the wheel is not what its manifest says.
        StoreUnwritable: it cannot be installed in this home.
    """
    active = _active(home) or _decided(home)
    if active is not None:
        return active
    if has_releases(home):
        raise BackboneMissing(
            f"found no backbone behind {home / CURRENT}, though releases lie in {home / 'releases'}; go back to the "
            "one before with `edgecl release rollback`, or run `edgecl export` with this --home"
        )
    if (BUNDLED / MANIFEST_FILE).is_file():
        files = _verified(BUNDLED)
        with _locked(home):  # of several first starts one installs
            return _active(home) or _decided(home) or _install(home, files)
    raise BackboneMissing(
        f"found no backbone in {home}, expected one in {home / CURRENT}; run `edgecl export` (it needs "
        "edgecl[train]), or install a wheel that carries one"
    )


def install_first(home: Path, source: Path) -> Path:
    """Copy the backbone in `source`, verified, into the home and make it the active one; what was there is deleted.

    A new home gets release 1. Later ones get the next number: a folder cannot be exchanged for another in one step, a
    link can. Whatever interrupts this, the old release or the new one is active, and whole.

    Raises:
        BackboneDamaged: a file differs from its digest; the home is as it was.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    files = _verified(source)
    with _locked(home):
        return _install(home, files)


def read_journal(home: Path) -> Journal:
    """The state of the home's releases. Without a journal the active release is good, and there is no other.

    Raises:
        BackboneMissing: there is no release.
        ReleaseError: the journal is damaged, or `current` leads out of the home.
    """
    found = journals.read(home)
    if found is not None:
        return found
    active = current(home)
    if active.parent != (home / "releases").resolve() or not active.name.isdecimal():
        raise ReleaseError(
            f"found {home / CURRENT} pointing to {active}, expected a numbered folder in {home / 'releases'}; "
            "run `edgecl export` with this --home"
        )
    return Journal.beginning(int(active.name), max(0.0, active.stat().st_mtime), "exported")


def read_document(folder: Path) -> ReleaseDocument | None:
    """What the release in `folder` says of itself; None where it was exported here.

    Raises:
        ReleaseRefused: its document is damaged.
        ReleaseError: it cannot be read.
    """
    try:
        with (folder / DOCUMENT_FILE).open("rb") as file:
            return ReleaseDocument.from_bytes(file.read(DOCUMENT_BYTES_MAX + 1))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReleaseError(f"could not read {folder / DOCUMENT_FILE}: {error}; check the disk") from error


@contextlib.contextmanager
def changing(home: Path, wait: bool = True) -> Iterator[Journal]:
    """The journal as it is, settled, with no other process changing it before the block ends.

    Args:
        home: the folder.
        wait: for a process that is changing it; not where frames are waiting to be answered.

    Raises:
        BackboneMissing, ReleaseError: see `read_journal`.
        StoreBusy: another process is changing it, and we do not wait.
        StoreUnwritable: the lock cannot be taken.
    """
    if journals.read(home) is None:
        current(home)  # which installs what came with the wheel
    with _locked(home, wait):
        yield _settle(home, read_journal(home))


def settle(home: Path) -> None:
    """Let `current` follow the journal where a crash, or a full disk, came between the two.

    Nothing is done, and nothing is written, where both agree; a damaged journal is left to the commands about releases.
    """
    try:
        found = journals.read(home)
        if found is None or (unsettled(home, found) is None and not _litter(home)):
            return
        with _locked(home):
            again = journals.read(home)
            if again is not None:
                _settle(home, again)
    except (ReleaseError, StoreUnwritable) as error:
        log.warning("the releases could not be settled: %s", error)


def unsettled(home: Path, journal: Journal) -> str | None:
    """What `current` says other than the journal, in words; None where they agree."""
    link = home / CURRENT
    target = str(link.readlink()) if link.is_symlink() else "nothing"
    if target == _target(journal.active):
        return None
    return f"`current` points to {target}, the journal says release {journal.active}"


def write_journal(home: Path, journal: Journal) -> Journal:
    """Keep a journal with the same active release; whoever calls it holds the lock, see `changing`."""
    journals.write(home, journal)
    return journal


def decide(home: Path, journal: Journal) -> Journal:
    """Write the journal, which decides; then let the link follow. Whoever calls it holds the lock."""
    draft = prepare_link(home / CURRENT, _target(journal.active))  # a full disk refuses before anything is decided
    try:
        journals.write(home, journal)
    except StoreUnwritable:
        draft.unlink(missing_ok=True)
        raise
    try:
        finish_link(home / CURRENT, draft)
    except StoreUnwritable as error:  # decided it is; the next who opens the home for writing mends the link
        log.warning("release %d is decided on, but the link could not follow: %s", journal.active, error)
    return journal


def _settle(home: Path, journal: Journal) -> Journal:
    """Whoever calls it holds the lock."""
    for draft in _litter(home):
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
    if unsettled(home, journal) is not None:
        link_durably(home / CURRENT, _target(journal.active))
    present = {int(path.name) for path in folders(home)}
    found = journal.without(journal.numbers - present - {journal.active})
    for number in sorted(present - journal.numbers):
        if number > journal.highest and _says_so(home, number):
            found = found.with_candidate(number, time.time(), "found in the home")
    if found != journal:
        journals.write(home, found)
    return found


def _litter(home: Path) -> list[Path]:
    """What a crash has left of a link, a journal or a folder on its way; whoever holds the lock may remove it."""
    return [*home.glob(f".{CURRENT}.*.draft"), *(home / "releases").glob(".*.draft")]


def _target(number: int) -> str:
    return f"releases/{number:04d}"


def folders(home: Path) -> list[Path]:
    """All folders of the home's releases that are named as such, whatever is in them."""
    place = home / "releases"
    return (
        [path for path in place.iterdir() if path.is_dir() and _NUMBER.fullmatch(path.name)] if place.exists() else []
    )


def is_whole(home: Path, number: int) -> bool:
    """Whether every file that release `number` needs is there, and what its manifest says."""
    try:
        return bool(_verified(release_folder(home, number)))
    except BackboneError:
        return False


def _says_so(home: Path, number: int) -> bool:
    """Whether what lies in the folder of release `number` calls itself so."""
    with contextlib.suppress(ReleaseError):
        document = read_document(release_folder(home, number))
        return document is not None and document.number == number
    return False


def remove(folder: Path) -> None:
    """In two steps, so that no half-deleted folder passes for a release."""
    if folder.exists():
        doomed = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


@contextlib.contextmanager
def _locked(home: Path, wait: bool = True) -> Iterator[None]:
    with exclusive(private_folder(home / "releases") / LOCK, wait):
        yield


def _decided(home: Path) -> Path | None:
    """The folder of the release that runs, where `current` does not say it; None if that is not known, or gone."""
    numbers = [int(path.name) for path in folders(home)]
    with contextlib.suppress(ReleaseError):
        journal = journals.read(home)
        if journal is not None:
            numbers = [journal.active]
    if len(numbers) == 1 and (release_folder(home, numbers[0]) / MANIFEST_FILE).is_file():
        return release_folder(home, numbers[0]).resolve()
    return None


def has_releases(home: Path) -> bool:
    """Whether a backbone was ever put into `home`, whatever became of it."""
    return bool(folders(home)) or (home / journals.JOURNAL_FILE).exists()


def _active(home: Path) -> Path | None:
    link = home / CURRENT
    return link.resolve() if (link / MANIFEST_FILE).is_file() else None


def _verified(source: Path) -> dict[str, bytes]:
    """The backbone's files by name. What was installed from a delta has the graphs of one precision alone."""
    manifest = read_manifest(source)
    if (source / DOCUMENT_FILE).is_file():
        whole = {
            precision: graphs
            for precision, graphs in manifest.graphs.items()
            if all((source / entry.file).is_file() for entry in (graphs.trunk, graphs.tail))
        }
        manifest = manifest.model_copy(update={"graphs": whole or manifest.graphs})
    files = {entry.file: read_verified(source, entry) for entry in manifest.entries()}
    return files | {MANIFEST_FILE: manifest.to_bytes()}


def _install(home: Path, files: Mapping[str, bytes]) -> Path:
    """Whoever calls it holds the lock."""
    # The active one, and what installations that were cut off have left: not yet linked, or not wholly deleted.
    before = folders(home)
    known = None
    with contextlib.suppress(ReleaseError):  # a damaged journal is mended by this
        known = journals.read(home)
    number = 1 + max([known.highest if known is not None else 0, *(int(path.name) for path in before)])
    if number > NUMBER_MAX:
        raise ReleaseError(
            f"found release {number - 1} in {home}, expected a number below {NUMBER_MAX}; start a new home"
        )
    target = release_folder(home, number)
    folder_durably(target, files)
    if (home / journals.JOURNAL_FILE).exists():
        decide(home, Journal.beginning(number, time.time(), "exported"))
    else:
        link_durably(home / CURRENT, _target(number))
    for path in before:
        shutil.rmtree(path, ignore_errors=True)
    return target
